package projections

import (
	"context"
	"database/sql"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Price is what a customer pays now for one unit for the whole term, beside what the portal shows (S13).
type Price struct {
	CustomerID     domain.TenantID    `json:"customerId"`
	SKU            string             `json:"sku"`
	Region         string             `json:"region"`
	Term           domain.Term        `json:"term"`
	BillingPlan    domain.BillingPlan `json:"billingPlan"`
	Family         string             `json:"family"`
	CustomerPrice  domain.Money       `json:"customerPrice"`
	WebDirectPrice domain.Money       `json:"webDirectPrice"`
	SetBy          string             `json:"setBy"`
	Position       uint64             `json:"position"`
	Time           time.Time          `json:"time"`
}

// PriceFilter narrows a price list.
type PriceFilter struct {
	SKU    string
	Region string
}

var pricesModel = model{
	name:    "prices",
	version: 1,
	tables: []table{{
		name: "prices",
		schema: `(
	customer       BLOB NOT NULL,
	sku            TEXT NOT NULL,
	region         TEXT NOT NULL,
	term           TEXT NOT NULL,
	billing_plan   TEXT NOT NULL,
	partner        BLOB NOT NULL,
	family         TEXT NOT NULL,
	currency       TEXT NOT NULL,
	customer_price INTEGER NOT NULL,
	web_direct     INTEGER NOT NULL,
	set_by         TEXT NOT NULL,
	position       INTEGER NOT NULL,
	time           INTEGER NOT NULL,
	PRIMARY KEY (customer, sku, region, term, billing_plan)
) STRICT, WITHOUT ROWID`,
		key:     "customer, sku, region, term, billing_plan",
		indexes: []string{`CREATE INDEX prices_by_partner ON prices (partner, customer, sku, region, term, billing_plan)`},
	}},
	event: foldPrices,
}

func foldPrices(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.ReservationPriceSet:
		return b.exec(`INSERT OR REPLACE INTO prices
			(customer, sku, region, term, billing_plan, partner, family, currency, customer_price, web_direct, set_by, position, time)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			guid(e.Customer.UUID), event.SKU, event.Region, string(event.Term), string(event.BillingPlan), guid(e.Partner.UUID), event.Family,
			string(event.CustomerPrice.Currency()), event.CustomerPrice.Minor(), event.WebDirectPrice.Minor(),
			e.Actor.Name(), int64(e.Position), instant(e.Time))
	case domain.PartnerRegistered, domain.CustomerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked,
		domain.CustomerPurchasedReservation, domain.PartnerPurchasedReservation,
		domain.CustomerPurchasedSavingsPlan, domain.PartnerPurchasedSavingsPlan,
		domain.ReservationExchanged, domain.ReservationReturned, domain.ReservationRenewed,
		domain.ReservationScopeChanged, domain.ReservationRenamed, domain.ReservationSplit, domain.ReservationsMerged,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return nil
	default:
		return unknownEvent("prices", e)
	}
}

// Prices lists the price list in force. It is for readers who may see what things cost.
func (m *Models) Prices(ctx context.Context, s Scope, f PriceFilter, p Paging) (Page[Price], error) {
	return list(ctx, m, "prices", s, f, p, func(*sqlite.Tx) (listing[Price], error) {
		l := listing[Price]{
			rows: `SELECT p.customer, p.sku, p.region, p.term, p.billing_plan, p.family, p.currency, p.customer_price, p.web_direct, p.set_by, p.position, p.time FROM prices p`,
			keys: []string{"p.customer", "p.sku", "p.region", "p.term", "p.billing_plan"}, scan: scanPrice,
			key: func(p Price) []any {
				return []any{p.CustomerID.UUID[:], p.SKU, p.Region, string(p.Term), string(p.BillingPlan)}
			},
		}
		l.conditions.scope(s, "p.partner", "p.customer")
		if f.SKU != "" {
			l.conditions.and("p.sku = ?", f.SKU)
		}
		if f.Region != "" {
			l.conditions.and("p.region = ?", f.Region)
		}
		return l, nil
	}, nil)
}

func scanPrice(row *sql.Rows) (p Price, err error) {
	var currency domain.Currency
	var customer, webDirect sql.NullInt64
	if err := row.Scan(&p.CustomerID, &p.SKU, &p.Region, &p.Term, &p.BillingPlan, &p.Family, &currency, &customer, &webDirect,
		&p.SetBy, &p.Position, moment{&p.Time}); err != nil {
		return p, err
	}
	return p, money(currency, amount{customer, &p.CustomerPrice}, amount{webDirect, &p.WebDirectPrice})
}
