package partnercenter

import (
	"net/http"

	"permledger/domain"
	"permledger/projections"
)

// The two kinds of Azure subscription by the ids of what a partner buys.
const (
	azurePlanOffer   = "DZH318Z0BPS6:0001:DZH318Z0BML6"
	azurePlanProduct = "DZH318Z0BPS6"
	azureGlobalOffer = "MS-AZR-0145P"
)

// subscription is a subscription as this API shows it. The ledger records subscriptions as facts, without
// the orders that bought them: orderId repeats the subscription's own id.
type subscription struct {
	ID                 domain.SubscriptionID `json:"id"`
	EntitlementID      domain.SubscriptionID `json:"entitlementId"`
	OrderID            domain.SubscriptionID `json:"orderId"`
	OfferID            string                `json:"offerId"`
	OfferName          string                `json:"offerName"`
	ProductID          string                `json:"productId,omitempty"`
	FriendlyName       string                `json:"friendlyName"`
	Quantity           int                   `json:"quantity"`
	UnitType           string                `json:"unitType"`
	CreationDate       string                `json:"creationDate"`
	EffectiveStartDate string                `json:"effectiveStartDate"`
	Status             string                `json:"status"`
	AutoRenewEnabled   bool                  `json:"autoRenewEnabled"`
	BillingType        string                `json:"billingType"`
	BillingCycle       string                `json:"billingCycle"`
	ContractType       string                `json:"contractType"`
	Links              *links                `json:"links"`
	Attributes         attributes            `json:"attributes"`
}

// azureEntitlement is the Azure subscription behind an Azure plan.
type azureEntitlement struct {
	ID             domain.SubscriptionID `json:"id"`
	FriendlyName   string                `json:"friendlyName"`
	Status         string                `json:"status"`
	SubscriptionID domain.SubscriptionID `json:"subscriptionId"`
}

func subscriptionOf(s projections.Subscription) subscription {
	out := subscription{
		ID: s.SubscriptionID, EntitlementID: s.SubscriptionID, OrderID: s.SubscriptionID,
		OfferID: azureGlobalOffer, OfferName: "Microsoft Azure", FriendlyName: s.Name,
		Quantity: 1, UnitType: "Usage-based", CreationDate: dateTime(s.Time), EffectiveStartDate: dateTime(s.Time),
		Status: commerceStatus(s.Status), AutoRenewEnabled: s.Status == domain.Active,
		BillingType: "usage", BillingCycle: "monthly", ContractType: "subscription",
		Links:      selfLink(customerPath(s.CustomerID) + "/subscriptions/" + s.SubscriptionID.String()),
		Attributes: attributes{ObjectType: "Subscription"},
	}
	if s.Kind == domain.AzurePlan {
		out.OfferID, out.OfferName, out.ProductID = azurePlanOffer, "Azure plan", azurePlanProduct
	}
	return out
}

// commerceStatus is a status in the words of commerce, which older clients read as one of a closed set:
// disabled is Azure's word.
func commerceStatus(s domain.SubscriptionStatus) string {
	if s == domain.Disabled {
		return string(domain.Suspended)
	}
	return string(s)
}

func (d *Door) listSubscriptions(in *request) (answer, error) {
	m, paging, err := d.listing(in)
	if err != nil {
		return answer{}, err
	}
	rows, err := m.Subscriptions(in.Context(), in.Scope, projections.SubscriptionFilter{}, paging)
	return pageOf(in, rows, err, subscriptionOf)
}

func (d *Door) getSubscription(in *request) (answer, error) {
	row, err := d.subscription(in)
	return ok(subscriptionOf(row)), err
}

// listAzureEntitlements gives the Azure subscription that an Azure plan stands for.
func (d *Door) listAzureEntitlements(in *request) (answer, error) {
	row, err := d.subscription(in)
	switch {
	case err != nil:
		return answer{}, err
	case row.Kind != domain.AzurePlan:
		return answer{}, refuse(http.StatusBadRequest, "900317", "This is not the id of an Azure plan.")
	}
	return page(in, []azureEntitlement{{
		ID: row.SubscriptionID, FriendlyName: row.Name, Status: string(row.Status), SubscriptionID: row.SubscriptionID,
	}}, ""), nil
}

// subscription reads the subscription in the path.
func (d *Door) subscription(in *request) (projections.Subscription, error) {
	missing := refuse(http.StatusNotFound, "20003", "Subscription not found.")
	id, err := domain.ParseSubscriptionID(in.PathValue("subscriptionId"))
	if err != nil {
		return projections.Subscription{}, missing
	}
	m, err := d.models(in.Context())
	if err != nil {
		return projections.Subscription{}, err
	}
	row, _, err := m.Subscription(in.Context(), in.Scope, id)
	return row, absent(err, missing)
}
