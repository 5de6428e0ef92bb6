package partnercenter

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/projections"
)

// order is an order as this API shows it, and who bought, which Microsoft's does not say.
type order struct {
	ID                  domain.OrderID    `json:"id"`
	ReferenceCustomerID domain.TenantID   `json:"referenceCustomerId"`
	BillingCycle        string            `json:"billingCycle"`
	TransactionType     string            `json:"transactionType"`
	CurrencyCode        domain.Currency   `json:"currencyCode,omitempty"`
	CreationDate        string            `json:"creationDate"`
	Status              string            `json:"status"`
	LineItems           []lineItem        `json:"lineItems"`
	BoughtBy            projections.Buyer `json:"boughtBy"`
	BilledTo            domain.TenantID   `json:"billedTo"` // always the partner (S8)
	Authorised          bool              `json:"authorised"`
	Links               *links            `json:"links"`
	Attributes          attributes        `json:"attributes"`
}

// lineItem is one thing that an order bought. What is no reservation has no reservation's id.
type lineItem struct {
	LineItemNumber      int                   `json:"lineItemNumber"`
	OfferID             string                `json:"offerId"`
	SubscriptionID      domain.SubscriptionID `json:"subscriptionId"`
	FriendlyName        string                `json:"friendlyName"`
	Quantity            int64                 `json:"quantity"`
	TermDuration        domain.Term           `json:"termDuration"`
	TransactionType     string                `json:"transactionType"`
	ProvisioningContext provisioningContext   `json:"provisioningContext"`
	Pricing             pricing               `json:"pricing,omitzero"`
	Commitment          *commitment           `json:"commitment,omitempty"`
	ReservationID       domain.ReservationID  `json:"reservationId,omitzero"`
}

// provisioningContext says where the discount applies, and which Azure subscription is billed.
type provisioningContext struct {
	Scope          domain.ScopeType      `json:"scope,omitempty"`
	EntitlementID  domain.SubscriptionID `json:"entitlementId"`
	SubscriptionID domain.SubscriptionID `json:"subscriptionId"`
}

// pricing is in the currency of the order; what is not known is absent.
type pricing struct {
	ListPrice     number `json:"listPrice,omitzero"`     // of one unit, Web Direct (S13)
	Price         number `json:"price,omitzero"`         // of one unit, what the customer pays
	ExtendedPrice number `json:"extendedPrice,omitzero"` // of all units
}

// commitment is what a savings plan spends, in Azure's words.
type commitment struct {
	Amount       number          `json:"amount"`
	CurrencyCode domain.Currency `json:"currencyCode"`
	Grain        string          `json:"grain"`
}

// number is an amount in decimal digits, exact.
type number string

// MarshalJSONTo writes a JSON number.
func (n number) MarshalJSONTo(e *jsontext.Encoder) error { return e.WriteValue(jsontext.Value(n)) }

func numberOf(m domain.Money) number {
	if m.IsZero() {
		return ""
	}
	return number(m.Decimal())
}

func orderOf(o projections.Order) order {
	out := order{
		ID: o.OrderID, ReferenceCustomerID: o.CustomerID, BillingCycle: billingCycle(o.BillingPlan), TransactionType: "UserPurchase",
		CurrencyCode: o.Total.Currency(), CreationDate: dateTime(o.PurchasedAt), Status: "completed",
		BoughtBy: o.BoughtBy, BilledTo: o.BilledTo, Authorised: o.Authorised,
		Links:      selfLink(customerPath(o.CustomerID) + "/orders/" + o.OrderID.String()),
		Attributes: attributes{ObjectType: "Order"},
	}
	if o.Status == projections.OrderReturned {
		out.Status = "cancelled"
	}
	for i, l := range linesOf(o) {
		out.LineItems = append(out.LineItems, lineItemOf(o, i, l))
	}
	return out
}

// linesOf gives what an order bought, one thing or several.
func linesOf(o projections.Order) []projections.OrderLine {
	if len(o.Reservations) > 0 {
		return o.Reservations
	}
	return []projections.OrderLine{{
		ReservationID: o.ReservationID, SubscriptionID: o.SubscriptionID, SKU: o.SKU, Region: o.Region, Term: o.Term,
		Quantity: o.Quantity, Scope: o.Scope, DisplayName: o.DisplayName, UnitPrice: o.UnitPrice, Total: o.Total,
		WebDirectPrice: o.WebDirectPrice,
	}}
}

func lineItemOf(o projections.Order, n int, l projections.OrderLine) lineItem {
	item := lineItem{
		LineItemNumber: n, OfferID: offerID(o.Product, l.SKU, l.Region), SubscriptionID: l.SubscriptionID, FriendlyName: l.DisplayName,
		Quantity: l.Quantity, TermDuration: l.Term, TransactionType: "new",
		ProvisioningContext: provisioningContext{Scope: l.Scope.Type, EntitlementID: l.Scope.SubscriptionID, SubscriptionID: l.SubscriptionID},
		Pricing:             pricing{numberOf(l.WebDirectPrice), numberOf(l.UnitPrice), numberOf(l.Total)},
		ReservationID:       l.ReservationID,
	}
	if item.ProvisioningContext.EntitlementID.IsZero() { // Shared begins at the subscription that is billed
		item.ProvisioningContext.EntitlementID = l.SubscriptionID
	}
	if !o.Commitment.IsZero() {
		item.Commitment = &commitment{numberOf(o.Commitment), o.Commitment.Currency(), "Hourly"}
	}
	if o.Kind == projections.Renewal {
		item.TransactionType = "renew"
	}
	return item
}

func billingCycle(p domain.BillingPlan) string {
	if p == domain.Monthly {
		return "monthly"
	}
	return "one_time"
}

// offerID names what was bought the way Partner Center does, in three parts: product, size and where. A savings plan is
// of no size and nowhere.
func offerID(product domain.Product, sku, region string) string {
	if product == domain.AzureSavingsPlan {
		return string(product)
	}
	return string(product) + ":" + sku + ":" + region
}

func (d *Door) listOrders(in *request) (answer, error) {
	m, paging, err := d.listing(in)
	if err != nil {
		return answer{}, err
	}
	rows, err := m.Orders(in.Context(), in.Scope, projections.OrderFilter{At: time.Now()}, paging)
	return pageOf(in, rows, err, orderOf)
}

func (d *Door) getOrder(in *request) (answer, error) {
	missing := refuse(http.StatusNotFound, "20000", "Order not found.")
	id, found := parseGUID(in.PathValue("orderId"))
	if !found {
		return answer{}, missing
	}
	m, err := d.models(in.Context())
	if err != nil {
		return answer{}, err
	}
	row, _, err := m.Order(in.Context(), in.Scope, domain.OrderID{UUID: id}, time.Now())
	if err != nil {
		return answer{}, absent(err, missing)
	}
	return ok(orderOf(row)), nil
}

// parseGUID reads an id of 36 characters.
func parseGUID(s string) (id uuid.UUID, found bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && len(s) == 36
}
