package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// BuyerKind says whether a customer's user or the partner bought.
type BuyerKind string

// The kinds of buyer.
const (
	ByCustomer BuyerKind = "customer"
	ByPartner  BuyerKind = "partner"
)

// OrderKind says what made an order.
type OrderKind string

// The kinds of order: bought anew, bought in exchange, or bought as the successor of one that ends.
const (
	Purchase OrderKind = "purchase"
	Exchange OrderKind = "exchange"
	Renewal  OrderKind = "renewal"
)

// OrderStatus is what became of an order.
type OrderStatus string

// The statuses. An order is active while any of its units still runs; with none left it is what took
// the last one away.
const (
	OrderActive    OrderStatus = "active"
	OrderReturned  OrderStatus = "returned"
	OrderExchanged OrderStatus = "exchanged"
	OrderExpired   OrderStatus = "expired"
)

// Buyer is who bought.
type Buyer struct {
	Kind              BuyerKind     `json:"kind"`
	UserID            domain.UserID `json:"userId,omitzero"` // zero for an application
	UserPrincipalName string        `json:"userPrincipalName"`
}

// Order is one line of the order history, in which the customer's purchases and the partner's stand side
// by side (S11). An exchange buys several reservations with one order: sku, region, term, billing plan,
// scope and reservation id are then the first one's, quantity and total those of all. A savings plan is one
// unit without reservation, region and unit price.
type Order struct {
	OrderID           domain.OrderID        `json:"orderId"`
	CustomerID        domain.TenantID       `json:"customerId"`
	Kind              OrderKind             `json:"kind"`
	Product           domain.Product        `json:"product"`
	BoughtBy          Buyer                 `json:"boughtBy"`
	BilledTo          domain.TenantID       `json:"billedTo"` // always the partner (S8)
	Status            OrderStatus           `json:"status"`
	Quantity          int64                 `json:"quantity"` // as bought
	ReturnedQuantity  int64                 `json:"returnedQuantity"`
	ExchangedQuantity int64                 `json:"exchangedQuantity"`
	Term              domain.Term           `json:"term"`
	BillingPlan       domain.BillingPlan    `json:"billingPlan"`
	SKU               string                `json:"sku"`
	Region            string                `json:"region"`
	DisplayName       string                `json:"displayName"`
	UnitPrice         domain.Money          `json:"unitPrice"`           // what the customer pays; null when unknown
	Commitment        domain.Money          `json:"commitment,omitzero"` // an hour, of a savings plan
	Total             domain.Money          `json:"total"`
	WebDirectPrice    domain.Money          `json:"webDirectPrice"` // of one unit (S13)
	Scope             domain.Scope          `json:"scope"`
	SubscriptionID    domain.SubscriptionID `json:"subscriptionId"` // billed
	ReservationID     domain.ReservationID  `json:"reservationId,omitzero"`
	Reservations      []OrderLine           `json:"reservations,omitempty"` // only where there are several
	From              *OrderSource          `json:"from,omitempty"`         // of an exchange or a renewal
	Authorised        bool                  `json:"authorised"`             // S7 held, or an agent bought (S15)
	Broke             []domain.Reason       `json:"broke,omitempty"`        // the rules a reported purchase broke
	Reported          bool                  `json:"reported"`               // told afterwards by the partner
	PurchasedAt       time.Time             `json:"purchasedAt"`
	StartsAt          time.Time             `json:"startsAt"`
	ExpiresAt         time.Time             `json:"expiresAt"` // of the reservation that runs longest
	Reason            string                `json:"reason,omitempty"`
	CommandID         domain.CommandID      `json:"commandId"`
	Position          uint64                `json:"position"`
	Time              time.Time             `json:"time"`    // when it was recorded
	Changed           uint64                `json:"changed"` // newest position that returned or exchanged units
}

// OrderLine is one of several reservations that an order bought.
type OrderLine struct {
	ReservationID  domain.ReservationID  `json:"reservationId"`
	SubscriptionID domain.SubscriptionID `json:"subscriptionId"`
	SKU            string                `json:"sku"`
	Region         string                `json:"region"`
	Term           domain.Term           `json:"term"`
	BillingPlan    domain.BillingPlan    `json:"billingPlan"`
	Quantity       int64                 `json:"quantity"`
	Scope          domain.Scope          `json:"scope"`
	DisplayName    string                `json:"displayName"`
	UnitPrice      domain.Money          `json:"unitPrice"`
	Total          domain.Money          `json:"total"`
	WebDirectPrice domain.Money          `json:"webDirectPrice"`
	ExpiresAt      time.Time             `json:"expiresAt"`
}

