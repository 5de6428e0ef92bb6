package domain

import "time"

// Term is the length of a commitment, an ISO 8601 duration.
type Term string

// The terms (L5).
const (
	OneYear    Term = "P1Y"
	ThreeYears Term = "P3Y"
	FiveYears  Term = "P5Y"
)

func (t Term) years() int {
	switch t {
	case OneYear:
		return 1
	case ThreeYears:
		return 3
	case FiveYears:
		return 5
	default:
		return 0
	}
}

// end is when a term that starts at a moment is over: the same UTC date and time, years later.
func (t Term) end(start time.Time) time.Time { return start.AddDate(t.years(), 0, 0) }

// BillingPlan says when the total of a term is paid.
type BillingPlan string

// The billing plans (L5); neither costs more than the other.
const (
	Upfront BillingPlan = "Upfront"
	Monthly BillingPlan = "Monthly"
)

// Offer is what a price is for: one unit of a size in a region for a term.
type Offer struct {
	SKU         string      `json:"sku" minLength:"1" maxLength:"128" doc:"Size by its ARM name, such as Standard_D2s_v5"`
	Region      string      `json:"region" minLength:"1" maxLength:"64" doc:"ARM region name, such as eastus"`
	Term        Term        `json:"term" enum:"P1Y,P3Y,P5Y"`
	BillingPlan BillingPlan `json:"billingPlan" enum:"Upfront,Monthly"`
}

func (o Offer) check(f *faults, prefix string) {
	f.text(prefix+"sku", o.SKU, 1, 128)
	f.text(prefix+"region", o.Region, 1, 64)
	oneOf(f, prefix+"term", o.Term, OneYear, ThreeYears, FiveYears)
	oneOf(f, prefix+"billingPlan", o.BillingPlan, Upfront, Monthly)
}

// offer is what a price is for, or with its family what a reservation is of. Equal ones are interned, so
// that every price and reservation of the same thing shares one.
type offer struct {
	Offer
	family string
}

func (t *tables) intern(o offer) *offer {
	if known, ok := t.offers[o]; ok {
		return known
	}
	t.offers[o] = &o
	return &o
}

// ReservationPriceSet gives what a customer pays for one unit for the whole term, beside what the
// portal shows (S13).
type ReservationPriceSet struct {
	Offer
	Family         string `json:"family"`
	CustomerPrice  Money  `json:"customerPrice"`
	WebDirectPrice Money  `json:"webDirectPrice"`
}

// EventType implements Event.
func (ReservationPriceSet) EventType() string { return "ReservationPriceSet" }

// SetReservationPrice sets the price of one unit for the whole term for one customer.
type SetReservationPrice struct {
	CustomerID TenantID `json:"customerId" format:"uuid"`
	Offer
	CustomerPrice  Money  `json:"customerPrice" doc:"What the customer pays for one unit for the whole term"`
	WebDirectPrice Money  `json:"webDirectPrice" doc:"What the portal shows for it"`
	Family         string `json:"family,omitempty" maxLength:"128" doc:"Product family within which it may be exchanged; made from the sku when absent"`
	Note
}

// CommandName implements Command.
func (SetReservationPrice) CommandName() string { return "SetReservationPrice" }

func (c SetReservationPrice) target() TenantID { return c.CustomerID }

func (SetReservationPrice) permit() permit {
	return permit{roles: AdminAgent | SalesAgent, rule: "S13"}
}

func (c SetReservationPrice) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	c.check(f, "")
	f.text("family", c.Family, 0, 128)
	f.price("customerPrice", c.CustomerPrice)
	f.price("webDirectPrice", c.WebDirectPrice)
	if c.CustomerPrice.currency != c.WebDirectPrice.currency {
		f.note("webDirectPrice", "is in %s; give both prices in one currency", c.WebDirectPrice.currency)
	}
}

func (f *faults) price(field string, m Money) {
	if m.IsZero() || m.minor < 0 {
		f.note(field, `is required and not negative: {"amount":"519.00","currency":"USD"}`)
	}
}

type priceKey struct {
	customer TenantID
	offer    *offer
}

type price struct {
	customer  int64 // minor units of the customer's currency
	webDirect int64
	family    string
}

func (e ReservationPriceSet) evolve(t *tables, f Fact) {
	t.prices.set(priceKey{f.Customer, t.intern(offer{Offer: e.Offer})}, price{e.CustomerPrice.minor, e.WebDirectPrice.minor, e.Family})
	if c, _ := t.customers.get(f.Customer); c.currency == "" {
		c.currency = e.CustomerPrice.currency
		t.customers.set(f.Customer, c)
	}
}

func (c SetReservationPrice) decide(d *decision) ([]Event, error) {
	state, _ := d.customers.get(c.CustomerID)
	if state.currency != "" && state.currency != c.CustomerPrice.currency {
		return nil, refuse(CodeCurrencyMismatch, "L4", "The price list of %s is in %s. Give the price in that currency.", state.companyName, state.currency)
	}
	family := c.Family
	if family == "" {
		family = familyOf(c.SKU)
	}
	if p, known := d.priceOf(c.CustomerID, c.Offer); known && p == (price{c.CustomerPrice.minor, c.WebDirectPrice.minor, family}) {
		return nil, nil
	}
	return []Event{ReservationPriceSet{Offer: c.Offer, Family: family, CustomerPrice: c.CustomerPrice, WebDirectPrice: c.WebDirectPrice}}, nil
}

func (t *tables) priceOf(id TenantID, o Offer) (price, bool) {
	interned, known := t.offers[offer{Offer: o}]
	if !known {
		return price{}, false
	}
	return t.prices.get(priceKey{id, interned})
}
