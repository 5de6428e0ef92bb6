package domain

import (
	"fmt"
	"time"
)

// CustomerPurchasedReservation says that a customer's user bought, itself or as its partner reported.
// The partner is billed all the same (S8). A report that broke S7 names the rules under Broke.
type CustomerPurchasedReservation struct {
	Bought
	UserID            UserID    `json:"userId"`
	UserPrincipalName string    `json:"userPrincipalName"`
	PurchasedAt       time.Time `json:"purchasedAt"`
	Reported          bool      `json:"reported"`   // told afterwards by the partner, not asked before
	Authorised        bool      `json:"authorised"` // S7 held at this position
	Broke             []Reason  `json:"broke,omitempty"`
}

// PartnerPurchasedReservation says that an agent bought for the customer (S15). UserID is absent when
// an application did.
type PartnerPurchasedReservation struct {
	Bought
	UserID            UserID    `json:"userId,omitzero"`
	UserPrincipalName string    `json:"userPrincipalName,omitempty"`
	PurchasedAt       time.Time `json:"purchasedAt"`
}

// EventType implements Event.
func (CustomerPurchasedReservation) EventType() string { return "CustomerPurchasedReservation" }

// EventType implements Event.
func (PartnerPurchasedReservation) EventType() string { return "PartnerPurchasedReservation" }

// Wanted is one reservation to buy.
type Wanted struct {
	SubscriptionID SubscriptionID `json:"subscriptionId" format:"uuid" doc:"Billing subscription"`
	Offer
	Quantity    int64  `json:"quantity" minimum:"1" maximum:"1000000"`
	Scope       Scope  `json:"scope"`
	DisplayName string `json:"displayName,omitempty" maxLength:"256" doc:"The sku when absent"`
}

// PurchaseReservation buys: for itself when a customer's user sends it (S6, S7), on the customer's
// behalf when an agent does (S15).
type PurchaseReservation struct {
	CustomerID TenantID `json:"customerId" format:"uuid"`
	Wanted
	OrderID OrderID `json:"orderId,omitzero" format:"uuid" doc:"Made from the command id when absent"`
	Note
}

// ReportCustomerPurchase is sent under the name CustomerPurchasedReservation: the partner reports what
// the customer bought outside. A fact cannot be refused; where S7 fails it is recorded as unauthorised.
type ReportCustomerPurchase struct {
	CustomerID TenantID `json:"customerId" format:"uuid"`
	Wanted
	OrderID           OrderID   `json:"orderId,omitzero" format:"uuid" doc:"Made from the command id when absent"`
	UserID            UserID    `json:"userId" format:"uuid" doc:"Object id of the customer's user who bought"`
	UserPrincipalName string    `json:"userPrincipalName" minLength:"1" maxLength:"256"`
	PurchasedAt       time.Time `json:"purchasedAt" doc:"When the customer bought, RFC 3339"`
	Note
}

// CommandName implements Command.
func (PurchaseReservation) CommandName() string { return "PurchaseReservation" }

// CommandName implements Command.
func (ReportCustomerPurchase) CommandName() string { return "CustomerPurchasedReservation" }

func (c PurchaseReservation) target() TenantID    { return c.CustomerID }
func (c ReportCustomerPurchase) target() TenantID { return c.CustomerID }

func (PurchaseReservation) permit() permit {
	return permit{roles: AdminAgent | SalesAgent | CustomerUser, rule: "S15"}
}

func (ReportCustomerPurchase) permit() permit {
	return permit{roles: AdminAgent | SalesAgent, rule: "S15"}
}

func (c PurchaseReservation) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	c.check(f, "")
}

func (c ReportCustomerPurchase) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	c.check(f, "")
	f.buyer(c.UserID, c.UserPrincipalName, c.PurchasedAt)
}

// buyer notes what is wrong with who bought, and when, in a report.
func (f *faults) buyer(user UserID, principalName string, at time.Time) {
	f.given("userId", user)
	f.name("userPrincipalName", principalName)
	if y := at.Year(); y < 2000 || y > 9999 {
		f.note("purchasedAt", "is required: give an RFC 3339 time such as 2026-11-22T10:00:00Z")
	}
}

func (w Wanted) check(f *faults, prefix string) {
	if w.SubscriptionID.IsZero() {
		f.note(prefix+"subscriptionId", "is required: give a GUID")
	}
	w.Offer.check(f, prefix)
	f.quantity(prefix+"quantity", w.Quantity)
	w.Scope.check(f, prefix+"scope")
	f.text(prefix+"displayName", w.DisplayName, 0, 256)
}

func (e CustomerPurchasedReservation) evolve(t *tables, f Fact) { t.reserve(e.Bought, f) }

func (e PartnerPurchasedReservation) evolve(t *tables, f Fact) { t.reserve(e.Bought, f) }

