package projections

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Subscription is an Azure subscription that the partner bought for a customer, with who holds which
// role on it.
type Subscription struct {
	SubscriptionID domain.SubscriptionID     `json:"subscriptionId"`
	CustomerID     domain.TenantID           `json:"customerId"`
	Kind           domain.SubscriptionKind   `json:"kind"`
	Name           string                    `json:"name"`
	Status         domain.SubscriptionStatus `json:"status"`
	StatusSince    time.Time                 `json:"statusSince"`
	Roles          []RoleHolder              `json:"roles"`
	Position       uint64                    `json:"position"` // at which it was recorded
	Changed        uint64                    `json:"changed"`  // at which its status last changed
	Time           time.Time                 `json:"time"`
}

// RoleHolder is one user's role on one subscription.
type RoleHolder struct {
	UserID            domain.UserID           `json:"userId"`
	UserPrincipalName string                  `json:"userPrincipalName"`
	Role              domain.SubscriptionRole `json:"role"`
	Since             time.Time               `json:"since"`
	Position          uint64                  `json:"position"`
}

// SubscriptionFilter narrows a list of subscriptions.
type SubscriptionFilter struct {
	Kind   domain.SubscriptionKind
	Status domain.SubscriptionStatus
	Owner  domain.UserID // on which this user holds the role Owner
}

var subscriptionsModel = model{
	name:    "subscriptions",
	version: 1,
	tables: []table{
		{
			name: "subscriptions",
			schema: `(
	id          BLOB PRIMARY KEY,
	partner     BLOB NOT NULL,
	customer    BLOB NOT NULL,
	kind        TEXT NOT NULL,
	name        TEXT NOT NULL,
	status      TEXT NOT NULL,
	status_time INTEGER NOT NULL,
	position    INTEGER NOT NULL,
	changed     INTEGER NOT NULL,
	time        INTEGER NOT NULL
) STRICT`,
			key: "id",
			indexes: []string{
				`CREATE INDEX subscriptions_by_partner ON subscriptions (partner, position)`,
				`CREATE INDEX subscriptions_by_customer ON subscriptions (customer, position)`,
			},
		},
		{
			name: "subscription_roles",
			schema: `(
	subscription BLOB NOT NULL,
	user         BLOB NOT NULL,
	role         TEXT NOT NULL,
	upn          TEXT NOT NULL,
	position     INTEGER NOT NULL,
	time         INTEGER NOT NULL,
	PRIMARY KEY (subscription, user, role)
) STRICT, WITHOUT ROWID`,
			key: "subscription, user, role",
		},
	},
	event: foldSubscriptions,
}

func foldSubscriptions(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.SubscriptionRecorded:
		return b.exec(`INSERT INTO subscriptions (id, partner, customer, kind, name, status, status_time, position, changed, time)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			guid(event.SubscriptionID.UUID), guid(e.Partner.UUID), guid(e.Customer.UUID), string(event.Kind), event.Name,
			string(domain.Active), instant(e.Time), int64(e.Position), int64(e.Position), instant(e.Time))
	case domain.SubscriptionStatusChanged:
		return b.change("subscription", event.SubscriptionID,
			`UPDATE subscriptions SET status = ?, status_time = ?, changed = ? WHERE id = ?`,
			string(event.Status), instant(e.Time), int64(e.Position), guid(event.SubscriptionID.UUID))
	case domain.SubscriptionRoleAssigned:
		return b.exec(`INSERT INTO subscription_roles (subscription, user, role, upn, position, time) VALUES (?, ?, ?, ?, ?, ?)`,
			guid(event.SubscriptionID.UUID), guid(event.UserID.UUID), string(event.Role), event.UserPrincipalName,
			int64(e.Position), instant(e.Time))
	case domain.SubscriptionRoleRemoved:
		return b.change("role on subscription", event.SubscriptionID,
			`DELETE FROM subscription_roles WHERE subscription = ? AND user = ? AND role = ?`,
			guid(event.SubscriptionID.UUID), guid(event.UserID.UUID), string(event.Role))
	case domain.PartnerRegistered, domain.CustomerRegistered,
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
		return unknownEvent("subscriptions", e)
	}
}

// Subscriptions lists subscriptions in the order in which they were recorded.
func (m *Models) Subscriptions(ctx context.Context, s Scope, f SubscriptionFilter, p Paging) (Page[Subscription], error) {
	return m.subscriptions(ctx, s, f, p, "subscriptions", func(_ *sqlite.Tx, c *conditions) error {
		if f.Kind != "" {
			c.and("s.kind = ?", string(f.Kind))
		}
		if f.Status != "" {
			c.and("s.status = ?", string(f.Status))
		}
		if !f.Owner.IsZero() {
			c.and(`EXISTS (SELECT 1 FROM subscription_roles r WHERE r.subscription = s.id AND r.user = ? AND r.role = 'Owner')`, f.Owner.UUID[:])
		}
		return nil
	})
}

// Subscription is one subscription.
func (m *Models) Subscription(ctx context.Context, s Scope, id domain.SubscriptionID) (Subscription, uint64, error) {
	return first(m.subscriptions(ctx, s, nil, Paging{Limit: 1}, "subscription", func(_ *sqlite.Tx, c *conditions) error {
		c.and("s.id = ?", id.UUID[:])
		return nil
	}))
}

// subscriptions lists those that narrow leaves, with their roles.
func (m *Models) subscriptions(ctx context.Context, s Scope, filter any, p Paging, name string, narrow func(*sqlite.Tx, *conditions) error) (Page[Subscription], error) {
	return list(ctx, m, name, s, filter, p, func(tx *sqlite.Tx) (listing[Subscription], error) {
		l := listing[Subscription]{
			rows: `SELECT s.id, s.customer, s.kind, s.name, s.status, s.status_time, s.position, s.changed, s.time FROM subscriptions s`,
			keys: []string{"s.position"}, scan: scanSubscription,
			key: func(s Subscription) []any { return []any{int64(s.Position)} },
		}
		l.conditions.scope(s, "s.partner", "s.customer")
		return l, narrow(tx, &l.conditions)
	}, func(tx *sqlite.Tx, items []Subscription) error { return addRoles(ctx, tx, items) })
}

func scanSubscription(row *sql.Rows) (s Subscription, err error) {
	s.Roles = []RoleHolder{}
	err = row.Scan(&s.SubscriptionID, &s.CustomerID, &s.Kind, &s.Name, &s.Status, moment{&s.StatusSince}, &s.Position, &s.Changed, moment{&s.Time})
	return s, err
}

// addRoles adds to each subscription who holds which role on it.
func addRoles(ctx context.Context, tx *sqlite.Tx, items []Subscription) error {
	for i := range items {
		err := tx.Query(ctx, func(row *sql.Rows) error {
			var h RoleHolder
			err := row.Scan(&h.UserID, &h.UserPrincipalName, &h.Role, &h.Position, moment{&h.Since})
			items[i].Roles = append(items[i].Roles, h)
			return err
		}, `SELECT user, upn, role, position, time FROM subscription_roles WHERE subscription = ? ORDER BY position`,
			items[i].SubscriptionID.UUID[:])
		if err != nil {
			return fmt.Errorf("list roles: %w", err)
		}
	}
	return nil
}
