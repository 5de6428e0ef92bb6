package domain

import "time"

// SavingsPlan is a savings plan as an order creates it: money spent every hour of a term, used or not, on
// compute of any size and region. An order holds one, which has no id of its own.
type SavingsPlan struct {
	OrderID        OrderID        `json:"orderId"`
	SubscriptionID SubscriptionID `json:"subscriptionId"` // billed
	Term           Term           `json:"term"`
	BillingPlan    BillingPlan    `json:"billingPlan"`
	Commitment     Money          `json:"commitment"` // an hour
	Total          Money          `json:"total"`      // commitment × hours from start to end
	Scope          Scope          `json:"scope"`
	DisplayName    string         `json:"displayName"`
	BilledTo       TenantID       `json:"billedTo"` // always the partner (S8)
	StartsAt       time.Time      `json:"startsAt"`
	ExpiresAt      time.Time      `json:"expiresAt"`
}

// CustomerPurchasedSavingsPlan says that a customer's user bought a savings plan, itself or as its partner
// reported. A report that broke S7 names the rules under Broke.
type CustomerPurchasedSavingsPlan struct {
	SavingsPlan
	UserID            UserID    `json:"userId"`
	UserPrincipalName string    `json:"userPrincipalName"`
	PurchasedAt       time.Time `json:"purchasedAt"`
	Reported          bool      `json:"reported"`   // told afterwards by the partner, not asked before
	Authorised        bool      `json:"authorised"` // S7 held at this position
	Broke             []Reason  `json:"broke,omitempty"`
}

// PartnerPurchasedSavingsPlan says that an agent bought a savings plan for the customer (S15). UserID is
// absent when an application did.
type PartnerPurchasedSavingsPlan struct {
	SavingsPlan
	UserID            UserID    `json:"userId,omitzero"`
	UserPrincipalName string    `json:"userPrincipalName,omitempty"`
	PurchasedAt       time.Time `json:"purchasedAt"`
}

// EventType implements Event.
func (CustomerPurchasedSavingsPlan) EventType() string { return "CustomerPurchasedSavingsPlan" }

// EventType implements Event.
func (PartnerPurchasedSavingsPlan) EventType() string { return "PartnerPurchasedSavingsPlan" }

// WantedSavingsPlan is one savings plan to buy.
type WantedSavingsPlan struct {
	SubscriptionID SubscriptionID `json:"subscriptionId" format:"uuid" doc:"Billing subscription"`
	Term           Term           `json:"term" enum:"P1Y,P3Y,P5Y"`
	BillingPlan    BillingPlan    `json:"billingPlan" enum:"Upfront,Monthly"`
	Commitment     Money          `json:"commitment" doc:"Money an hour, in the currency of the customer's price list, or the partner's where there is none"`
	Scope          Scope          `json:"scope"`
	DisplayName    string         `json:"displayName,omitempty" maxLength:"256" doc:"\"Savings plan\" when absent"`
	OrderID        OrderID        `json:"orderId,omitzero" format:"uuid" doc:"Made from the command id when absent"`
}

// PurchaseSavingsPlan buys a savings plan: for itself when a customer's user sends it (S6, S7), on the
// customer's behalf when an agent does (S15). No command changes or ends one afterwards.
type PurchaseSavingsPlan struct {
	CustomerID TenantID `json:"customerId" format:"uuid"`
	WantedSavingsPlan
	Note
}

// ReportCustomerSavingsPlan is sent under the name CustomerPurchasedSavingsPlan: the partner reports which
// savings plan the customer bought outside. A fact cannot be refused; where S7 fails it is recorded as
// unauthorised.
type ReportCustomerSavingsPlan struct {
	CustomerID TenantID `json:"customerId" format:"uuid"`
	WantedSavingsPlan
	UserID            UserID    `json:"userId" format:"uuid" doc:"Object id of the customer's user who bought"`
	UserPrincipalName string    `json:"userPrincipalName" minLength:"1" maxLength:"256"`
	PurchasedAt       time.Time `json:"purchasedAt" doc:"When the customer bought, RFC 3339"`
	Note
}

// CommandName implements Command.
func (PurchaseSavingsPlan) CommandName() string { return "PurchaseSavingsPlan" }

// CommandName implements Command.
func (ReportCustomerSavingsPlan) CommandName() string { return "CustomerPurchasedSavingsPlan" }

func (c PurchaseSavingsPlan) target() TenantID       { return c.CustomerID }
func (c ReportCustomerSavingsPlan) target() TenantID { return c.CustomerID }

func (PurchaseSavingsPlan) permit() permit       { return PurchaseReservation{}.permit() }
func (ReportCustomerSavingsPlan) permit() permit { return ReportCustomerPurchase{}.permit() }