func (c PurchaseReservation) decide(d *decision) ([]Event, error) {
	if err := d.mayBuy(AzureReservedInstances, c.SubscriptionID); err != nil {
		return nil, err
	}
	bought, err := d.order(c.Wanted, c.OrderID, d.at)
	if err != nil {
		return nil, err
	}
	if bought.UnitPrice.IsZero() {
		return nil, d.priceNotSet(c.Offer)
	}
	if d.byCustomer {
		return []Event{CustomerPurchasedReservation{
			Bought: bought, UserID: d.actor.User, UserPrincipalName: d.actor.UPN, PurchasedAt: d.at, Authorised: true,
		}}, nil
	}
	return []Event{PartnerPurchasedReservation{
		Bought: bought, UserID: d.actor.User, UserPrincipalName: d.actor.UPN, PurchasedAt: d.at,
	}}, nil
}

func (c ReportCustomerPurchase) decide(d *decision) ([]Event, error) {
	if err := d.mayReport(c.PurchasedAt, c.SubscriptionID); err != nil {
		return nil, err
	}
	bought, err := d.order(c.Wanted, c.OrderID, c.PurchasedAt.UTC())
	if err != nil {
		return nil, err
	}
	reasons := d.againstPurchase(AzureReservedInstances, d.customer, c.SubscriptionID, c.UserID)
	return []Event{CustomerPurchasedReservation{
		Bought: bought, UserID: c.UserID, UserPrincipalName: c.UserPrincipalName, PurchasedAt: c.PurchasedAt.UTC(),
		Reported: true, Authorised: len(reasons) == 0, Broke: reasons,
	}}, nil
}

// mayBuy refuses a purchase that the sender may not make: a customer's user by S6 and S7, an agent by S15.
func (d *decision) mayBuy(p Product, billing SubscriptionID) error {
	if !d.byCustomer {
		return d.billable(billing)
	}
	if reasons := d.againstPurchase(p, d.customer, billing, d.actor.User); len(reasons) > 0 {
		return refusalFor(reasons)
	}
	return nil
}

// mayReport refuses a report of what has not happened yet, or was billed to what the ledger does not know.
func (d *decision) mayReport(at time.Time, billing SubscriptionID) error {
	if at.After(d.at) {
		return refuse(CodePurchasedInFuture, "L6", "purchasedAt %s lies after the recorded time %s. Report a purchase once it has happened.", at.Format(time.RFC3339), d.at.Format(time.RFC3339))
	}
	_, err := d.subscriptionOf(billing)
	return err
}

// billable refuses a subscription that a partner's purchase cannot be billed to (S15).
func (d *decision) billable(id SubscriptionID) error {
	s, err := d.subscriptionOf(id)
	if err == nil && s.status != Active {
		err = refuse(CodeSubscriptionInactive, "S15", "Subscription %q is %s. Bill the purchase to an active one.", s.name, s.status)
	}
	return err
}

func (d *decision) priceNotSet(o Offer) error {
	return refuse(CodePriceNotSet, "S13", "%s has set no price for %s in %s, %s, paid %s. The partner sets it with SetReservationPrice.", d.partnerName(), o.SKU, o.Region, o.Term, o.BillingPlan)
}

// order makes the one reservation of a purchase.
func (d *decision) order(w Wanted, id OrderID, start time.Time) (Bought, error) {
	id, err := d.orderID(id)
	if err != nil {
		return Bought{}, err
	}
	return d.buy(w, id, 0, start)
}

// ownOrder is the id of the order that the command creates.
func (d *decision) ownOrder() OrderID { return d.id.Order(d.actor.Tenant) }

// orderID is the given order id, or one made from the command id, unless it is taken.
func (d *decision) orderID(given OrderID) (OrderID, error) {
	if given.IsZero() {
		given = d.ownOrder()
	}
	return given, d.freeOrder(given)
}

// buy makes the n-th reservation of an order at the price in force; without a price set, money is
// absent. Quantities and prices whose product exceeds 2⁶³−1 minor units are refused.
func (d *decision) buy(w Wanted, order OrderID, n int, start time.Time) (Bought, error) {
	scope, err := w.Scope.within(d, w.SubscriptionID)
	if err != nil {
		return Bought{}, err
	}
	start = start.Truncate(time.Second)
	b := Bought{
		OrderID:        order,
		ReservationID:  d.id.Reservation(d.actor.Tenant, n),
		SubscriptionID: w.SubscriptionID,
		Offer:          w.Offer,
		Family:         familyOf(w.SKU),
		Quantity:       w.Quantity,
		Scope:          scope,
		DisplayName:    w.DisplayName,
		BilledTo:       d.partner,
		StartsAt:       start,
		ExpiresAt:      w.Term.end(start),
	}
	if b.DisplayName == "" {
		b.DisplayName = w.SKU
	}
	p, known := d.priceOf(d.customer, w.Offer)
	if !known {
		return b, nil
	}
	c, _ := d.customers.get(d.customer)
	total, fits := Money{minor: p.customer, currency: c.currency}.times(w.Quantity)
	if !fits {
		return Bought{}, refuse(CodeAmountTooLarge, "L4", "%d × %s is more than the ledger can hold. Buy fewer units.", w.Quantity, Money{minor: p.customer, currency: c.currency})
	}
	b.Family = p.family
	b.UnitPrice = Money{minor: p.customer, currency: c.currency}
	b.WebDirectPrice = Money{minor: p.webDirect, currency: c.currency}
	b.Total = total
	return b, nil
}

// field names a member of a list in an error: "to[2]".
func field(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
