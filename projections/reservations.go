package projections

import (
	"time"

	"permledger/domain"
)

// ReservationState is whether a reservation still runs, and if not why.
type ReservationState string

// The states. Expired is a matter of the clock: a query says for which moment it asks.
const (
	ReservationActive    ReservationState = "active"
	ReservationReturned  ReservationState = "returned"
	ReservationExchanged ReservationState = "exchanged"
	ReservationSplit     ReservationState = "split"
	ReservationMerged    ReservationState = "merged"
	ReservationExpired   ReservationState = "expired"
)

// Reservation is one reservation as it stands.
type Reservation struct {
	ReservationID    domain.ReservationID  `json:"reservationId"`
	OrderID          domain.OrderID        `json:"orderId"`
	CustomerID       domain.TenantID       `json:"customerId"`
	BoughtBy         BuyerKind             `json:"boughtBy"`
	SubscriptionID   domain.SubscriptionID `json:"subscriptionId"` // billed
	DisplayName      string                `json:"displayName"`
	SKU              string                `json:"sku"`
	Region           string                `json:"region"`
	Term             domain.Term           `json:"term"`
	BillingPlan      domain.BillingPlan    `json:"billingPlan"`
	Family           string                `json:"family"`
	State            ReservationState      `json:"state"`
	Quantity         int64                 `json:"quantity"` // units it still holds
	OriginalQuantity int64                 `json:"originalQuantity"`
	Scope            domain.Scope          `json:"scope"`
	UnitPrice        domain.Money          `json:"unitPrice"`
	WebDirectPrice   domain.Money          `json:"webDirectPrice"`
	Renew            bool                  `json:"renew"` // renewed automatically at its end
	PurchasedAt      time.Time             `json:"purchasedAt"`
	StartsAt         time.Time             `json:"startsAt"`
	ExpiresAt        time.Time             `json:"expiresAt"`
	Lineage          Lineage               `json:"lineage"`
	Position         uint64                `json:"position"` // at which it came to be
	Time             time.Time             `json:"time"`
	Changed          uint64                `json:"changed"` // newest position about it
	ChangedAt        time.Time             `json:"changedAt"`
}

// Lineage says which reservations one came from and went to.
type Lineage struct {
	SplitFrom     []domain.ReservationID `json:"splitFrom,omitempty"`
	SplitInto     []domain.ReservationID `json:"splitInto,omitempty"`
	MergedFrom    []domain.ReservationID `json:"mergedFrom,omitempty"`
	MergedInto    []domain.ReservationID `json:"mergedInto,omitempty"`
	ExchangedFrom []domain.ReservationID `json:"exchangedFrom,omitempty"`
	ExchangedTo   []domain.ReservationID `json:"exchangedTo,omitempty"`
	RenewedFrom   []domain.ReservationID `json:"renewedFrom,omitempty"`
	RenewedBy     []domain.ReservationID `json:"renewedBy,omitempty"`
}

// ReservationFilter narrows a list of reservations.
type ReservationFilter struct {
	At             time.Time // the moment at which state is judged; required
	State          ReservationState
	ScopeType      domain.ScopeType
	Reaches        domain.SubscriptionID // whose discount applies to this subscription at that moment
	OrderID        domain.OrderID
	ExpiringBefore time.Time // ends before this moment
}

// WithoutPrices is the reservation as a reader sees it who may not see what things cost.
func (r Reservation) WithoutPrices() Reservation {
	r.UnitPrice, r.WebDirectPrice = domain.Money{}, domain.Money{}
	return r
}

