package projections

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Partner is one partner of the ledger.
type Partner struct {
	PartnerID domain.TenantID `json:"partnerId"`
	Name      string          `json:"name"`
	Country   string          `json:"country"`
	Currency  domain.Currency `json:"currency"`
	Position  uint64          `json:"position"`
	Time      time.Time       `json:"time"`
}

// Customer is one customer of a partner, with what a list shows about it at a glance.
type Customer struct {
	CustomerID          domain.TenantID  `json:"customerId"`
	CompanyName         string           `json:"companyName"`
	Domain              string           `json:"domain"`
	Allowed             []domain.Product `json:"allowed"` // products the customer may buy itself; empty by default (S1)
	Subscriptions       int              `json:"subscriptions"`
	ActiveSubscriptions int              `json:"activeSubscriptions"` // without one no permission can be granted (S5)
	Owners              int              `json:"owners"`              // users who hold Owner on an active subscription (S6)
	Position            uint64           `json:"position"`            // of its registration
	Time                time.Time        `json:"time"`
	Changed             uint64           `json:"changed"` // newest position about the customer, for If-Match
}

// CustomerFilter narrows a list of customers.
type CustomerFilter struct {
	Text    string         // part of the company name or domain
	Product domain.Product // together with Allowed; any product when empty
	Allowed *bool          // whose permission is on, or off
	Texts   []TextFilter   // all of which hold
}

var customersModel = model{
	name:    "customers",
	version: 1,
	tables: []table{
		{
			name: "partners",
			schema: `(
	id       BLOB PRIMARY KEY,
	name     TEXT NOT NULL,
	country  TEXT NOT NULL,
	currency TEXT NOT NULL,
	position INTEGER NOT NULL,
	time     INTEGER NOT NULL
) STRICT`,
			key: "id",
		},
		{
			name: "customers",
			schema: `(
	id           BLOB PRIMARY KEY,
	partner      BLOB NOT NULL,
	company_name TEXT NOT NULL COLLATE NOCASE,
	domain       TEXT NOT NULL COLLATE NOCASE,
	position     INTEGER NOT NULL,
	time         INTEGER NOT NULL
) STRICT`,
			key:     "id",
			indexes: []string{`CREATE INDEX customers_by_name ON customers (partner, company_name, id)`},
		},
	},
	event: foldCustomers,
}

func foldCustomers(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.PartnerRegistered:
		return b.exec(`INSERT INTO partners (id, name, country, currency, position, time) VALUES (?, ?, ?, ?, ?, ?)`,
			guid(e.Partner.UUID), event.Name, event.Country, string(event.Currency), int64(e.Position), instant(e.Time))
	case domain.CustomerRegistered:
		return b.exec(`INSERT INTO customers (id, partner, company_name, domain, position, time) VALUES (?, ?, ?, ?, ?, ?)`,
			guid(e.Customer.UUID), guid(e.Partner.UUID), event.CompanyName, event.Domain, int64(e.Position), instant(e.Time))
	case domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked,
		domain.CustomerPurchasedReservation, domain.PartnerPurchasedReservation,
		domain.CustomerPurchasedSavingsPlan, domain.PartnerPurchasedSavingsPlan,
		domain.ReservationExchanged, domain.ReservationReturned, domain.ReservationRenewed,
		domain.ReservationScopeChanged, domain.ReservationRenamed, domain.ReservationSplit, domain.ReservationsMerged,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return nil
	default:
		return unknownEvent("customers", e)
	}
}

// Partner is the partner of a scope; ErrNotFound where its tenant is none.
func (m *Models) Partner(ctx context.Context, s Scope) (Partner, uint64, error) {
	var p Partner
	position, err := m.read(ctx, s, func(tx *sqlite.Tx) error {
		found, err := tx.One(ctx, []any{&p.PartnerID, &p.Name, &p.Country, &p.Currency, &p.Position, moment{&p.Time}},
			`SELECT id, name, country, currency, position, time FROM partners WHERE id = ?`, s.partner.UUID[:])
		if err == nil && !found {
			err = fmt.Errorf("partner %s: %w", s.partner, ErrNotFound)
		}
		return err
	})
	return p, position, err
}

// Customer is the customer of a scope.
func (m *Models) Customer(ctx context.Context, s Scope) (Customer, uint64, error) {
	if s.customer.IsZero() {
		return Customer{}, 0, fmt.Errorf("a customer must be named: %w", ErrNotFound)
	}
	return first(m.Customers(ctx, s, CustomerFilter{}, Paging{Limit: 1}))
}

// customerRows counts beside each customer what else lies in the book about it.
const customerRows = `SELECT c.id, c.company_name, c.domain, c.position, c.time,
	(SELECT count(*) FROM subscriptions s WHERE s.customer = c.id),
	(SELECT count(*) FROM subscriptions s WHERE s.customer = c.id AND s.status = 'active'),
	(SELECT count(DISTINCT r.user) FROM subscriptions s JOIN subscription_roles r ON r.subscription = s.id
	 WHERE s.customer = c.id AND s.status = 'active' AND r.role = 'Owner'),
	(SELECT group_concat(p.product) FROM permissions p WHERE p.customer = c.id AND p.allowed = 1),
	(SELECT a.position FROM activity a WHERE a.customer = c.id AND NOT a.failed ORDER BY a.position DESC LIMIT 1)
FROM customers c`

// Customers lists customers by company name.
func (m *Models) Customers(ctx context.Context, s Scope, f CustomerFilter, p Paging) (Page[Customer], error) {
	return list(ctx, m, "customers", s, f, p, func(*sqlite.Tx) (listing[Customer], error) {
		l := listing[Customer]{
			rows: customerRows, keys: []string{"c.company_name", "c.id"}, scan: scanCustomer,
			key: func(c Customer) []any { return []any{c.CompanyName, c.CustomerID.UUID[:]} },
		}
		l.conditions.scope(s, "c.partner", "c.id")
		if f.Text != "" {
			pattern := contains(f.Text)
			l.conditions.and(`(c.company_name LIKE ? ESCAPE '\' OR c.domain LIKE ? ESCAPE '\')`, pattern, pattern)
		}
		l.conditions.texts(f.Texts)
		if f.Allowed != nil {
			exists := "EXISTS"
			if !*f.Allowed {
				exists = "NOT EXISTS"
			}
			on, args := "", []any(nil)
			if f.Product != "" {
				on, args = " AND p.product = ?", []any{string(f.Product)}
			}
			l.conditions.and(exists+" (SELECT 1 FROM permissions p WHERE p.customer = c.id AND p.allowed = 1"+on+")", args...)
		}
		return l, nil
	}, nil)
}

func scanCustomer(row *sql.Rows) (c Customer, err error) {
	var allowed string
	err = row.Scan(&c.CustomerID, &c.CompanyName, &c.Domain, &c.Position, moment{&c.Time},
		&c.Subscriptions, &c.ActiveSubscriptions, &c.Owners, optional[string]{&allowed}, &c.Changed)
	c.Allowed = []domain.Product{}
	for _, product := range domain.Products() {
		if slices.Contains(strings.Split(allowed, ","), string(product)) {
			c.Allowed = append(c.Allowed, product)
		}
	}
	return c, err
}
