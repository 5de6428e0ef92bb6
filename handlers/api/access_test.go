package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

// mayRead says for every query what each principal is answered, in the order of readers below. A route
// that is not here fails the test.
var mayRead = map[string][]int{
	// admin, sales, helpdesk, auditor, customer's Owner, another of the customer's users
	"/api/customers":                                                    {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}":                                       {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/permissions":                           {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/permissions/history":                   {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/permissions/{product}/check":           {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/subscriptions":                         {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/orders":                                {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/orders/{orderId}":                      {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/reservations":                          {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/reservations/{reservationId}":          {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/reservations/{reservationId}/coverage": {200, 200, 200, 200, 200, 200},
	"/api/customers/{customerId}/prices":                                {200, 200, 200, 200, 200, 403},
	"/api/customers/{customerId}/activity":                              {200, 200, 200, 200, 200, 403},
	"/api/orders":                                                       {200, 200, 200, 200, 200, 200},
	"/api/reservations":                                                 {200, 200, 200, 200, 200, 200},
	"/api/activity":                                                     {200, 200, 200, 200, 200, 403},
	"/api/events":                                                       {200, 200, 403, 200, 403, 403},
	"/api/events/stream":                                                {200, 200, 403, 200, 403, 403},
	"/api/commands/{id}":                                                {200, 200, 200, 200, 404, 404},
}

// forEverybody are the routes for which no token is needed.
var forEverybody = []string{"/livez", "/readyz"}

// described lists the paths of the API with their methods.
func described(t *testing.T) map[string]map[string]any {
	t.Helper()
	var d struct {
		Paths map[string]map[string]any
	}
	send(t, shared, http.MethodGet, "/openapi.json", "", "").into(t, &d)
	return d.Paths
}

// concrete fills in the parameters of a path so that it answers.
func (w *world) concrete(path string, order, reservation, command string) string {
	path = strings.NewReplacer("{customerId}", w.customer, "{product}", "AzureReservedInstances", "{orderId}", order,
		"{reservationId}", reservation, "{id}", command).Replace(path)
	if strings.HasSuffix(path, "/check") {
		path += "?userId=" + w.owner + "&subscriptionId=" + w.subscription
	}
	return path
}

// bought makes an order and gives its ids and the command's.
func (w *world) bought() (order, reservation, command string) {
	w.t.Helper()
	command = uuid.NewString()
	var done struct {
		Events []struct {
			Data struct{ OrderID, ReservationID string }
		}
	}
	w.command(w.admin, "PurchaseReservation", w.purchase(), "Idempotency-Key", command).into(w.t, &done)
	return done.Events[0].Data.OrderID, done.Events[0].Data.ReservationID, command
}

func TestWhoMayReadWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation, command := w.bought()
	other := newWorld(t)
	readers := []string{w.admin, w.sales, w.helpdesk, w.auditor, w.buyer, w.bystand}
	unregistered := emptyWorld(t)
	roleless := mint(t, w.partner, uuid.NewString(), 0)

	for path, methods := range described(t) {
		if _, reads := methods["get"]; !reads || slices.Contains(forEverybody, path) {
			continue
		}
		want, decided := mayRead[path]
		require.True(t, decided, "nobody has said who may read %s", path)
		address := w.concrete(path, order, reservation, command)
		if path != "/api/events/stream" {
			for i, token := range readers {
				a := w.get(token, address)
				require.Equal(t, want[i], a.status, "%s reader %d: %s", path, i, a.body)
				if a.status != http.StatusOK {
					a.problem(t)
				}
				require.NotEmpty(t, a.header.Get("Ledger-Position"))
			}
		}
		require.Equal(t, 401, w.get("", address).status, path)
		require.Equal(t, 401, w.get("abc", address).status, path)
		if path != "/api/commands/{id}" {
			require.Equal(t, domain.CodeRoleNotAllowed, w.get(roleless, address).problem(t).Code, path)
			require.Equal(t, domain.CodeTenantNotRegistered, w.get(unregistered.admin, address).problem(t).Code, path)
			require.Equal(t, domain.CodeTenantNotRegistered, w.get(unregistered.buyer, address).problem(t).Code, path)
		}
		if strings.Contains(path, "{") {
			for _, stranger := range []string{other.admin, other.auditor, other.buyer} {
				require.Equal(t, 404, w.get(stranger, address).status, path)
			}
		}
	}
	for path := range mayRead {
		require.Contains(t, described(t), path)
	}
}

func TestCommandsNeedAToken(t *testing.T) {
	t.Parallel()
	for path, methods := range described(t) {
		if _, changes := methods["post"]; changes {
			a := send(t, shared, http.MethodPost, path, "", "{}")
			require.Equal(t, 401, a.status, path)
			require.NotEmpty(t, a.header.Get("WWW-Authenticate"))
		}
	}
}

var (
	anyGUID    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	noHeaderOf = []string{"Ms-Requestid", "X-Request-Id", "Ledger-Position"}
)

func TestAnotherPartnersCustomerLooksExactlyLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	mine, other := newWorld(t), newWorld(t)
	order, reservation, _ := other.bought()
	unknown := *other
	unknown.customer = uuid.NewString()
	for path, methods := range described(t) {
		if _, reads := methods["get"]; !reads || !strings.Contains(path, "{customerId}") {
			continue
		}
		for _, token := range []string{mine.admin, mine.helpdesk, mine.buyer} {
			theirs := mine.get(token, other.concrete(path, order, reservation, ""))
			nobodys := mine.get(token, unknown.concrete(path, order, reservation, ""))
			require.Equal(t, 404, theirs.status, path)
			require.Equal(t, "L8", theirs.problem(t).Rule)
			require.Equal(t, anyGUID.ReplaceAllString(string(nobodys.body), "…"), anyGUID.ReplaceAllString(string(theirs.body), "…"))
			for _, name := range noHeaderOf {
				theirs.header.Del(name)
				nobodys.header.Del(name)
			}
			require.Equal(t, nobodys.header, theirs.header)
		}
	}
	for _, body := range []string{`{"customerId":%q,"product":"AzureReservedInstances"}`} {
		theirs := mine.command(mine.admin, "GrantPurchasePermission", strings.Replace(body, "%q", `"`+other.customer+`"`, 1))
		nobodys := mine.command(mine.admin, "GrantPurchasePermission", strings.Replace(body, "%q", `"`+unknown.customer+`"`, 1))
		require.Equal(t, 404, theirs.status)
		require.Equal(t, anyGUID.ReplaceAllString(string(nobodys.body), "…"), anyGUID.ReplaceAllString(string(theirs.body), "…"))
	}
	require.Equal(t, 404, mine.get(mine.admin, "/api/commands/"+uuid.NewString()).status)
}

func TestListsHoldOnlyWhatTheReaderMaySee(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	w.bought()
	other.bought()
	second := uuid.NewString()
	w.must(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"Tailspin","domain":"tailspin.example"}`, second)

	require.Len(t, w.list(w.admin, "/api/customers").Items, 2)
	own := w.list(w.bystand, "/api/customers").Items
	require.Len(t, own, 1, "a customer's user sees its own tenant alone")
	require.Equal(t, w.customer, own[0]["customerId"])
	require.Len(t, w.list(w.admin, "/api/orders").Items, 1)
	require.Len(t, w.list(w.buyer, "/api/orders").Items, 1)
	for _, e := range w.list(w.auditor, "/api/activity?limit=500").Items {
		require.NotEqual(t, other.customer, e["customerId"])
	}
	for _, e := range w.list(w.auditor, "/api/events?limit=500").Items {
		require.NotEqual(t, other.customer, e["customerId"])
	}
}

func TestOnlyOwnersAmongACustomersUsersSeePrices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation, _ := w.bought()
	for _, path := range []string{w.path("orders"), w.path("orders/" + order), "/api/orders", w.path("reservations"), w.path("reservations/" + reservation), "/api/reservations"} {
		for token, sees := range map[string]bool{w.admin: true, w.helpdesk: true, w.buyer: true, w.bystand: false} {
			a := w.get(token, path)
			require.Equal(t, http.StatusOK, a.status)
			require.Equal(t, sees, strings.Contains(string(a.body), "519.00"), "%s: %s", path, a.body)
			require.Equal(t, sees, strings.Contains(string(a.body), "600.00"), "%s: %s", path, a.body)
			require.True(t, json.Valid(a.body))
		}
	}
}