var reservationsModel = model{
	name:    "reservations",
	version: 2,
	tables: []table{
		{
			name: "reservations",
			schema: `(
	id           BLOB PRIMARY KEY,
	order_id     BLOB NOT NULL,
	partner      BLOB NOT NULL,
	customer     BLOB NOT NULL,
	bought_by    TEXT NOT NULL,
	subscription BLOB NOT NULL,
	display_name TEXT NOT NULL,
	sku          TEXT NOT NULL,
	region       TEXT NOT NULL,
	term         TEXT NOT NULL,
	billing_plan TEXT NOT NULL,
	family       TEXT NOT NULL,
	state        TEXT NOT NULL,
	quantity     INTEGER NOT NULL,
	original     INTEGER NOT NULL,
	scope        TEXT NOT NULL,
	scope_subscription BLOB,
	currency     TEXT NOT NULL,
	unit_price   INTEGER,
	web_direct   INTEGER,
	renew        INTEGER NOT NULL,
	purchased_at INTEGER NOT NULL,
	starts_at    INTEGER NOT NULL,
	expires_at   INTEGER NOT NULL,
	position     INTEGER NOT NULL,
	time         INTEGER NOT NULL,
	changed      INTEGER NOT NULL,
	changed_time INTEGER NOT NULL
) STRICT`,
			key: "id",
			indexes: []string{
				`CREATE INDEX reservations_by_partner ON reservations (partner, position, id)`,
				`CREATE INDEX reservations_by_customer ON reservations (customer, position, id)`,
				`CREATE INDEX reservations_by_order ON reservations (order_id)`,
			},
		},
		{
			name: "reservation_links",
			schema: `(
	older BLOB NOT NULL,
	newer BLOB NOT NULL,
	kind  TEXT NOT NULL,
	PRIMARY KEY (older, newer)
) STRICT, WITHOUT ROWID`,
			key:     "older, newer",
			indexes: []string{`CREATE INDEX reservation_links_by_newer ON reservation_links (newer)`},
		},
	},
	event: foldReservations,
}

// link says how one reservation came from another.
type link string

const (
	bySplit    link = "split"
	byMerge    link = "merge"
	byExchange link = "exchange"
	byRenewal  link = "renewal"
)

func foldReservations(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.CustomerPurchasedReservation:
		return reserve(b, e, event.Bought, ByCustomer, event.PurchasedAt)
	case domain.PartnerPurchasedReservation:
		return reserve(b, e, event.Bought, ByPartner, event.PurchasedAt)
	case domain.ReservationExchanged:
		if err := takeUnits(b, e, event.ReservationID, event.Quantity, ReservationExchanged); err != nil {
			return err
		}
		for _, to := range event.To {
			if err := succeed(b, e, event.ReservationID, to, byExchange); err != nil {
				return err
			}
		}
		return nil
	case domain.ReservationReturned:
		return takeUnits(b, e, event.ReservationID, event.Quantity, ReservationReturned)
	case domain.ReservationRenewed:
		return renew(b, e, event)
	case domain.ReservationScopeChanged:
		return b.change("reservation", event.ReservationID,
			`UPDATE reservations SET scope = ?, scope_subscription = ?, changed = ?, changed_time = ? WHERE id = ?`,
			string(event.Scope.Type), guid(event.Scope.SubscriptionID.UUID), int64(e.Position), instant(e.Time), guid(event.ReservationID.UUID))
	case domain.ReservationRenamed:
		return b.change("reservation", event.ReservationID,
			`UPDATE reservations SET display_name = ?, changed = ?, changed_time = ? WHERE id = ?`,
			event.DisplayName, int64(e.Position), instant(e.Time), guid(event.ReservationID.UUID))
	case domain.ReservationSplit:
		return becomes(b, e, []domain.ReservationID{event.ReservationID}, event.Into, ReservationSplit, bySplit)
	case domain.ReservationsMerged:
		return becomes(b, e, event.ReservationIDs, []domain.Part{event.Into}, ReservationMerged, byMerge)
	case domain.PartnerRegistered, domain.CustomerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked,
		domain.CustomerPurchasedSavingsPlan, domain.PartnerPurchasedSavingsPlan,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return nil
	default:
		return unknownEvent("reservations", e)
	}
}

var newReservations = appendTo("reservations", "id", "order_id", "partner", "customer", "bought_by", "subscription", "display_name",
	"sku", "region", "term", "billing_plan", "family", "state", "quantity", "original", "scope", "scope_subscription", "currency",
	"unit_price", "web_direct", "renew", "purchased_at", "starts_at", "expires_at", "position", "time", "changed", "changed_time")

