package azure_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/reservations/armreservations/v3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

func TestThePriceIsThePartnersAndComesWithAnOrderId(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, p := range []person{w.buyer, w.admin, w.helpdesk} {
		wants := w.wants(3)
		quote, err := clients(t, p).NewReservationOrderClient().Calculate(t.Context(), wants, nil)
		require.NoError(t, err)
		q := quote.Properties
		require.InDelta(t, 1557.00, *q.BillingCurrencyTotal.Amount, 0)
		require.Equal(t, "USD", *q.BillingCurrencyTotal.CurrencyCode)
		require.InDelta(t, 1557.00, *q.PricingCurrencyTotal.Amount, 0)
		require.InDelta(t, 1557.00, *q.GrandTotal, 0)
		require.True(t, *q.IsBillingPartnerManaged)
		require.False(t, *q.IsTaxIncluded)
		require.Contains(t, *q.SKUTitle, "Standard_D2s_v5")
		require.Len(t, q.PaymentSchedule, 1)
		_, err = uuid.Parse(*q.ReservationOrderID)
		require.NoError(t, err)

		wants.Properties.BillingPlan = new(armreservations.ReservationBillingPlanMonthly)
		quote, err = clients(t, p).NewReservationOrderClient().Calculate(t.Context(), wants, nil)
		require.NoError(t, err)
		require.Len(t, quote.Properties.PaymentSchedule, 12)
		require.InDelta(t, 129.75, *quote.Properties.PaymentSchedule[0].PricingCurrencyTotal.Amount, 0)
	}
	require.Contains(t, string(w.call(w.buyer, http.MethodPost, "/calculatePrice", w.purchaseText()).body), `"amount":1038.00}`, "an amount has the digits of its currency")
	_, err := clients(t, w.other).NewReservationOrderClient().Calculate(t.Context(), w.wants(3), nil)
	refused(t, err, http.StatusForbidden, "AuthorizationFailed")

	unpriced := w.wants(1)
	unpriced.Location = new("westus")
	_, err = clients(t, w.buyer).NewReservationOrderClient().Calculate(t.Context(), unpriced, nil)
	require.Contains(t, refused(t, err, http.StatusBadRequest, "CalculatePriceFailed"), "Ask Fabrikam")
}

func TestAnOwnerBuysOnceThePermissionIsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	orders := clients(t, w.buyer).NewReservationOrderClient()
	quote, err := orders.Calculate(t.Context(), w.wants(2), nil)
	require.NoError(t, err)
	id := *quote.Properties.ReservationOrderID

	_, err = done(orders.BeginPurchase(t.Context(), id, w.wants(2), nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam to grant the purchase permission")
	_, err = orders.Get(t.Context(), id, nil)
	refused(t, err, http.StatusNotFound, "ReservationOrderNotFound")

	w.grant()
	_, err = done(clients(t, w.other).NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), w.wants(2), nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "AuthorizationFailed"), "Owner")

	bought, err := done(orders.BeginPurchase(t.Context(), id, w.wants(2), nil))
	require.NoError(t, err, "the same request is accepted once it is allowed")
	require.Equal(t, id, *bought.Name)
	require.Equal(t, armreservations.ProvisioningStateSucceeded, *bought.Properties.ProvisioningState)
	require.Equal(t, "web", *bought.Properties.DisplayName)
	require.Equal(t, int32(2), *bought.Properties.OriginalQuantity)
	require.Len(t, bought.Properties.Reservations, 1)
	require.Equal(t, w.buyer.UPN, *bought.SystemData.CreatedBy, "an order says who bought")

	w.revoke()
	_, err = done(orders.BeginPurchase(t.Context(), uuid.NewString(), w.wants(2), nil))
	refused(t, err, http.StatusForbidden, "Forbidden")
	again, err := done(orders.BeginPurchase(t.Context(), id, w.wants(2), nil))
	require.NoError(t, err, "what was bought stays (S16), and the request that bought it gets the same answer")
	require.Equal(t, bought.ReservationOrderResponse, again.ReservationOrderResponse)
}

