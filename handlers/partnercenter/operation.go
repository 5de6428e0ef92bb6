package partnercenter

import (
	"slices"
	"strings"

	"permledger/domain"
	"permledger/handlers/partnercenter/wire"
	"permledger/projections"
)

// operation is what Partner Center calls something that was done, and what it was done to.
type operation struct{ kind, resource string }

// The kinds of resources that audit records are about.
const (
	resourcePartner      = "partner"
	resourceCustomer     = "customer"
	resourceSubscription = "subscription"
	resourcePrice        = "price"
	resourcePolicy       = "self_serve_policy"
	resourceOrder        = "order"
	resourceWebhook      = "webhook"
)

const updateOrder = "update_order"

// operations are the words for the actions of the activity log. Those of the purchase permissions are for
// attempts; what was done is a policy created, updated or deleted by what was on before and after.
var operations = map[string]operation{
	domain.PartnerRegistered{}.EventType():            {"create_partner", resourcePartner},
	domain.CustomerRegistered{}.EventType():           {"add_customer", resourceCustomer},
	domain.SubscriptionRecorded{}.EventType():         {"create_subscription", resourceSubscription},
	domain.SubscriptionStatusChanged{}.EventType():    {"update_subscription", resourceSubscription},
	domain.SubscriptionRoleAssigned{}.EventType():     {"update_subscription", resourceSubscription},
	domain.SubscriptionRoleRemoved{}.EventType():      {"update_subscription", resourceSubscription},
	domain.ReservationPriceSet{}.EventType():          {"update_price", resourcePrice},
	domain.PurchasePermissionGranted{}.EventType():    {wire.CreatePolicy, resourcePolicy},
	domain.PurchasePermissionRevoked{}.EventType():    {wire.DeletePolicy, resourcePolicy},
	projections.PermissionsSet:                        {wire.UpdatePolicy, resourcePolicy},
	domain.CustomerPurchasedReservation{}.EventType(): {wire.CreateOrder, resourceOrder},
	domain.PartnerPurchasedReservation{}.EventType():  {wire.CreateOrder, resourceOrder},
	domain.CustomerPurchasedSavingsPlan{}.EventType(): {wire.CreateOrder, resourceOrder},
	domain.PartnerPurchasedSavingsPlan{}.EventType():  {wire.CreateOrder, resourceOrder},
	domain.ReservationExchanged{}.EventType():         {updateOrder, resourceOrder},
	domain.ReservationReturned{}.EventType():          {updateOrder, resourceOrder},
	domain.ReservationRenewed{}.EventType():           {updateOrder, resourceOrder},
	domain.ReservationScopeChanged{}.EventType():      {updateOrder, resourceOrder},
	domain.ReservationRenamed{}.EventType():           {updateOrder, resourceOrder},
	domain.ReservationSplit{}.EventType():             {updateOrder, resourceOrder},
	domain.ReservationsMerged{}.EventType():           {updateOrder, resourceOrder},
	domain.WebhookRegistered{}.EventType():            {"update_webhook", resourceWebhook},
	domain.WebhookRemoved{}.EventType():               {"delete_webhook", resourceWebhook},
}

// operationOf names what a deed did. An action without a word of its own is named after itself.
func operationOf(d *projections.Deed) operation {
	o, known := operations[d.Action]
	switch {
	case !known:
		return operation{snake(d.Action), "ledger"}
	case d.Permitted == nil:
		return o
	default:
		return operation{wire.PolicyOperation(d.Permitted.Before.Products, d.Permitted.After.Products), resourcePolicy}
	}
}

// snake writes a name such as AttemptDenied with small letters and underscores.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// actionsOn lists the actions on a kind of resource, which clients write as self_serve_policy or
// SelfServePolicy.
func actionsOn(resource string) []string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	var list []string
	for action, o := range operations {
		if plain(o.resource) == plain(resource) {
			list = append(list, action)
		}
	}
	slices.Sort(list)
	return list
}