// reserve adds a reservation that an order bought.
func reserve(b *batch, e Entry, r domain.Bought, by BuyerKind, at time.Time) error {
	return b.add(newReservations,
		guid(r.ReservationID.UUID), guid(r.OrderID.UUID), guid(e.Partner.UUID), guid(e.Customer.UUID), string(by),
		guid(r.SubscriptionID.UUID), r.DisplayName, r.SKU, r.Region, string(r.Term), string(r.BillingPlan), r.Family,
		string(ReservationActive), r.Quantity, r.Quantity, string(r.Scope.Type), guid(r.Scope.SubscriptionID.UUID),
		string(r.UnitPrice.Currency()), minor(r.UnitPrice), minor(r.WebDirectPrice), 0,
		instant(at), instant(r.StartsAt), instant(r.ExpiresAt), int64(e.Position), instant(e.Time), int64(e.Position), instant(e.Time))
}

// succeed adds a reservation that takes the place of another, which an agent bought (S9).
func succeed(b *batch, e Entry, from domain.ReservationID, to domain.Bought, kind link) error {
	if err := reserve(b, e, to, ByPartner, e.Time); err != nil {
		return err
	}
	return connect(b, from, to.ReservationID, kind)
}

func connect(b *batch, older, newer domain.ReservationID, kind link) error {
	return b.exec(`INSERT INTO reservation_links (older, newer, kind) VALUES (?, ?, ?)`, guid(older.UUID), guid(newer.UUID), string(kind))
}

// takeUnits takes units away from a reservation; without any left it is over.
func takeUnits(b *batch, e Entry, id domain.ReservationID, quantity int64, over ReservationState) error {
	return b.change("reservation", id, `UPDATE reservations SET quantity = quantity - ?1,
		state = CASE WHEN quantity <= ?1 THEN ?2 ELSE state END, renew = CASE WHEN quantity <= ?1 THEN 0 ELSE renew END,
		changed = ?3, changed_time = ?4 WHERE id = ?5`,
		quantity, string(over), int64(e.Position), instant(e.Time), guid(id.UUID))
}

func renew(b *batch, e Entry, event domain.ReservationRenewed) error {
	on := event.Enabled != nil && *event.Enabled // a successor ends automatic renewal as well
	if err := b.change("reservation", event.ReservationID,
		`UPDATE reservations SET renew = ?, changed = ?, changed_time = ? WHERE id = ?`,
		on && event.Successor == nil, int64(e.Position), instant(e.Time), guid(event.ReservationID.UUID)); err != nil {
		return err
	}
	if event.Successor == nil {
		return nil
	}
	if err := succeed(b, e, event.ReservationID, *event.Successor, byRenewal); err != nil {
		return err
	}
	// Decisions know no names, so that the event calls the successor by its size.
	return b.change("reservation", event.Successor.ReservationID,
		`UPDATE reservations SET display_name = (SELECT display_name FROM reservations WHERE id = ?) WHERE id = ?`,
		guid(event.ReservationID.UUID), guid(event.Successor.ReservationID.UUID))
}

// becomes makes new reservations with the terms of those they come from, which are over.
func becomes(b *batch, e Entry, from []domain.ReservationID, into []domain.Part, over ReservationState, kind link) error {
	for _, part := range into {
		err := b.change("reservation", from[0], `INSERT INTO reservations (id, order_id, partner, customer, bought_by, subscription, display_name,
			sku, region, term, billing_plan, family, state, quantity, original, scope, scope_subscription, currency, unit_price, web_direct,
			renew, purchased_at, starts_at, expires_at, position, time, changed, changed_time)
			SELECT ?1, order_id, partner, customer, bought_by, subscription, display_name, sku, region, term, billing_plan, family, 'active',
			?2, ?2, scope, scope_subscription, currency, unit_price, web_direct, 0, purchased_at, starts_at, expires_at, ?3, ?4, ?3, ?4
			FROM reservations WHERE id = ?5`,
			guid(part.ReservationID.UUID), part.Quantity, int64(e.Position), instant(e.Time), guid(from[0].UUID))
		if err != nil {
			return err
		}
		for _, id := range from {
			if err := connect(b, id, part.ReservationID, kind); err != nil {
				return err
			}
		}
	}
	for _, id := range from {
		err := b.change("reservation", id, `UPDATE reservations SET quantity = 0, state = ?, renew = 0, changed = ?, changed_time = ? WHERE id = ?`,
			string(over), int64(e.Position), instant(e.Time), guid(id.UUID))
		if err != nil {
			return err
		}
	}
	return nil
}