func TestAllRulesThatSayNoAreInTheDetails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.call(w.other, http.MethodPut, "/reservationOrders/"+uuid.NewString(), w.purchaseText())
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "Forbidden", a.code(t))
	require.Contains(t, string(a.body), `"details":[{"code":"AuthorizationFailed"`)
}

func TestAgentsBuyOnTheCustomersBehalf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, p := range []person{w.admin, w.sales} {
		order, _ := w.buy(p, 1)
		seen, err := clients(t, w.buyer).NewReservationOrderClient().Get(t.Context(), order, nil)
		require.NoError(t, err, "the customer sees it beside its own (S11)")
		require.Equal(t, p.UPN, *seen.SystemData.CreatedBy)
	}
	for _, p := range []person{w.helpdesk, w.auditor} {
		_, err := done(clients(t, p).NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), w.wants(1), nil))
		refused(t, err, http.StatusForbidden, "AuthorizationFailed")
	}
	theirs := newWorld(t)
	_, err := done(clients(t, w.admin).NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), theirs.wants(1), nil))
	refused(t, err, http.StatusNotFound, "SubscriptionNotFound")
}

func TestARepeatedPurchaseHasOneEffectAndTheSameAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	id := uuid.NewString()
	const tries = 20
	answers := make([]answer, tries)
	var wait sync.WaitGroup
	for i := range tries {
		wait.Go(func() { answers[i] = w.call(w.buyer, http.MethodPut, "/reservationOrders/"+id, w.purchaseText()) })
	}
	wait.Wait()
	for _, a := range answers {
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		require.Equal(t, string(answers[0].body), string(a.body))
	}
	require.Len(t, w.orders(w.admin), 1)

	for name, c := range map[string]struct {
		by           person
		change, with string
		status       int
		code         string
	}{
		"another quantity":      {w.buyer, `"quantity":2`, `"quantity":3`, 409, "ReservationOrderIdAlreadyExists"},
		"another name":          {w.buyer, `"displayName":"web"`, `"displayName":"db"`, 409, "ReservationOrderIdAlreadyExists"},
		"another buyer":         {w.admin, "", "", 409, "ReservationOrderIdAlreadyExists"},
		"another billing scope": {w.admin, w.subscription.String(), w.second.String(), 400, "BillingScopeIdCannotBeChanged"},
	} {
		a := w.call(c.by, http.MethodPut, "/reservationOrders/"+id, strings.Replace(w.purchaseText(), c.change, c.with, 1))
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		require.Equal(t, c.code, a.code(t), name)
	}
	require.Len(t, w.orders(w.admin), 1)
}

func TestAnAnswerToAPurchaseSaysWhereTheOrderIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	a := w.call(w.admin, http.MethodPut, "/reservationOrders/"+id, w.purchaseText())
	require.Equal(t, "http://example.com/providers/Microsoft.Capacity/reservationOrders/"+id+version, a.header.Get("Location"))
	require.Equal(t, http.StatusOK, send(t, shared, http.MethodGet, a.header.Get("Location"), w.buyer.token, nil).status)

	behind := w.call(w.admin, http.MethodPut, "/reservationOrders/"+id, w.purchaseText(), "X-Forwarded-Proto", "https")
	require.True(t, strings.HasPrefix(behind.header.Get("Location"), "https://example.com/"), "a proxy that ends TLS says so")
}

func TestScopesAreReadAsAzureMeansThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := "/subscriptions/"+w.subscription.String(), "/subscriptions/"+w.second.String()
	for name, c := range map[string]struct {
		scope  string
		status int
		code   string
		want   domain.Scope
	}{
		"shared":                       {`"appliedScopeType":"Shared"`, 200, "", domain.Scope{Type: domain.Shared}},
		"in other case":                {`"APPLIEDSCOPETYPE":"shared"`, 200, "", domain.Scope{Type: domain.Shared}},
		"single":                       {`"appliedScopeType":"Single","appliedScopes":["` + second + `"]`, 200, "", domain.Scope{Type: domain.Single, SubscriptionID: w.second}},
		"single by property":           {`"appliedScopeType":"Single","appliedScopeProperties":{"subscriptionId":"` + second + `","displayName":"x"}`, 200, "", domain.Scope{Type: domain.Single, SubscriptionID: w.second}},
		"single in both":               {`"appliedScopeType":"Single","appliedScopes":["` + second + `"],"appliedScopeProperties":{"subscriptionId":"` + strings.ToUpper(second) + `"}`, 200, "", domain.Scope{Type: domain.Single, SubscriptionID: w.second}},
		"single without":               {`"appliedScopeType":"Single"`, 400, "MissingAppliedScopesForSingle", domain.Scope{}},
		"single with none":             {`"appliedScopeType":"Single","appliedScopes":[]`, 400, "MissingAppliedScopesForSingle", domain.Scope{}},
		"single with two":              {`"appliedScopeType":"Single","appliedScopes":["` + first + `","` + second + `"]`, 400, "InvalidSingleAppliedScopesCount", domain.Scope{}},
		"single with one and another":  {`"appliedScopeType":"Single","appliedScopes":["` + first + `"],"appliedScopeProperties":{"subscriptionId":"` + second + `"}`, 400, "InvalidSingleAppliedScopesCount", domain.Scope{}},
		"single with a resource group": {`"appliedScopeType":"Single","appliedScopes":["` + first + `/resourceGroups/web"]`, 400, "InvalidSubscriptionId", domain.Scope{}},
		"resource group by property":   {`"appliedScopeType":"Single","appliedScopeProperties":{"resourceGroupId":"` + first + `/resourceGroups/web"}`, 400, "BadRequest", domain.Scope{}},
		"shared with subscriptions":    {`"appliedScopeType":"Shared","appliedScopes":["` + first + `"]`, 400, "BadRequest", domain.Scope{}},
		"management group":             {`"appliedScopeType":"ManagementGroup","appliedScopeProperties":{"managementGroupId":"/providers/Microsoft.Management/managementGroups/x"}`, 400, "BadRequest", domain.Scope{}},
		"no type":                      {`"appliedScopes":["` + first + `"]`, 400, "BadRequest", domain.Scope{}},
		"somebody else's":              {`"appliedScopeType":"Single","appliedScopes":["/subscriptions/` + uuid.NewString() + `"]`, 404, "ResourceNotFound", domain.Scope{}},
	} {
		id := uuid.NewString()
		a := w.call(w.admin, http.MethodPut, "/reservationOrders/"+id, strings.Replace(w.purchaseText(), `"appliedScopeType":"Shared"`, c.scope, 1))
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		if c.code != "" {
			require.Equal(t, c.code, a.code(t), name)
			continue
		}
		pager := clients(t, w.admin).NewReservationClient().NewListPager(id, nil)
		page, err := pager.NextPage(t.Context())
		require.NoError(t, err)
		p := page.Value[0].Properties
		require.Equal(t, string(c.want.Type), string(*p.AppliedScopeType), name)
		if c.want.Type == domain.Single {
			require.Equal(t, "/subscriptions/"+c.want.SubscriptionID.String(), *p.AppliedScopes[0], name)
			require.Equal(t, "/subscriptions/"+c.want.SubscriptionID.String(), *p.AppliedScopeProperties.SubscriptionID, name)
		} else {
			require.Empty(t, p.AppliedScopes, name)
		}
	}
}

// purchaseText is a purchase of two as it is sent.
func (w *world) purchaseText() string {
	return `{"sku":{"name":"Standard_D2s_v5"},"location":"eastus","properties":{"reservedResourceType":"VirtualMachines","billingScopeId":"/subscriptions/` +
		w.subscription.String() + `","term":"P1Y","billingPlan":"Upfront","quantity":2,"displayName":"web","appliedScopeType":"Shared","renew":false}}`
}

// orders lists the ids of all orders that somebody sees.
func (w *world) orders(p person) (ids []string) {
	w.t.Helper()
	pager := clients(w.t, p).NewReservationOrderClient().NewListPager(nil)
	for pager.More() {
		page, err := pager.NextPage(w.t.Context())
		require.NoError(w.t, err)
		for _, o := range page.Value {
			ids = append(ids, *o.Name)
		}
	}
	return ids
}