// OrderSource is the reservation that an exchange gave back or a renewal succeeds.
type OrderSource struct {
	OrderID       domain.OrderID       `json:"orderId"`
	ReservationID domain.ReservationID `json:"reservationId"`
}

// OrderFilter narrows a list of orders.
type OrderFilter struct {
	At             time.Time // the moment at which status is judged; required
	BoughtBy       BuyerKind
	Kind           OrderKind
	Product        domain.Product
	SKU            string
	Status         OrderStatus
	SubscriptionID domain.SubscriptionID // billed
	Authorised     *bool
	Since, Until   time.Time // recorded at or after Since, before Until
}

// WithoutPrices is the order as a reader sees it who may not see what things cost.
func (o Order) WithoutPrices() Order {
	o.UnitPrice, o.Commitment, o.Total, o.WebDirectPrice = domain.Money{}, domain.Money{}, domain.Money{}, domain.Money{}
	lines := make([]OrderLine, len(o.Reservations))
	for i, l := range o.Reservations {
		l.UnitPrice, l.Total, l.WebDirectPrice = domain.Money{}, domain.Money{}, domain.Money{}
		lines[i] = l
	}
	o.Reservations = lines
	return o
}

var ordersModel = model{
	name:    "orders",
	version: 3,
	tables: []table{{
		name: "orders",
		schema: `(
	position     INTEGER PRIMARY KEY,
	order_id     BLOB NOT NULL,
	partner      BLOB NOT NULL,
	customer     BLOB NOT NULL,
	kind         TEXT NOT NULL,
	product      TEXT NOT NULL,
	bought_by    TEXT NOT NULL,
	user         BLOB,
	upn          TEXT NOT NULL,
	billed_to    BLOB NOT NULL,
	status       TEXT NOT NULL,
	quantity     INTEGER NOT NULL,
	returned     INTEGER NOT NULL,
	exchanged    INTEGER NOT NULL,
	term         TEXT NOT NULL,
	billing_plan TEXT NOT NULL,
	sku          TEXT NOT NULL,
	region       TEXT NOT NULL,
	display_name TEXT NOT NULL,
	currency     TEXT NOT NULL,
	unit_price   INTEGER,
	commitment   INTEGER,
	total        INTEGER,
	web_direct   INTEGER,
	scope        TEXT NOT NULL,
	scope_subscription BLOB,
	subscription BLOB NOT NULL,
	reservation  BLOB,
	lines        TEXT,
	from_order   BLOB,
	from_reservation BLOB,
	authorised   INTEGER NOT NULL,
	broke        TEXT,
	reported     INTEGER NOT NULL,
	purchased_at INTEGER NOT NULL,
	starts_at    INTEGER NOT NULL,
	expires_at   INTEGER NOT NULL,
	reason       TEXT,
	command      BLOB NOT NULL,
	time         INTEGER NOT NULL,
	changed      INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_by_id ON orders (order_id, customer)`,
		key: "position",
		indexes: []string{
			`CREATE INDEX orders_by_partner ON orders (partner, position)`,
			`CREATE INDEX orders_by_customer ON orders (customer, position)`,
		},
	}},
	event: foldOrders,
}

