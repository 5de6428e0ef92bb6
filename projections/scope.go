package projections

import (
	"context"
	"errors"
	"fmt"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// ErrNotFound says that there is no such row for the asker. What belongs to another partner answers
// exactly like what does not exist (L8).
var ErrNotFound = errors.New("not found")

// Scope is whose rows may be read: one partner's, or one of its customers'. Every query takes one, and
// the zero Scope reads nothing.
type Scope struct {
	partner  domain.TenantID
	customer domain.TenantID
}

// OfPartner is everything in one partner's book.
func OfPartner(partner domain.TenantID) Scope { return Scope{partner: partner} }

// OfCustomer is what one partner's book says about one customer. Queries answer ErrNotFound where the
// customer is not that partner's.
func OfCustomer(partner, customer domain.TenantID) Scope {
	return Scope{partner: partner, customer: customer}
}

// Partner is the partner whose book is read.
func (s Scope) Partner() domain.TenantID { return s.partner }

// Customer is the customer asked about; zero for all of the partner's.
func (s Scope) Customer() domain.TenantID { return s.customer }

// check refuses a scope that names no partner and one whose customer is not the partner's.
func (s Scope) check(ctx context.Context, tx *sqlite.Tx) error {
	if s.partner.IsZero() {
		return errors.New("projections: a query was asked without a partner")
	}
	if s.customer.IsZero() {
		return nil
	}
	var known bool
	_, err := tx.One(ctx, []any{&known}, `SELECT EXISTS (SELECT 1 FROM customers WHERE id = ? AND partner = ?)`,
		s.customer.UUID[:], s.partner.UUID[:])
	if err != nil {
		return fmt.Errorf("look up customer %s: %w", s.customer, err)
	}
	if !known {
		return fmt.Errorf("customer %s: %w", s.customer, ErrNotFound)
	}
	return nil
}
