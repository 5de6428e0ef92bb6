package projections

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// reservationState is the state at a moment, which is its only parameter.
const reservationState = `CASE WHEN r.state = 'active' AND r.expires_at <= ? THEN 'expired' ELSE r.state END`

// reservationRows takes the moment at which state is judged as its first parameter.
const reservationRows = `SELECT ` + reservationState + `, r.id, r.order_id, r.customer, r.bought_by, r.subscription, r.display_name, r.sku, r.region,
	r.term, r.billing_plan, r.family, r.quantity, r.original, r.scope, r.scope_subscription, r.currency, r.unit_price, r.web_direct, r.renew,
	r.purchased_at, r.starts_at, r.expires_at, r.position, r.time, r.changed, r.changed_time
FROM reservations r`

// reaches says that a reservation's discount applies to subscription s at a moment, given twice: while
// it runs, Single to its one subscription and Shared to every one of the customer's that is not deleted,
// those recorded later included (S14).
const reaches = `r.state = 'active' AND r.starts_at <= ? AND r.expires_at > ?
	AND s.customer = r.customer AND s.status <> 'deleted' AND (r.scope = 'Shared' OR r.scope_subscription = s.id)`

// Reservations lists reservations, newest first.
func (m *Models) Reservations(ctx context.Context, s Scope, f ReservationFilter, p Paging) (Page[Reservation], error) {
	at := f.At
	f.At = time.Time{} // the clock moves on from page to page; the list is the same
	return m.reservations(ctx, s, f, p, "reservations", at, func(c *conditions) {
		if f.OrderID.IsZero() {
			c.scope(s, "r.partner", "r.customer")
		} else {
			c.within(s, "r.partner", "r.customer")
			c.and("r.order_id = ?", f.OrderID.UUID[:])
		}
		if f.State != "" {
			c.and(reservationState+" = ?", instant(at), string(f.State))
		}
		if f.ScopeType != "" {
			c.and("r.scope = ?", string(f.ScopeType))
		}
		if !f.Reaches.IsZero() {
			c.and("EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = ? AND "+reaches+")", f.Reaches.UUID[:], instant(at), instant(at))
		}
		if !f.ExpiringBefore.IsZero() {
			c.and("r.expires_at < ?", instant(f.ExpiringBefore))
		}
	})
}

// Reservation is one reservation, with its state at a moment.
func (m *Models) Reservation(ctx context.Context, s Scope, id domain.ReservationID, at time.Time) (Reservation, uint64, error) {
	return first(m.reservations(ctx, s, nil, Paging{Limit: 1}, "reservation", at, func(c *conditions) {
		c.within(s, "r.partner", "r.customer")
		c.and("r.id = ?", id.UUID[:])
	}))
}

// Coverage lists the subscriptions that a reservation reaches at a moment: none before it starts and once
// it is over.
func (m *Models) Coverage(ctx context.Context, s Scope, id domain.ReservationID, at time.Time, p Paging) (Page[Subscription], error) {
	return m.subscriptions(ctx, s, id, p, "coverage", func(tx *sqlite.Tx, c *conditions) error {
		var known bool
		if _, err := tx.One(ctx, []any{&known}, `SELECT EXISTS (SELECT 1 FROM reservations WHERE id = ? AND partner = ?)`,
			id.UUID[:], s.partner.UUID[:]); err != nil {
			return fmt.Errorf("look up reservation %s: %w", id, err)
		}
		if !known {
			return fmt.Errorf("reservation %s: %w", id, ErrNotFound)
		}
		c.and("EXISTS (SELECT 1 FROM reservations r WHERE r.id = ? AND "+reaches+")", id.UUID[:], instant(at), instant(at))
		return nil
	})
}

// reservations lists those that narrow leaves, which puts the scope as well.
func (m *Models) reservations(ctx context.Context, s Scope, filter any, p Paging, name string, at time.Time, narrow func(*conditions)) (Page[Reservation], error) {
	return list(ctx, m, name, s, filter, p, func(*sqlite.Tx) (listing[Reservation], error) {
		l := listing[Reservation]{
			rows: reservationRows, keys: []string{"r.position", "r.id"}, descending: true, scan: scanReservation,
			key: func(r Reservation) []any { return []any{int64(r.Position), r.ReservationID.UUID[:]} },
		}
		l.conditions.args = []any{instant(at)}
		narrow(&l.conditions)
		return l, nil
	}, func(tx *sqlite.Tx, items []Reservation) error { return addLineage(ctx, tx, items) })
}

func scanReservation(row *sql.Rows) (r Reservation, err error) {
	var currency domain.Currency
	var unit, webDirect sql.NullInt64
	err = row.Scan(&r.State, &r.ReservationID, &r.OrderID, &r.CustomerID, &r.BoughtBy, &r.SubscriptionID, &r.DisplayName, &r.SKU, &r.Region,
		&r.Term, &r.BillingPlan, &r.Family, &r.Quantity, &r.OriginalQuantity, &r.Scope.Type, &r.Scope.SubscriptionID, &currency, &unit,
		&webDirect, &r.Renew, moment{&r.PurchasedAt}, moment{&r.StartsAt}, moment{&r.ExpiresAt}, &r.Position, moment{&r.Time},
		&r.Changed, moment{&r.ChangedAt})
	if err != nil {
		return r, err
	}
	return r, money(currency, amount{unit, &r.UnitPrice}, amount{webDirect, &r.WebDirectPrice})
}

// addLineage adds to each reservation those it came from and went to.
func addLineage(ctx context.Context, tx *sqlite.Tx, items []Reservation) error {
	for i := range items {
		id := items[i].ReservationID
		err := tx.Query(ctx, func(row *sql.Rows) error {
			var kind link
			var older, newer domain.ReservationID
			if err := row.Scan(&kind, &older, &newer); err != nil {
				return err
			}
			return items[i].Lineage.add(kind, id, older, newer)
		}, `SELECT kind, older, newer FROM reservation_links WHERE older = ?1
			UNION ALL SELECT kind, older, newer FROM reservation_links WHERE newer = ?1 ORDER BY kind, older, newer`, id.UUID[:])
		if err != nil {
			return fmt.Errorf("read the lineage of %s: %w", id, err)
		}
	}
	return nil
}

// add notes one link of the reservation self.
func (l *Lineage) add(kind link, self, older, newer domain.ReservationID) error {
	lists := map[link]struct{ from, to *[]domain.ReservationID }{
		bySplit:    {&l.SplitFrom, &l.SplitInto},
		byMerge:    {&l.MergedFrom, &l.MergedInto},
		byExchange: {&l.ExchangedFrom, &l.ExchangedTo},
		byRenewal:  {&l.RenewedFrom, &l.RenewedBy},
	}
	list, known := lists[kind]
	switch {
	case !known:
		return fmt.Errorf("%q is no link between reservations", kind)
	case older == self:
		*list.to = append(*list.to, newer)
	default:
		*list.from = append(*list.from, older)
	}
	return nil
}
