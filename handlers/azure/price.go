package azure

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
	"permledger/projections"
)

type priceAnswer struct {
	Properties priceProperties `json:"properties"`
}

type priceProperties struct {
	ReservationOrderID      uuid.UUID      `json:"reservationOrderId"`
	IsBillingPartnerManaged bool           `json:"isBillingPartnerManaged"`
	BillingCurrencyTotal    *price         `json:"billingCurrencyTotal"`
	PricingCurrencyTotal    *price         `json:"pricingCurrencyTotal"`
	GrandTotal              jsontext.Value `json:"grandTotal"`
	NetTotal                jsontext.Value `json:"netTotal"`
	IsTaxIncluded           bool           `json:"isTaxIncluded"`
	SKUTitle                string         `json:"skuTitle"`
	SKUDescription          string         `json:"skuDescription"`
	PaymentSchedule         []payment      `json:"paymentSchedule"`
}

type payment struct {
	DueDate              string `json:"dueDate"`
	PricingCurrencyTotal *price `json:"pricingCurrencyTotal"`
	BillingCurrencyTotal *price `json:"billingCurrencyTotal"`
}

// calculatePrice quotes what the customer pays by its partner's price list (S13), and gives an order id to buy
// under. Nothing is kept: the purchase is judged, and priced, on its own.
func (d *Door) calculatePrice(r *request) (any, error) {
	sent, err := body.Decode[purchaseBody](r.Request)
	if err != nil {
		return nil, err
	}
	wanted, err := sent.wanted()
	if err != nil {
		return nil, err
	}
	customer, err := r.customerOf(wanted.SubscriptionID)
	if err != nil {
		return nil, err
	}
	if faults := domain.Faults(domain.PurchaseReservation{CustomerID: customer, Wanted: wanted}); len(faults) > 0 {
		return nil, domain.InvalidCommand(faults)
	}
	unit, err := r.unitPrice(customer, wanted.Offer)
	if err != nil {
		return nil, err
	}
	quote, err := domain.NewQuote(unit, wanted.Quantity, wanted.Term, wanted.BillingPlan, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	total := priceOf(quote.Total)
	return priceAnswer{priceProperties{
		ReservationOrderID: uuid.New(), IsBillingPartnerManaged: true,
		BillingCurrencyTotal: total, PricingCurrencyTotal: total, GrandTotal: total.Amount, NetTotal: total.Amount,
		SKUTitle:       "Reservation, " + wanted.SKU + ", " + wanted.Region + ", " + titles[wanted.Term],
		SKUDescription: wanted.SKU, PaymentSchedule: schedule(quote),
	}}, nil
}

// titles are the terms for people.
var titles = map[domain.Term]string{domain.OneYear: "1 Year", domain.ThreeYears: "3 Years", domain.FiveYears: "5 Years"}

func schedule(q domain.Quote) []payment {
	list := make([]payment, len(q.Payments))
	for i, p := range q.Payments {
		list[i] = payment{DueDate: day(p.Due), PricingCurrencyTotal: priceOf(p.Amount), BillingCurrencyTotal: priceOf(p.Amount)}
	}
	return list
}

// unitPrice is what a customer pays for one unit for the whole term.
func (r *request) unitPrice(customer domain.TenantID, o domain.Offer) (domain.Money, error) {
	scope := projections.OfCustomer(r.view.Scope.Partner(), customer)
	page, err := r.door.ledger.Models().Prices(r.Context(), scope, projections.PriceFilter{SKU: o.SKU, Region: o.Region}, projections.Paging{Limit: projections.MaxLimit})
	if err != nil {
		return domain.Money{}, err
	}
	for _, p := range page.Items {
		if p.Term == o.Term && p.BillingPlan == o.BillingPlan {
			return p.CustomerPrice, nil
		}
	}
	partner, err := r.partnerName()
	if err != nil {
		return domain.Money{}, err
	}
	return domain.Money{}, &problem.Error{Code: domain.CodePriceNotSet, Rule: "S13", Detail: partner + " has set no price for this size, region, term and billing plan. Ask " + partner + " to set one."}
}

// day is a date as Azure writes it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