func foldOrders(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.CustomerPurchasedReservation:
		return order(b, e, bought{
			kind: Purchase, product: domain.AzureReservedInstances, by: Buyer{ByCustomer, event.UserID, event.UserPrincipalName}, at: event.PurchasedAt, total: event.Total,
			reported: event.Reported, authorised: event.Authorised, broke: event.Broke,
		}, event.Bought)
	case domain.PartnerPurchasedReservation:
		return order(b, e, bought{
			kind: Purchase, product: domain.AzureReservedInstances, by: Buyer{ByPartner, event.UserID, event.UserPrincipalName}, at: event.PurchasedAt, total: event.Total,
			authorised: true,
		}, event.Bought)
	case domain.CustomerPurchasedSavingsPlan:
		return savingsPlan(b, e, event.SavingsPlan, bought{
			by: Buyer{ByCustomer, event.UserID, event.UserPrincipalName}, at: event.PurchasedAt,
			reported: event.Reported, authorised: event.Authorised, broke: event.Broke,
		})
	case domain.PartnerPurchasedSavingsPlan:
		return savingsPlan(b, e, event.SavingsPlan, bought{
			by: Buyer{ByPartner, event.UserID, event.UserPrincipalName}, at: event.PurchasedAt, authorised: true,
		})
	case domain.ReservationExchanged:
		if err := leave(b, e, event.OrderID, event.Quantity, OrderExchanged, "exchanged"); err != nil {
			return err
		}
		return order(b, e, bought{
			kind: Exchange, product: domain.AzureReservedInstances, by: Buyer{ByPartner, e.Actor.User, e.Actor.UPN}, at: e.Time, total: event.NewCommitment,
			authorised: true, from: OrderSource{event.OrderID, event.ReservationID},
		}, event.To...)
	case domain.ReservationReturned:
		return leave(b, e, event.OrderID, event.Quantity, OrderReturned, "returned")
	case domain.ReservationRenewed:
		if event.Successor == nil {
			return nil // automatic renewal was switched, nothing bought
		}
		if err := order(b, e, bought{
			kind: Renewal, product: domain.AzureReservedInstances, by: Buyer{ByPartner, e.Actor.User, e.Actor.UPN}, at: e.Time, total: event.Successor.Total,
			authorised: true, from: OrderSource{event.OrderID, event.ReservationID},
		}, *event.Successor); err != nil {
			return err
		}
		return b.change("order", event.Successor.OrderID, `UPDATE orders SET display_name = (SELECT display_name FROM reservations WHERE id = ?) WHERE position = ?`,
			guid(event.Successor.ReservationID.UUID), int64(e.Position))
	case domain.PartnerRegistered, domain.CustomerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked,
		domain.ReservationScopeChanged, domain.ReservationRenamed, domain.ReservationSplit, domain.ReservationsMerged,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return nil
	default:
		return unknownEvent("orders", e)
	}
}

// bought is what an order says beside its reservations.
type bought struct {
	kind       OrderKind
	product    domain.Product
	by         Buyer
	at         time.Time
	commitment domain.Money // an hour, of a savings plan
	total      domain.Money
	from       OrderSource
	reported   bool
	authorised bool
	broke      []domain.Reason
}

var newOrders = appendTo("orders", "position", "order_id", "partner", "customer", "kind", "product", "bought_by", "user", "upn",
	"billed_to", "status", "quantity", "returned", "exchanged", "term", "billing_plan", "sku", "region", "display_name", "currency",
	"unit_price", "commitment", "total", "web_direct", "scope", "scope_subscription", "subscription", "reservation", "lines", "from_order",
	"from_reservation", "authorised", "broke", "reported", "purchased_at", "starts_at", "expires_at", "reason", "command", "time", "changed")

// order adds an order with its reservations, or the one line of a savings plan.
func order(b *batch, e Entry, o bought, lines ...domain.Bought) error {
	if len(lines) == 0 {
		return errors.New("an order without a reservation")
	}
	one, quantity, expires := lines[0], int64(0), time.Time{}
	for _, l := range lines {
		quantity += l.Quantity
		if l.ExpiresAt.After(expires) {
			expires = l.ExpiresAt
		}
	}
	several, err := linesJSON(lines)
	if err != nil {
		return err
	}
	broke, err := json.Marshal(o.broke)
	if err != nil {
		return fmt.Errorf("encode the broken rules: %w", err)
	}
	if len(o.broke) == 0 {
		broke = nil
	}
	return b.add(newOrders,
		int64(e.Position), guid(one.OrderID.UUID), guid(e.Partner.UUID), guid(e.Customer.UUID), string(o.kind),
		string(o.product), string(o.by.Kind), guid(o.by.UserID.UUID), o.by.UserPrincipalName,
		guid(one.BilledTo.UUID), string(OrderActive), quantity, 0, 0, string(one.Term), string(one.BillingPlan), one.SKU, one.Region,
		one.DisplayName, string(o.total.Currency()), minor(one.UnitPrice), minor(o.commitment), minor(o.total), minor(one.WebDirectPrice),
		string(one.Scope.Type), guid(one.Scope.SubscriptionID.UUID), guid(one.SubscriptionID.UUID), guid(one.ReservationID.UUID),
		several, guid(o.from.OrderID.UUID), guid(o.from.ReservationID.UUID), o.authorised, text(string(broke)), o.reported,
		instant(o.at), instant(one.StartsAt), instant(expires), text(e.Reason), guid(e.Command.UUID), instant(e.Time), int64(e.Position))
}