func (c PurchaseSavingsPlan) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	c.check(f)
}

func (c ReportCustomerSavingsPlan) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	c.check(f)
	f.buyer(c.UserID, c.UserPrincipalName, c.PurchasedAt)
}

func (w WantedSavingsPlan) check(f *faults) {
	f.given("subscriptionId", w.SubscriptionID)
	oneOf(f, "term", w.Term, OneYear, ThreeYears, FiveYears)
	oneOf(f, "billingPlan", w.BillingPlan, Upfront, Monthly)
	if w.Commitment.minor < 1 {
		f.note("commitment", `is required and more than nothing: {"amount":"1.50","currency":"USD"} an hour`)
	}
	w.Scope.check(f, "scope")
	f.text("displayName", w.DisplayName, 0, 256)
}

// Nothing can be done with a savings plan afterwards, so that no decision asks for more of it than that its
// order id is taken.
func (e CustomerPurchasedSavingsPlan) evolve(t *tables, f Fact) { t.takeOrder(f, e.OrderID) }

func (e PartnerPurchasedSavingsPlan) evolve(t *tables, f Fact) { t.takeOrder(f, e.OrderID) }

func (c PurchaseSavingsPlan) decide(d *decision) ([]Event, error) {
	if err := d.mayBuy(AzureSavingsPlan, c.SubscriptionID); err != nil {
		return nil, err
	}
	plan, err := d.savingsPlan(c.WantedSavingsPlan, d.at)
	if err != nil {
		return nil, err
	}
	if d.byCustomer {
		return []Event{CustomerPurchasedSavingsPlan{
			SavingsPlan: plan, UserID: d.actor.User, UserPrincipalName: d.actor.UPN, PurchasedAt: d.at, Authorised: true,
		}}, nil
	}
	return []Event{PartnerPurchasedSavingsPlan{
		SavingsPlan: plan, UserID: d.actor.User, UserPrincipalName: d.actor.UPN, PurchasedAt: d.at,
	}}, nil
}

func (c ReportCustomerSavingsPlan) decide(d *decision) ([]Event, error) {
	if err := d.mayReport(c.PurchasedAt, c.SubscriptionID); err != nil {
		return nil, err
	}
	plan, err := d.savingsPlan(c.WantedSavingsPlan, c.PurchasedAt.UTC())
	if err != nil {
		return nil, err
	}
	reasons := d.againstPurchase(AzureSavingsPlan, d.customer, c.SubscriptionID, c.UserID)
	return []Event{CustomerPurchasedSavingsPlan{
		SavingsPlan: plan, UserID: c.UserID, UserPrincipalName: c.UserPrincipalName, PurchasedAt: c.PurchasedAt.UTC(),
		Reported: true, Authorised: len(reasons) == 0, Broke: reasons,
	}}, nil
}

// savingsPlan makes the one savings plan of an order. A commitment in another currency than the customer's,
// or whose total exceeds 2⁶³−1 minor units, is refused (L4).
func (d *decision) savingsPlan(w WantedSavingsPlan, start time.Time) (SavingsPlan, error) {
	id, err := d.orderID(w.OrderID)
	if err != nil {
		return SavingsPlan{}, err
	}
	scope, err := w.Scope.within(d, w.SubscriptionID)
	if err != nil {
		return SavingsPlan{}, err
	}
	if currency := d.currency(); w.Commitment.currency != currency {
		return SavingsPlan{}, refuse(CodeCurrencyMismatch, "L4", "This customer is charged in %s. Give the commitment in that currency.", currency)
	}
	start = start.Truncate(time.Second)
	end := w.Term.end(start)
	hours := int64(end.Sub(start) / time.Hour) // in UTC every day has 24
	total, fits := w.Commitment.times(hours)
	if !fits {
		return SavingsPlan{}, refuse(CodeAmountTooLarge, "L4", "%d hours × %s is more than the ledger can hold. Commit to less.", hours, w.Commitment)
	}
	plan := SavingsPlan{
		OrderID:        id,
		SubscriptionID: w.SubscriptionID,
		Term:           w.Term,
		BillingPlan:    w.BillingPlan,
		Commitment:     w.Commitment,
		Total:          total,
		Scope:          scope,
		DisplayName:    w.DisplayName,
		BilledTo:       d.partner,
		StartsAt:       start,
		ExpiresAt:      end,
	}
	if plan.DisplayName == "" {
		plan.DisplayName = "Savings plan"
	}
	return plan, nil
}

// currency is that of the customer's price list, or the partner's while the customer has none.
func (d *decision) currency() Currency {
	if c, _ := d.customers.get(d.customer); c.currency != "" {
		return c.currency
	}
	p, _ := d.partners.get(d.partner)
	return p.currency
}
