package main

import (
	"maps"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The companies and people of the procedure.
const (
	fabrikam = "634f6379-ad54-449b-9821-564f737158ab"
	litware  = "7f2b9a10-3c4d-4e5f-8a9b-0c1d2e3f4a5b"
	contoso  = "0431a72c-7d8a-4393-b25e-ef63f5efb415"
	prod     = "a1f5b0c6-3c0e-4f7e-9b1a-0d6f5f0e7c11"
	second   = "b2e6c1d7-4d1f-4a8e-8c2b-1e7a6a1f8d22"
	yijun    = "5d1f2a9e-0c1b-4c69-8c53-2f6a4f4f9a10"
)

func usd(amount string) map[string]any { return map[string]any{"amount": amount, "currency": "USD"} }

func wanted(quantity int) map[string]any {
	return map[string]any{
		"customerId": contoso, "subscriptionId": prod, "sku": "Standard_D2s_v5", "region": "eastus", "term": "P1Y",
		"billingPlan": "Upfront", "quantity": quantity, "scope": map[string]any{"type": "Shared"}, "displayName": "Web servers",
	}
}

var (
	permission   = map[string]any{"customerId": contoso, "product": "AzureReservedInstances", "reason": "asked for by phone"}
	subscription = map[string]any{"customerId": contoso, "subscriptionId": prod, "kind": "AzurePlan", "name": "Prod"}
	ownership    = map[string]any{"customerId": contoso, "subscriptionId": prod, "userId": yijun, "userPrincipalName": "yijun@contoso.example", "role": "Owner"}
	listPrice    = map[string]any{
		"customerId": contoso, "sku": "Standard_D2s_v5", "region": "eastus", "term": "P1Y", "billingPlan": "Upfront",
		"customerPrice": usd("500.00"), "webDirectPrice": usd("519.00"),
	}
)

// registered starts a server with the partner and its customer, and gives the admin agent's token.
func registered(t *testing.T, dir string) (*server, string) {
	t.Helper()
	s := serve(t, dir, "--init")
	admin := mint(t, dir, "--role", "AdminAgent", "--partner", fabrikam, "--upn", "mei@fabrikam.example")
	s.accepted(admin, "RegisterPartner", map[string]any{"name": "Fabrikam", "country": "TW", "currency": "USD"})
	s.accepted(admin, "RegisterCustomer", map[string]any{"customerId": contoso, "companyName": "Contoso", "domain": "contoso.example"})
	return s, admin
}

// prepared is registered with everything that lets the buyer buy.
func prepared(t *testing.T, dir string) (s *server, admin, buyer string) {
	t.Helper()
	s, admin = registered(t, dir)
	s.accepted(admin, "RecordSubscription", subscription)
	s.accepted(admin, "SetReservationPrice", listPrice)
	s.accepted(admin, "AssignSubscriptionRole", ownership)
	s.accepted(admin, "GrantPurchasePermission", permission)
	return s, admin, buyerToken(t, dir)
}

func buyerToken(t *testing.T, dir string) string {
	t.Helper()
	return mint(t, dir, "--role", "CustomerUser", "--partner", fabrikam, "--customer", contoso, "--user-id", yijun, "--upn", "yijun@contoso.example")
}

// TestTheProcedure follows Microsoft's description from the first step to the last, over HTTP.
func TestTheProcedure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, admin := registered(t, dir)
	sales := mint(t, dir, "--role", "SalesAgent", "--partner", fabrikam, "--upn", "tom@fabrikam.example")
	helpdesk := mint(t, dir, "--role", "HelpdeskAgent", "--partner", fabrikam, "--upn", "ana@fabrikam.example")
	auditor := mint(t, dir, "--role", "Auditor", "--partner", fabrikam, "--upn", "aud@fabrikam.example")
	buyer := buyerToken(t, dir)

	// S5: no subscription, no permission.
	detail := s.refused(admin, "GrantPurchasePermission", permission, http.StatusConflict, "S5", "no-eligible-subscription")
	require.Contains(t, detail, "Buy one")
	s.accepted(sales, "RecordSubscription", subscription)
	s.accepted(sales, "SetReservationPrice", listPrice)

	// S2: who may turn it on.
	s.refused(sales, "GrantPurchasePermission", permission, http.StatusForbidden, "S2", "role-not-allowed")
	s.refused(helpdesk, "GrantPurchasePermission", permission, http.StatusForbidden, "S2", "role-not-allowed")
	s.accepted(admin, "GrantPurchasePermission", permission)

	// S6: Owner, S13: at the partner's price.
	detail = s.refused(buyer, "PurchaseReservation", wanted(2), http.StatusForbidden, "S6", "owner-role-missing")
	require.Contains(t, detail, "AssignSubscriptionRole")
	s.accepted(admin, "AssignSubscriptionRole", ownership)
	_, events := s.accepted(buyer, "PurchaseReservation", wanted(2))
	bought := events[0].(map[string]any)["data"].(map[string]any)
	require.Equal(t, usd("500.00"), bought["unitPrice"])
	position, _ := s.accepted(sales, "PurchaseReservation", wanted(1))

	seenSideBySide(t, s, admin, auditor, position)
	reservation := bought["reservationId"].(string)
	partnerOnlyAfterwards(t, s, admin, buyer, reservation)

	// S16: off stops later purchases only.
	position, _ = s.accepted(admin, "RevokePurchasePermission", permission)
	s.refused(buyer, "PurchaseReservation", wanted(1), http.StatusForbidden, "S7", "purchase-permission-off")
	orders := s.items("/api/customers/"+contoso+"/orders", admin, position)
	require.GreaterOrEqual(t, len(orders), 2)
	seesNothing(t, s, dir, reservation)
	s.stop()
	require.Contains(t, succeeds(t, dir, "-o", "json", "verify", "--models"), `"models"`)
}

