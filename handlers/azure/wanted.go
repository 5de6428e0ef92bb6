package azure

import (
	"cmp"
	"net/http"
	"strings"

	"permledger/domain"
	"permledger/handlers/problem"
)

// purchaseBody is a reservation to buy as clients send it, and as answers repeat it.
type purchaseBody struct {
	SKU        skuName            `json:"sku"`
	Location   string             `json:"location,omitempty"`
	Properties purchaseProperties `json:"properties"`
}

type skuName struct {
	Name string `json:"name"`
}

type purchaseProperties struct {
	ReservedResourceType string `json:"reservedResourceType,omitempty"`
	BillingScopeID       string `json:"billingScopeId,omitempty"`
	Term                 string `json:"term,omitempty"`
	BillingPlan          string `json:"billingPlan,omitempty"`
	Quantity             int64  `json:"quantity"`
	DisplayName          string `json:"displayName,omitempty"`
	Renew                bool   `json:"renew"`
	AppliedScope
}

// wanted reads what shall be bought. What is left open is as Azure has it: paid upfront.
func (b purchaseBody) wanted() (domain.Wanted, error) {
	p := b.Properties
	billing, err := subscriptionAt(p.BillingScopeID)
	if err != nil {
		return domain.Wanted{}, err
	}
	term, known := oneOf(p.Term, domain.OneYear, domain.ThreeYears, domain.FiveYears)
	if !known {
		return domain.Wanted{}, badRequest("UnsupportedReservationTerm", "The term is P1Y, P3Y or P5Y.")
	}
	plan, known := oneOf(cmp.Or(p.BillingPlan, string(domain.Upfront)), domain.Upfront, domain.Monthly)
	if !known {
		return domain.Wanted{}, badRequest(badRequestCode, "The billing plan is Upfront or Monthly.")
	}
	scope, err := p.scope()
	if err != nil {
		return domain.Wanted{}, err
	}
	return domain.Wanted{
		SubscriptionID: billing, Offer: domain.Offer{SKU: b.SKU.Name, Region: b.Location, Term: term, BillingPlan: plan},
		Quantity: p.Quantity, Scope: scope, DisplayName: p.DisplayName,
	}, nil
}

// oneOf finds a value among those that are known, in any case.
func oneOf[S ~string](given string, known ...S) (S, bool) {
	for _, k := range known {
		if strings.EqualFold(given, string(k)) {
			return k, true
		}
	}
	return "", false
}

// checkRenewal refuses to switch automatic renewal on while buying, which would be a second command. A customer is
// told to ask the partner, as for every renewal (S9).
func (r *request) checkRenewal(b purchaseBody) error {
	switch {
	case !b.Properties.Renew:
		return nil
	case r.view.Actor.OnPartnerSide():
		return badRequest(badRequestCode, "Buy first, then switch automatic renewal on with a PATCH of the reservation.")
	}
	partner, err := r.partnerName()
	if err != nil {
		return err
	}
	return &problem.Error{Code: domain.CodePartnerOnly, Rule: "S9", Detail: "Only your partner can switch automatic renewal on. Ask " + partner + "."}
}

func (r *request) partnerName() (string, error) {
	p, _, err := r.door.ledger.Models().Partner(r.Context(), r.view.Scope)
	return p.Name, err
}

// customerOf finds whose subscription is billed, among those that the caller may see.
func (r *request) customerOf(billing domain.SubscriptionID) (domain.TenantID, error) {
	if own := r.view.Scope.Customer(); !own.IsZero() {
		return own, nil
	}
	s, _, err := r.door.ledger.Models().Subscription(r.Context(), r.view.Scope, billing)
	if notFound(err) {
		return domain.TenantID{}, refusal{http.StatusNotFound, "SubscriptionNotFound", "No subscription " + billing.String() + " is known here. Check billingScopeId, or record the subscription first."}
	}
	return s.CustomerID, err
}
