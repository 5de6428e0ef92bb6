package partnercenter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// one reads a resource.
func (w *world) one(path string) object {
	w.t.Helper()
	var o object
	w.get(path).into(w.t, &o)
	return o
}

func (w *world) path(list string) string { return "/v1/customers/" + w.customer + list }

// buys makes an order and gives its id.
func (w *world) buys(token string, quantity int, extra string) string {
	w.t.Helper()
	id := uuid.NewString()
	w.command(token, "PurchaseReservation", `{"customerId":%q,"subscriptionId":%q,"sku":"Standard_D2s_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","quantity":%d,"orderId":%q,"displayName":"Web servers"%s}`,
		w.customer, w.subscription, quantity, id, extra)
	return id
}

func TestCustomersAreListedByNameAndFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"Adatum", "Contoso", "contoso East", "Zava 100%"} {
		w.command(w.sales, "RegisterCustomer", `{"customerId":%q,"companyName":%q,"domain":%q}`, uuid.NewString(), name, strings.ToLower(strings.Fields(name)[0])+".example")
	}
	names := func(query string) []string {
		list := []string{}
		for _, c := range w.items("/v1/customers" + query) {
			list = append(list, c["companyProfile"].(object)["companyName"].(string))
		}
		return list
	}
	require.Equal(t, []string{"Adatum", "Contoso", "contoso East", "Relecloud", "Zava 100%"}, names(""))
	for query, want := range map[string][]string{
		filtered("CompanyName", "starts_with", "con"):             {"Contoso", "contoso East"},
		filtered("companyname", "not_starts_with", "Con"):         {"Adatum", "Relecloud", "Zava 100%"},
		filtered("CompanyName", "equals", "CONTOSO"):              {"Contoso"},
		filtered("CompanyName", "not_equals", "Contoso"):          {"Adatum", "contoso East", "Relecloud", "Zava 100%"},
		filtered("CompanyName", "substring", "%"):                 {"Zava 100%"},
		filtered("CompanyName", "greater_than", "Relecloud"):      {"Zava 100%"},
		filtered("CompanyName", "less_than_or_equals", "contoso"): {"Adatum", "Contoso"},
		filtered("Domain", "starts_with", "relecloud"):            {"Relecloud"},
		joined("or", `{"Field":"CompanyName","Value":"ada","Operator":"starts_with"}`, `{"Field":"Domain","Value":"zava.example","Operator":"equals"}`):                                                                       {"Adatum", "Zava 100%"},
		joined("And", `{"Field":"CompanyName","Value":"c","Operator":"greater_than"}`, `{"Field":"CompanyName","Value":"d","Operator":"less_than"}`):                                                                          {"Contoso", "contoso East"},
		joined("and", `{"Field":"CompanyName","Value":"con","Operator":"starts_with"}`, either(`{"Field":"Domain","Value":"x","Operator":"equals"}`, `{"Field":"CompanyName","Value":"east","Operator":"substring"}`)):        {"contoso East"},
		joined("or", both(`{"Field":"CompanyName","Value":"con","Operator":"starts_with"}`, `{"Field":"CompanyName","Value":"east","Operator":"substring"}`), `{"Field":"CompanyName","Value":"Adatum","Operator":"equals"}`): {"Adatum", "contoso East"},
	} {
		require.Equal(t, want, names(query), query)
	}
	const one = `{"Field":"CompanyName","Value":"a","Operator":"equals"}`
	for _, query := range []string{
		filtered("Country", "equals", "TW"), joined("xor", one, one), joined("or", one, `null`), joined("or", one, `{}`),
		joined("or", one, `{"Field":"CompanyName","Value":"a","Operator":"like"}`),
		joined("or", either(either(one, one), either(one, one)), either(either(one, one), either(one, either(one, one)))),
	} {
		send(t, http.MethodGet, "/v1/customers"+query, w.admin, "").refused(t, 400, "3000")
	}

	all := []string{}
	var p auditPage // a page is a page
	for path, token := "/v1/customers?size=2", ""; ; path, token = "/v1"+p.Links.Next.URI, p.ContinuationToken {
		p = auditPage{}
		w.get(path, "MS-ContinuationToken", token).into(t, &p)
		for _, c := range p.Items {
			all = append(all, c.ID)
		}
		if p.Links.Next == nil {
			break
		}
	}
	require.Len(t, all, 5)
}

func TestACustomerIsRegisteredAndShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.one(w.path(""))
	require.Equal(t, w.customer, c["id"])
	require.Equal(t, "reseller", c["relationshipToPartner"])
	require.Equal(t, object{"tenantId": w.customer, "domain": "relecloud.example", "companyName": "Relecloud", "attributes": object{"objectType": "CustomerCompanyProfile"}}, c["companyProfile"])

	id := uuid.NewString()
	body := fmt.Sprintf(`{"Id":null,"CompanyProfile":{"TenantId":%q,"Domain":"adatum.example","CompanyName":"Adatum","Attributes":{}},"BillingProfile":{"Email":"x@adatum.example","DefaultAddress":{"Country":"TW"}}}`, id)
	body = strings.Replace(body, `"Id":null`, `"Id":""`, 1)
	a := send(t, http.MethodPost, "/v1/customers", w.sales, body)
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	require.Equal(t, "Adatum", w.one("/v1/customers/" + id)["companyProfile"].(object)["companyName"])

	request := uuid.NewString()
	unnamed := `{"CompanyProfile":{"Domain":"zava.example","CompanyName":"Zava"}}`
	first := send(t, http.MethodPost, "/v1/customers", w.admin, unnamed, "MS-RequestId", request)
	again := send(t, http.MethodPost, "/v1/customers", w.admin, unnamed, "MS-RequestId", request)
	require.Equal(t, http.StatusCreated, first.status, "%s", first.body)
	require.Equal(t, string(first.body), string(again.body))
	send(t, http.MethodPost, "/v1/customers", w.helpdesk, unnamed).refused(t, 403, "900150")
	f := send(t, http.MethodPost, "/v1/customers", w.admin, `{"companyProfile":{}}`).refused(t, 400, "800002")
	require.Len(t, f.Data, 2, "every field at fault")
}

func TestSubscriptionsOfBothKindsAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	global := uuid.NewString()
	w.command(w.admin, "RecordSubscription", `{"customerId":%q,"subscriptionId":%q,"kind":"AzureGlobal","name":"Legacy"}`, w.customer, global)
	w.command(w.admin, "ChangeSubscriptionStatus", `{"customerId":%q,"subscriptionId":%q,"status":"disabled"}`, w.customer, global)
	items := w.items(w.path("/subscriptions"))
	require.Len(t, items, 2)
	require.Equal(t, "DZH318Z0BPS6:0001:DZH318Z0BML6", items[0]["offerId"])
	require.Equal(t, "active", items[0]["status"])
	require.Equal(t, "MS-AZR-0145P", items[1]["offerId"])
	require.Equal(t, "suspended", items[1]["status"])
	for _, s := range items {
		require.Equal(t, "Usage-based", s["unitType"])
		require.Equal(t, "usage", s["billingType"])
		require.InDelta(t, 1, s["quantity"], 0)
		require.Equal(t, s, w.one(w.path("/subscriptions/"+s["id"].(string))))
	}
	entitlements := w.items(w.path("/subscriptions/" + w.subscription + "/AZUREentitlements"))
	require.Equal(t, []object{{"id": w.subscription, "friendlyName": "Prod", "status": "active", "subscriptionId": w.subscription}}, entitlements)
	send(t, http.MethodGet, w.path("/subscriptions/"+global+"/azureEntitlements"), w.admin, "").refused(t, 400, "900317")
	for _, id := range []string{uuid.NewString(), "x"} {
		send(t, http.MethodGet, w.path("/subscriptions/"+id), w.admin, "").refused(t, 404, "20003")
	}
}

func TestOrdersSayWhoBoughtAndWhoPays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(reserved)
	own := w.buys(w.user, 2, `,"scope":{"type":"Single"}`)
	partners := w.buys(w.sales, 3, `,"scope":{"type":"Shared"}`)
	items := w.items(w.path("/orders"))
	require.Len(t, items, 2)
	require.Equal(t, partners, items[0]["id"])
	require.Equal(t, "partner", items[0]["boughtBy"].(object)["kind"])

	o := w.one(w.path("/orders/" + own))
	require.Equal(t, items[1], o)
	require.Equal(t, w.customer, o["referenceCustomerId"])
	require.Equal(t, "customer", o["boughtBy"].(object)["kind"])
	require.Equal(t, w.owner, o["boughtBy"].(object)["userId"])
	require.Equal(t, w.partner, o["billedTo"])
	require.Equal(t, "USD", o["currencyCode"])
	require.Equal(t, "one_time", o["billingCycle"])
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`, o["creationDate"])
	line := o["lineItems"].([]any)[0].(object)
	require.Equal(t, object{"listPrice": 519., "price": 500., "extendedPrice": 1000.}, line["pricing"])
	require.Equal(t, object{"scope": "Single", "entitlementId": w.subscription, "subscriptionId": w.subscription}, line["provisioningContext"])
	require.Equal(t, "P1Y", line["termDuration"])
	require.Equal(t, "new", line["transactionType"])
	require.Contains(t, string(w.get(w.path("/orders/"+own)).body), `"extendedPrice":1000.00`, "money is exact")
	for _, id := range []string{uuid.NewString(), "x"} {
		send(t, http.MethodGet, w.path("/orders/"+id), w.admin, "").refused(t, 404, "20000")
	}
}

func TestSavingsPlansAreOrdersWithoutSizeAndRegion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(savings)
	id := uuid.NewString()
	w.command(w.user, "PurchaseSavingsPlan", `{"customerId":%q,"subscriptionId":%q,"term":"P1Y","billingPlan":"Monthly","commitment":{"amount":"1.50","currency":"USD"},"scope":{"type":"Shared"},"orderId":%q}`, w.customer, w.subscription, id)
	o := w.one(w.path("/orders/" + id))
	require.Equal(t, []object{o}, w.items(w.path("/orders")))
	require.Equal(t, []any{"USD", "monthly", "customer", w.partner}, []any{o["currencyCode"], o["billingCycle"], o["boughtBy"].(object)["kind"], o["billedTo"]})
	line := o["lineItems"].([]any)[0].(object)
	total := line["pricing"].(object)["extendedPrice"]
	require.InDelta(t, 1.5*24*365, total, 1.5*24, "an hour's money for every hour of the year")
	require.Equal(t, object{
		"lineItemNumber": 0., "offerId": "AzureSavingsPlan", "subscriptionId": w.subscription, "friendlyName": "Savings plan", "quantity": 1.,
		"termDuration": "P1Y", "transactionType": "new", "pricing": object{"extendedPrice": total},
		"provisioningContext": object{"scope": "Shared", "entitlementId": w.subscription, "subscriptionId": w.subscription},
		"commitment":          object{"amount": 1.5, "currencyCode": "USD", "grain": "Hourly"},
	}, line)
	require.Empty(t, w.items(w.path("/entitlements")), "it is no reservation")

	r := w.audit("?size=1").Items[0]
	require.Equal(t, []string{"create_order", "order", "succeeded"}, []string{r.OperationType, r.ResourceType, r.OperationStatus})
	require.Contains(t, r.ID, "_"+id+"_createorder_")
	data := r.data()
	delete(data, "CommandId")
	delete(data, "Position")
	require.Equal(t, map[string]string{
		"OrderId": id, "OfferId-0": "AzureSavingsPlan", "SubscriptionId-0": w.subscription, "SubscriptionName-0": "Savings plan",
		"Quantity-0": "1", "Commitment-0": "1.50 USD",
	}, data)
	require.Contains(t, r.ResourceNewValue, `"OrderId":"`+id)
}