// seenSideBySide: S8, S11, S12.
func seenSideBySide(t *testing.T, s *server, admin, auditor string, position uint64) {
	t.Helper()
	orders := s.items("/api/customers/"+contoso+"/orders", admin, position)
	require.Len(t, orders, 2)
	require.Equal(t, "partner", orders[0]["boughtBy"].(map[string]any)["kind"])
	require.Equal(t, "customer", orders[1]["boughtBy"].(map[string]any)["kind"])
	for _, o := range orders {
		require.Equal(t, fabrikam, o["billedTo"])
		require.Equal(t, usd("519.00"), o["webDirectPrice"])
	}
	require.Equal(t, usd("1000.00"), orders[1]["total"])
	require.Len(t, s.items("/api/customers/"+contoso+"/reservations", admin, position), 2)
	labels := make(map[string]int)
	for _, a := range s.items("/api/activity?limit=100", auditor, position) {
		labels[a["label"].(string)+" "+a["result"].(string)]++
	}
	require.Equal(t, 1, labels["Create Customer Purchase Permissions succeeded"])
	require.Equal(t, 2, labels["Create Customer Purchase Permissions failed"], "the denied attempts of S2 are there as well (L7): %v", labels)
}

// partnerOnlyAfterwards: S9. The customer tries everything, the admin agent does it.
func partnerOnlyAfterwards(t *testing.T, s *server, admin, buyer, reservation string) {
	t.Helper()
	s.accepted(admin, "RecordSubscription", map[string]any{"customerId": contoso, "subscriptionId": second, "kind": "AzurePlan", "name": "Second"})
	s.accepted(admin, "SetReservationPrice", map[string]any{
		"customerId": contoso, "sku": "Standard_D2s_v5", "region": "eastus", "term": "P3Y", "billingPlan": "Upfront",
		"customerPrice": usd("960.00"), "webDirectPrice": usd("997.00"),
	})
	larger := wanted(1)
	larger["term"] = "P3Y"
	delete(larger, "customerId")
	of := map[string]any{"customerId": contoso, "reservationId": reservation}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, of)
		return more
	}
	for _, c := range []struct {
		name string
		body map[string]any
	}{
		{"ChangeReservationScope", with(map[string]any{"scope": map[string]any{"type": "Single", "subscriptionId": second}})},
		{"RenameReservation", with(map[string]any{"displayName": "Front end"})},
		{"RenewReservation", with(map[string]any{"enabled": true})},
		{"ExchangeReservation", with(map[string]any{"quantity": 1, "to": []any{larger}})},
		{"ReturnReservation", with(map[string]any{"quantity": 1})},
	} {
		detail := s.refused(buyer, c.name, c.body, http.StatusForbidden, "S9", "partner-only")
		require.Contains(t, detail, "Fabrikam", "the customer is told whom to ask")
		_, events := s.accepted(admin, c.name, c.body)
		require.Len(t, events, 1, c.name)
	}
}

// seesNothing: L8. Another partner's agent gets the same 404 everywhere.
func seesNothing(t *testing.T, s *server, dir, reservation string) {
	t.Helper()
	rex := mint(t, dir, "--role", "AdminAgent", "--partner", litware, "--upn", "rex@litware.example")
	s.accepted(rex, "RegisterPartner", map[string]any{"name": "Litware", "country": "US", "currency": "USD"})
	for _, path := range []string{"", "/permissions", "/subscriptions", "/orders", "/reservations", "/activity", "/permissions/AzureReservedInstances/check?userId=" + yijun + "&subscriptionId=" + prod} {
		require.Equal(t, http.StatusNotFound, s.get("/api/customers/"+contoso+path, rex).status, path)
	}
	for name, body := range map[string]map[string]any{
		"GrantPurchasePermission": permission, "RevokePurchasePermission": permission, "PurchaseReservation": wanted(1),
		"RecordSubscription": subscription, "AssignSubscriptionRole": ownership, "SetReservationPrice": listPrice,
		"ReturnReservation": {"customerId": contoso, "reservationId": reservation, "quantity": 1},
	} {
		s.refused(rex, name, body, http.StatusNotFound, "L8", "not-found")
	}
	for _, list := range []string{"/api/orders", "/api/reservations", "/api/customers"} {
		require.Empty(t, s.items(list, rex, 0), list)
	}
}
