package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/auth"
)

// ask does a request on the handler itself.
func ask(t *testing.T, h *Handler, token, method, address, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// counted is the value of a figure; 0 where it is not shown.
func counted(t *testing.T, h *Handler, figure string) (n int) {
	t.Helper()
	for line := range strings.Lines(ask(t, h, "", http.MethodGet, "/metrics", "").Body.String()) {
		if value, is := strings.CutPrefix(line, figure+" "); is {
			var err error
			n, err = strconv.Atoi(strings.TrimSpace(value))
			require.NoError(t, err)
		}
	}
	return n
}

func TestCommandsAreCountedThroughWhicheverDoorTheyCome(t *testing.T) {
	t.Parallel()
	h, key, _ := opened(t)
	admin := token(t, key)
	customer, subscription, order := uuid.NewString(), uuid.NewString(), uuid.NewString()
	user, err := key.Mint(auth.Token{Tenant: domain.TenantID{UUID: uuid.MustParse(customer)}, User: domain.UserID{UUID: uuid.New()}, Roles: domain.CustomerUser})
	require.NoError(t, err)
	reservation := fmt.Sprintf(`{"sku":{"name":"Standard_D2s_v5"},"location":"eastus","properties":{"reservedResourceType":"VirtualMachines",
		"billingScopeId":"/subscriptions/%s","term":"P1Y","quantity":1,"appliedScopeType":"Shared"}}`, subscription)
	for _, c := range []struct{ token, method, address, body, counted string }{
		{admin, "POST", "/api/commands/RegisterPartner", `{"name":"Fabrikam","country":"TW","currency":"USD"}`, `{command="RegisterPartner",outcome="recorded"}`},
		{admin, "POST", "/v1/customers", fmt.Sprintf(`{"id":%q,"companyProfile":{"domain":"contoso.example","companyName":"Contoso"}}`, customer), `{command="RegisterCustomer",outcome="recorded"}`},
		{admin, "PUT", "/webhooks/v1/registration", `{"WebhookUrl":"https://hooks.example/in","WebhookEvents":["test-created"]}`, `{command="RegisterWebhook",outcome="recorded"}`},
		{admin, "DELETE", "/webhooks/v1/registration", "", `{command="RemoveWebhook",outcome="recorded"}`},
		{admin, "DELETE", "/webhooks/v1/registration", "", `{command="RemoveWebhook",outcome="already-so"}`},
		{user, "DELETE", "/webhooks/v1/registration", "", `{command="RemoveWebhook",outcome="role-not-allowed"}`},
		{admin, "POST", "/api/commands/RecordSubscription", fmt.Sprintf(`{"customerId":%q,"subscriptionId":%q,"kind":"AzurePlan","name":"Prod"}`, customer, subscription), `{command="RecordSubscription",outcome="recorded"}`},
		{admin, "PUT", "/providers/Microsoft.Capacity/reservationOrders/" + order + "?api-version=2022-11-01", reservation, `{command="PurchaseReservation",outcome="price-not-set"}`},
		{user, "PUT", "/providers/Microsoft.Capacity/reservationOrders/" + order + "?api-version=2022-11-01", reservation, `{command="PurchaseReservation",outcome="purchase-permission-off"}`},
	} {
		answer := ask(t, h, c.token, c.method, c.address, c.body)
		require.Equal(t, 1, counted(t, h, "permledger_commands_total"+c.counted), "%s %s: %s", c.method, c.address, answer.Body)
	}
	for _, code := range []string{"role-not-allowed", "purchase-permission-off"} {
		require.Equal(t, 1, counted(t, h, fmt.Sprintf(`permledger_denied_attempts_total{code=%q}`, code)))
	}
}

func TestUnknownAddressesAreAnsweredInTheirDoorsWords(t *testing.T) {
	t.Parallel()
	h, key, _ := opened(t)
	admin := token(t, key)
	ask(t, h, admin, http.MethodPost, "/api/commands/RegisterPartner", `{"name":"Fabrikam","country":"TW","currency":"USD"}`)
	for words, addresses := range map[string][]string{
		`{"code":"1000","description":"Not found.","data":[],"source":"permledger"}`: {
			"/v1", "/v1/", "/v1/invoices", "/V1/Invoices", "/v1/customers/1/2/3", "/auditactivity", "/auditactivity/v2/auditrecords",
			"/AuditActivity/v1/x", "/webhooks", "/webhooks/v1", "/WebHooks/V1/Registration/x", "/webhooks/v2/registration",
		},
		`"error":{"code":"InvalidResourceType"`: {"/providers/Microsoft.Capacity/catalogs", "/Providers/microsoft.capacity/", "/providers/Microsoft.Capacity", "/providers/Microsoft.Capacity/reservations/x"},
		`"error":{"code":"InvalidResourceNamespace"`: {
			"/providers", "/providers/", "/providers/Microsoft.Compute/virtualMachines", "/PROVIDERS/x", "/providers/Microsoft.CapacityX/reservations",
		},
		`"code":"no-such-route"`: {"/", "/v2/customers", "/v1x", "/providersx", "/webhook", "/api/policies", "/subscriptions/1/providers/Microsoft.Capacity/x"},
	} {
		for _, address := range addresses {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				answer := ask(t, h, admin, method, address+"?api-version=2022-11-01", "")
				require.Equal(t, http.StatusNotFound, answer.Code, "%s %s: %s", method, address, answer.Body)
				require.Contains(t, answer.Body.String(), words, "%s %s", method, address)
			}
		}
	}
}