func TestEntitlementsLeadToTheirReservations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order := w.buys(w.sales, 4, `,"scope":{"type":"Single"}`)
	items := w.items(w.path("/entitlements?entitlementType=reservedInstance"))
	require.Len(t, items, 1)
	e := items[0]
	require.Equal(t, object{"id": order, "lineItemId": "0"}, e["referenceOrder"])
	require.Equal(t, "reservedinstance", e["entitlementType"])
	require.InDelta(t, 4, e["quantity"], 0)
	require.NotContains(t, e, "expiryDate")
	require.Contains(t, w.items(w.path("/entitlements?showexpiry=True"))[0], "expiryDate")
	require.Empty(t, w.items(w.path("/entitlements?entitlementType=software")))
	send(t, http.MethodGet, w.path("/entitlements?showExpiry=maybe"), w.admin, "").refused(t, 400, "800002")

	found := e["entitledArtifacts"].([]any)[0].(object)
	details := w.one("/v1" + found["link"].(object)["uri"].(string))
	require.Equal(t, "reservedinstance", details["type"])
	r := details["reservations"].([]any)[0].(object)
	require.Equal(t, found["resourceId"], r["reservationId"])
	require.Equal(t, "Succeeded", r["provisioningState"])
	require.Equal(t, []any{"/subscriptions/" + w.subscription}, r["appliedScopes"])

	price := strings.Replace(`{"customerId":%q,"sku":"SKU","region":"eastus","term":"P1Y","billingPlan":"Upfront","customerPrice":{"amount":"900.00","currency":"USD"},"webDirectPrice":{"amount":"900.00","currency":"USD"}}`, "SKU", "Standard_D4s_v5", 1)
	w.command(w.admin, "SetReservationPrice", price, w.customer)
	to := fmt.Sprintf(`{"subscriptionId":%q,"sku":"Standard_D4s_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","quantity":%%d,"scope":{"type":"Shared"}}`, w.subscription)
	w.command(w.admin, "ExchangeReservation", `{"customerId":%q,"reservationId":%q,"quantity":4,"to":[`+fmt.Sprintf(to, 2)+","+fmt.Sprintf(to, 1)+`]}`, w.customer, r["reservationId"])
	lines := map[string]float64{}
	for _, e := range w.items(w.path("/entitlements")) {
		lines[e["referenceOrder"].(object)["lineItemId"].(string)] = e["quantity"].(float64)
	}
	require.Equal(t, map[string]float64{"0": 2, "1": 1}, lines, "what was exchanged is gone; each of the new ones knows its line")
	require.Equal(t, "Cancelled", w.one("/v1" + found["link"].(object)["uri"].(string))["reservations"].([]any)[0].(object)["provisioningState"])
	require.Len(t, w.items(w.path("/orders"))[0]["lineItems"], 2)
	for _, id := range []string{uuid.NewString(), "x"} {
		send(t, http.MethodGet, w.path("/artifacts/reservedinstances/"+id), w.admin, "").refused(t, 404, "1000")
	}
}

func TestLinksAreThoseThatClientsFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filter := url.QueryEscape(`{"Field":"CompanyName","Value":"Rel","Operator":"starts_with"}`)
	var p struct{ Links json.RawMessage }
	w.get("/V1/Customers?size=40&filter="+filter).into(t, &p)
	require.JSONEq(t, `{"self":{"uri":"/customers?size=40&filter=`+filter+`","method":"GET","headers":[]}}`, string(p.Links))
}
