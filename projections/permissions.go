package projections

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Permission says whether a customer may buy a product itself. Every customer has one for each product,
// off until it is granted (S1).
type Permission struct {
	CustomerID  domain.TenantID  `json:"customerId"`
	Product     domain.Product   `json:"product"`
	Allowed     bool             `json:"allowed"`
	Since       time.Time        `json:"since"`               // of the registration where it was never changed
	GrantedBy   string           `json:"grantedBy"`           // who turned it on; empty while it is off
	ChangedBy   string           `json:"changedBy,omitempty"` // who turned it on or off last
	ChangedByID domain.UserID    `json:"changedById,omitzero"`
	Reason      string           `json:"reason"`
	CommandID   domain.CommandID `json:"commandId"`
	Position    uint64           `json:"position"`
	Changes     int              `json:"changes"` // how often it was turned on or off
}

// PermissionChange is one time a permission was turned on or off. It is never rewritten.
type PermissionChange struct {
	CustomerID    domain.TenantID  `json:"customerId"`
	Product       domain.Product   `json:"product"`
	Allowed       bool             `json:"allowed"`
	By            string           `json:"by"`
	ByID          domain.UserID    `json:"byId,omitzero"`
	Reason        string           `json:"reason"`
	CommandID     domain.CommandID `json:"commandId"`
	CorrelationID string           `json:"correlationId,omitempty"`
	Position      uint64           `json:"position"`
	Time          time.Time        `json:"time"`
}

// PermissionFilter narrows a list of permissions or of their changes.
type PermissionFilter struct {
	Product domain.Product
	Allowed *bool
}

var permissionsModel = model{
	name:    "permissions",
	version: 1,
	tables: []table{
		{
			name: "permissions",
			schema: `(
	customer    BLOB NOT NULL,
	product     TEXT NOT NULL,
	partner     BLOB NOT NULL,
	allowed     INTEGER NOT NULL,
	since       INTEGER NOT NULL,
	changed_by  TEXT,
	changed_by_user BLOB,
	reason      TEXT,
	command     BLOB NOT NULL,
	position    INTEGER NOT NULL,
	changes     INTEGER NOT NULL,
	PRIMARY KEY (customer, product)
) STRICT, WITHOUT ROWID`,
			key:     "customer, product",
			indexes: []string{`CREATE INDEX permissions_by_partner ON permissions (partner, customer, product)`},
		},
		{
			name: "permission_changes",
			schema: `(
	position    INTEGER PRIMARY KEY,
	partner     BLOB NOT NULL,
	customer    BLOB NOT NULL,
	product     TEXT NOT NULL,
	allowed     INTEGER NOT NULL,
	by          TEXT NOT NULL,
	by_user     BLOB,
	reason      TEXT,
	command     BLOB NOT NULL,
	correlation TEXT,
	time        INTEGER NOT NULL
) STRICT`,
			key: "position",
			indexes: []string{
				`CREATE INDEX permission_changes_by_partner ON permission_changes (partner, position)`,
				`CREATE INDEX permission_changes_by_customer ON permission_changes (customer, position)`,
			},
		},
	},
	event: foldPermissions,
}

func foldPermissions(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.CustomerRegistered:
		return offByDefault(b, e)
	case domain.PurchasePermissionGranted:
		return turn(b, e, event.Product, true)
	case domain.PurchasePermissionRevoked:
		return turn(b, e, event.Product, false)
	case domain.PartnerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.CustomerPurchasedReservation, domain.PartnerPurchasedReservation,
		domain.CustomerPurchasedSavingsPlan, domain.PartnerPurchasedSavingsPlan,
		domain.ReservationExchanged, domain.ReservationReturned, domain.ReservationRenewed,
		domain.ReservationScopeChanged, domain.ReservationRenamed, domain.ReservationSplit, domain.ReservationsMerged,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return nil
	default:
		return unknownEvent("permissions", e)
	}
}

// offByDefault gives a new customer a permission for every product, turned off (S1).
func offByDefault(b *batch, e Entry) error {
	for _, product := range domain.Products() {
		err := b.exec(`INSERT INTO permissions (customer, product, partner, allowed, since, command, position, changes) VALUES (?, ?, ?, 0, ?, ?, ?, 0)`,
			guid(e.Customer.UUID), string(product), guid(e.Partner.UUID), instant(e.Time), guid(e.Command.UUID), int64(e.Position))
		if err != nil {
			return err
		}
	}
	return nil
}

