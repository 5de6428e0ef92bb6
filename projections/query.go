package projections

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// list answers a query for a page: it checks the scope and reads rows and position from one state. ask
// makes the listing, and may read further; complete adds to the page's rows what lies in other tables,
// and may be nil.
func list[T any](ctx context.Context, m *Models, name string, s Scope, filter any, p Paging,
	ask func(tx *sqlite.Tx) (listing[T], error), complete func(tx *sqlite.Tx, items []T) error,
) (page Page[T], err error) {
	page.Position, err = m.read(ctx, s, func(tx *sqlite.Tx) error {
		l, err := ask(tx)
		if err != nil {
			return err
		}
		if page.Items, page.NextCursor, err = l.page(ctx, tx, name, s, filter, p); err != nil {
			return err
		}
		if complete == nil || len(page.Items) == 0 {
			return nil
		}
		return complete(tx, page.Items)
	})
	if err != nil {
		return Page[T]{}, err
	}
	return page, nil
}

// first answers a query for one row: the first of a page, or ErrNotFound.
func first[T any](page Page[T], err error) (T, uint64, error) {
	var none T
	switch {
	case err != nil:
		return none, 0, err
	case len(page.Items) == 0:
		return none, page.Position, ErrNotFound
	default:
		return page.Items[0], page.Position, nil
	}
}

// read runs a query within its scope and gives the position of the state it saw.
func (m *Models) read(ctx context.Context, s Scope, ask func(tx *sqlite.Tx) error) (position uint64, err error) {
	st, err := m.acquire()
	if err != nil {
		return 0, err
	}
	defer st.queries.Done()
	err = st.db.Read(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.One(ctx, []any{&position}, `SELECT position FROM checkpoint`); err != nil {
			return fmt.Errorf("read the checkpoint: %w", err)
		}
		if err := s.check(ctx, tx); err != nil {
			return err
		}
		return ask(tx)
	})
	return position, err
}

// moment reads a stored time into a field.
type moment struct{ into *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(stored any) error {
	nanos, ok := stored.(int64)
	if !ok {
		return fmt.Errorf("%T is not a stored time", stored)
	}
	*m.into = time.Unix(0, nanos).UTC()
	return nil
}

// optional reads a text that may be NULL into a field.
type optional[S ~string] struct{ into *S }

// Scan implements sql.Scanner.
func (o optional[S]) Scan(stored any) error {
	switch v := stored.(type) {
	case nil:
		*o.into = ""
	case string:
		*o.into = S(v)
	default:
		return fmt.Errorf("%T is not a stored text", stored)
	}
	return nil
}

// amount is an amount of money between two columns: minor units, NULL for none known, and a currency.
type amount struct {
	minor sql.NullInt64
	into  *domain.Money
}

// money reads amounts once the row with their currency is read.
func money(currency domain.Currency, amounts ...amount) error {
	for _, a := range amounts {
		if !a.minor.Valid {
			continue
		}
		m, err := domain.NewMoney(a.minor.Int64, currency)
		if err != nil {
			return err
		}
		*a.into = m
	}
	return nil
}

// minor is how an amount is stored beside its currency.
func minor(m domain.Money) any {
	if m.IsZero() {
		return nil
	}
	return m.Minor()
}

// between limits a column of positions to events recorded at or after since and before until; a zero
// time does not limit. Recorded time never goes back along the log, so that a span of time is one of
// positions, which every list is ordered by.
func (c *conditions) between(ctx context.Context, tx *sqlite.Tx, column string, since, until time.Time) error {
	for _, bound := range []struct {
		at        time.Time
		condition string
	}{{since, " >= ?"}, {until, " < ?"}} {
		if bound.at.IsZero() {
			continue
		}
		position, err := firstSince(ctx, tx, bound.at)
		if err != nil {
			return err
		}
		c.and(column+bound.condition, position)
	}
	return nil
}

// contains is the LIKE pattern of texts that have part somewhere; its escape character is \.
func contains(part string) string { return "%" + literal(part) + "%" }

// literal is the LIKE pattern of one text; its escape character is \.
func literal(text string) string { return wildcards.Replace(text) }

var wildcards = strings.NewReplacer(`%`, `\%`, `_`, `\_`, `\`, `\\`)