// savingsPlanSKU is the size under which a savings plan stands beside reservations.
const savingsPlanSKU = "Compute_Savings_Plan"

// savingsPlan adds an order of a savings plan.
func savingsPlan(b *batch, e Entry, p domain.SavingsPlan, o bought) error {
	o.kind, o.product, o.commitment, o.total = Purchase, domain.AzureSavingsPlan, p.Commitment, p.Total
	return order(b, e, o, domain.Bought{
		OrderID: p.OrderID, SubscriptionID: p.SubscriptionID, Quantity: 1, Scope: p.Scope, DisplayName: p.DisplayName,
		Offer:    domain.Offer{SKU: savingsPlanSKU, Term: p.Term, BillingPlan: p.BillingPlan},
		BilledTo: p.BilledTo, StartsAt: p.StartsAt, ExpiresAt: p.ExpiresAt,
	})
}

// linesJSON stores the reservations of an order that has several; NULL for the usual one.
func linesJSON(bought []domain.Bought) (any, error) {
	if len(bought) < 2 {
		return nil, nil
	}
	lines := make([]OrderLine, len(bought))
	for i, l := range bought {
		lines[i] = OrderLine{
			ReservationID: l.ReservationID, SubscriptionID: l.SubscriptionID, SKU: l.SKU, Region: l.Region, Term: l.Term,
			BillingPlan: l.BillingPlan, Quantity: l.Quantity, Scope: l.Scope, DisplayName: l.DisplayName,
			UnitPrice: l.UnitPrice, Total: l.Total, WebDirectPrice: l.WebDirectPrice, ExpiresAt: l.ExpiresAt.UTC(),
		}
	}
	content, err := json.Marshal(lines)
	if err != nil {
		return nil, fmt.Errorf("encode the reservations of an order: %w", err)
	}
	return string(content), nil
}

// leave takes units out of an order, which is over once none is left.
func leave(b *batch, e Entry, id domain.OrderID, quantity int64, over OrderStatus, column string) error {
	return b.change("order", id, `UPDATE orders SET `+column+` = `+column+` + ?, changed = ?,
		status = CASE WHEN quantity - returned - exchanged - ? <= 0 THEN ? ELSE status END
		WHERE customer = ? AND order_id = ?`,
		quantity, int64(e.Position), quantity, string(over), guid(e.Customer.UUID), guid(id.UUID))
}

// orderStatus is the status at a moment, which is its only parameter.
const orderStatus = `CASE WHEN o.status = 'active' AND o.expires_at <= ? THEN 'expired' ELSE o.status END`

// orderRows takes the moment at which status is judged as its first parameter.
const orderRows = `SELECT ` + orderStatus + `, o.position, o.order_id, o.customer, o.kind, o.product, o.bought_by, o.user, o.upn, o.billed_to,
	o.quantity, o.returned, o.exchanged, o.term, o.billing_plan, o.sku, o.region, o.display_name, o.currency, o.unit_price, o.commitment, o.total, o.web_direct,
	o.scope, o.scope_subscription, o.subscription, o.reservation, o.lines, o.from_order, o.from_reservation, o.authorised, o.broke, o.reported,
	o.purchased_at, o.starts_at, o.expires_at, o.reason, o.command, o.time, o.changed
FROM orders o`