func turn(b *batch, e Entry, product domain.Product, allowed bool) error {
	err := b.change("permission of customer", e.Customer,
		`UPDATE permissions SET allowed = ?, since = ?, changed_by = ?, changed_by_user = ?, reason = ?, command = ?, position = ?, changes = changes + 1
		WHERE customer = ? AND product = ?`,
		allowed, instant(e.Time), e.Actor.Name(), guid(e.Actor.User.UUID), text(e.Reason), guid(e.Command.UUID), int64(e.Position),
		guid(e.Customer.UUID), string(product))
	if err != nil {
		return err
	}
	return b.exec(`INSERT INTO permission_changes (position, partner, customer, product, allowed, by, by_user, reason, command, correlation, time)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(e.Position), guid(e.Partner.UUID), guid(e.Customer.UUID), string(product), allowed, e.Actor.Name(), guid(e.Actor.User.UUID),
		text(e.Reason), guid(e.Command.UUID), text(e.CorrelationID), instant(e.Time))
}

// conditions are what a filter asks of a table's product and allowed columns.
func (f PermissionFilter) conditions(c *conditions) {
	if f.Product != "" {
		c.and("p.product = ?", string(f.Product))
	}
	if f.Allowed != nil {
		c.and("p.allowed = ?", *f.Allowed)
	}
}

// Permissions lists the permissions as they stand, customer by customer, every product of each.
func (m *Models) Permissions(ctx context.Context, s Scope, f PermissionFilter, p Paging) (Page[Permission], error) {
	return list(ctx, m, "permissions", s, f, p, func(*sqlite.Tx) (listing[Permission], error) {
		l := listing[Permission]{
			rows: `SELECT p.customer, p.product, p.allowed, p.since, p.changed_by, p.changed_by_user, p.reason, p.command, p.position, p.changes FROM permissions p`,
			keys: []string{"p.customer", "p.product"}, scan: scanPermission,
			key: func(p Permission) []any { return []any{p.CustomerID.UUID[:], string(p.Product)} },
		}
		l.conditions.scope(s, "p.partner", "p.customer")
		f.conditions(&l.conditions)
		return l, nil
	}, nil)
}

func scanPermission(row *sql.Rows) (p Permission, err error) {
	err = row.Scan(&p.CustomerID, &p.Product, &p.Allowed, moment{&p.Since}, optional[string]{&p.ChangedBy}, &p.ChangedByID,
		optional[string]{&p.Reason}, &p.CommandID, &p.Position, &p.Changes)
	if p.Allowed {
		p.GrantedBy = p.ChangedBy
	}
	return p, err
}

// PermittedAt lists the products that a scope's customer could buy itself right after a position.
func (m *Models) PermittedAt(ctx context.Context, s Scope, position uint64) (on []domain.Product, err error) {
	_, err = m.read(ctx, s, func(tx *sqlite.Tx) error {
		for _, p := range domain.Products() {
			var allowed bool
			if _, err := tx.One(ctx, []any{&allowed}, `SELECT allowed FROM permission_changes WHERE customer = ? AND product = ? AND position <= ?
				ORDER BY position DESC LIMIT 1`, s.customer.UUID[:], string(p), int64(position)); err != nil {
				return fmt.Errorf("look up the permission for %s: %w", p, err)
			}
			if allowed {
				on = append(on, p)
			}
		}
		return nil
	})
	return on, err
}

// PermissionHistory lists every time a permission was turned on or off, newest first.
func (m *Models) PermissionHistory(ctx context.Context, s Scope, f PermissionFilter, p Paging) (Page[PermissionChange], error) {
	return list(ctx, m, "permission history", s, f, p, func(*sqlite.Tx) (listing[PermissionChange], error) {
		l := listing[PermissionChange]{
			rows: `SELECT p.customer, p.product, p.allowed, p.by, p.by_user, p.reason, p.command, p.correlation, p.position, p.time FROM permission_changes p`,
			keys: []string{"p.position"}, descending: true, scan: scanPermissionChange,
			key: func(c PermissionChange) []any { return []any{int64(c.Position)} },
		}
		l.conditions.scope(s, "p.partner", "p.customer")
		f.conditions(&l.conditions)
		return l, nil
	}, nil)
}

func scanPermissionChange(row *sql.Rows) (c PermissionChange, err error) {
	err = row.Scan(&c.CustomerID, &c.Product, &c.Allowed, &c.By, &c.ByID, optional[string]{&c.Reason}, &c.CommandID,
		optional[string]{&c.CorrelationID}, &c.Position, moment{&c.Time})
	return c, err
}
