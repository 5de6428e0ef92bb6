package azure

import (
	"cmp"
	"time"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/projections"
)

// purchase buys under the order id in the address. The id makes it repeatable: a request that finds its own order
// there, as it asked for it, is answered with it.
func (d *Door) purchase(r *request) (any, error) {
	id, err := r.orderID()
	if err != nil {
		return nil, err
	}
	sent, err := body.Decode[purchaseBody](r.Request)
	if err != nil {
		return nil, err
	}
	wanted, err := sent.wanted()
	if err != nil {
		return nil, err
	}
	if err := r.checkRenewal(sent); err != nil {
		return nil, err
	}
	customer, err := r.customerOf(wanted.SubscriptionID)
	if err != nil {
		return nil, err
	}
	if err := r.buy(domain.PurchaseReservation{CustomerID: customer, Wanted: wanted, OrderID: id}); err != nil {
		return nil, err
	}
	r.header.Set("Location", r.absolute(orderPath(id), "api-version", versions))
	return r.orderNow(id)
}

// buy sends the purchase. A refusal does not count when the order is there already as it is asked for: then this
// is another try of the request that bought it, whatever has changed since.
func (r *request) buy(c domain.PurchaseReservation) error {
	id, err := newID()
	if err != nil {
		return err
	}
	_, refused := r.execute(id, c, 0)
	if refused == nil {
		return nil
	}
	if err := r.door.gate.Await(r.Context(), r.door.ledger.Book().Head()); err != nil {
		return refused
	}
	o, _, err := r.door.ledger.Models().Order(r.Context(), r.view.Scope, c.OrderID, time.Now())
	switch {
	case err != nil:
		return refused
	case boughtAs(c, r.view.Actor, o):
		return nil
	case o.CustomerID == c.CustomerID && o.SubscriptionID != c.SubscriptionID:
		return badRequest("BillingScopeIdCannotBeChanged", "The order exists and is billed to another subscription, which cannot be changed. Exchange its reservation instead.")
	default:
		return refused
	}
}

// boughtAs reports whether an order is what a purchase of this actor makes.
func boughtAs(c domain.PurchaseReservation, by domain.Actor, o projections.Order) bool {
	w := c.Wanted
	w.DisplayName = cmp.Or(w.DisplayName, w.SKU)
	return o.Kind == projections.Purchase && !o.Reported && o.CustomerID == c.CustomerID && o.BoughtBy.UserID == by.User &&
		w == domain.Wanted{
			SubscriptionID: o.SubscriptionID, Quantity: o.Quantity, Scope: o.Scope, DisplayName: o.DisplayName,
			Offer: domain.Offer{SKU: o.SKU, Region: o.Region, Term: o.Term, BillingPlan: o.BillingPlan},
		}
}