// Orders lists orders, newest first.
func (m *Models) Orders(ctx context.Context, s Scope, f OrderFilter, p Paging) (Page[Order], error) {
	at := f.At
	f.At = time.Time{} // the clock moves on from page to page; the list is the same
	return m.orders(ctx, s, f, p, "orders", at, func(tx *sqlite.Tx, c *conditions) error {
		c.scope(s, "o.partner", "o.customer")
		for _, equal := range []struct{ column, value string }{
			{"o.bought_by", string(f.BoughtBy)}, {"o.kind", string(f.Kind)}, {"o.product", string(f.Product)},
		} {
			if equal.value != "" {
				c.and(equal.column+" = ?", equal.value)
			}
		}
		if f.SKU != "" {
			c.and(`(o.sku = ? OR EXISTS (SELECT 1 FROM json_each(o.lines) l WHERE l.value ->> 'sku' = ?))`, f.SKU, f.SKU)
		}
		if f.Status != "" {
			c.and(orderStatus+" = ?", instant(at), string(f.Status))
		}
		if !f.SubscriptionID.IsZero() {
			c.and(`(o.subscription = ? OR EXISTS (SELECT 1 FROM json_each(o.lines) l WHERE l.value ->> 'subscriptionId' = ?))`,
				f.SubscriptionID.UUID[:], f.SubscriptionID.String())
		}
		if f.Authorised != nil {
			c.and("o.authorised = ?", *f.Authorised)
		}
		return c.between(ctx, tx, "o.position", f.Since, f.Until)
	})
}

// Order is one order, with its status at a moment.
func (m *Models) Order(ctx context.Context, s Scope, id domain.OrderID, at time.Time) (Order, uint64, error) {
	return first(m.orders(ctx, s, nil, Paging{Limit: 1}, "order", at, func(_ *sqlite.Tx, c *conditions) error {
		c.within(s, "o.partner", "o.customer")
		c.and("o.order_id = ?", id.UUID[:])
		return nil
	}))
}

// orders lists those that narrow leaves, which puts the scope as well.
func (m *Models) orders(ctx context.Context, s Scope, filter any, p Paging, name string, at time.Time, narrow func(*sqlite.Tx, *conditions) error) (Page[Order], error) {
	return list(ctx, m, name, s, filter, p, func(tx *sqlite.Tx) (listing[Order], error) {
		l := listing[Order]{
			rows: orderRows, keys: []string{"o.position"}, descending: true, scan: scanOrder,
			key: func(o Order) []any { return []any{int64(o.Position)} },
		}
		l.conditions.args = []any{instant(at)}
		return l, narrow(tx, &l.conditions)
	}, nil)
}

func scanOrder(row *sql.Rows) (o Order, err error) {
	var currency domain.Currency
	var unit, commitment, total, webDirect sql.NullInt64
	var lines, broke string
	var from OrderSource
	err = row.Scan(&o.Status, &o.Position, &o.OrderID, &o.CustomerID, &o.Kind, &o.Product, &o.BoughtBy.Kind, &o.BoughtBy.UserID,
		&o.BoughtBy.UserPrincipalName, &o.BilledTo, &o.Quantity, &o.ReturnedQuantity, &o.ExchangedQuantity, &o.Term, &o.BillingPlan,
		&o.SKU, &o.Region, &o.DisplayName, &currency, &unit, &commitment, &total, &webDirect, &o.Scope.Type, &o.Scope.SubscriptionID,
		&o.SubscriptionID, &o.ReservationID, optional[string]{&lines}, &from.OrderID, &from.ReservationID, &o.Authorised,
		optional[string]{&broke}, &o.Reported, moment{&o.PurchasedAt}, moment{&o.StartsAt}, moment{&o.ExpiresAt},
		optional[string]{&o.Reason}, &o.CommandID, moment{&o.Time}, &o.Changed)
	if err != nil {
		return o, err
	}
	if !from.OrderID.IsZero() {
		o.From = &from
	}
	for _, part := range []struct {
		stored string
		into   any
	}{{lines, &o.Reservations}, {broke, &o.Broke}} {
		if part.stored == "" {
			continue
		}
		if err := json.Unmarshal([]byte(part.stored), part.into); err != nil {
			return o, fmt.Errorf("order %s: %w", o.OrderID, err)
		}
	}
	return o, money(currency, amount{unit, &o.UnitPrice}, amount{commitment, &o.Commitment}, amount{total, &o.Total}, amount{webDirect, &o.WebDirectPrice})
}
