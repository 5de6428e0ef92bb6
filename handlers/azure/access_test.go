package azure_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/azure"
)

// mayUse says for every route what each principal is answered, in the order of users below. Where a body is needed
// it asks for something that the ledger could do. A route that is not here fails the test.
var mayUse = map[string][]int{
	// admin, sales, helpdesk, auditor, customer's Owner, another of the customer's users
	"GET /operations":                                                            {200, 200, 200, 200, 200, 200},
	"POST /calculatePrice":                                                       {200, 200, 200, 200, 200, 403},
	"PUT /reservationOrders/{order}":                                             {200, 200, 403, 403, 403, 403},
	"GET /reservationOrders":                                                     {200, 200, 200, 200, 200, 200},
	"GET /reservationOrders/{order}":                                             {200, 200, 200, 200, 200, 200},
	"GET /reservations":                                                          {200, 200, 200, 200, 200, 200},
	"GET /reservationOrders/{order}/reservations":                                {200, 200, 200, 200, 200, 200},
	"GET /reservationOrders/{order}/reservations/{reservation}":                  {200, 200, 200, 200, 200, 200},
	"PATCH /reservationOrders/{order}/reservations/{reservation}":                {200, 403, 403, 403, 403, 403},
	"POST /reservationOrders/{order}/reservations/{reservation}/availableScopes": {200, 200, 200, 200, 200, 200},
	"POST /reservationOrders/{order}/split":                                      {200, 403, 403, 403, 403, 403},
	"POST /reservationOrders/{order}/merge":                                      {200, 403, 403, 403, 403, 403},
	"POST /reservationOrders/{order}/calculateRefund":                            {200, 403, 403, 403, 403, 403},
	"POST /reservationOrders/{order}/return":                                     {200, 403, 403, 403, 403, 403},
	"POST /calculateExchange":                                                    {200, 403, 403, 403, 403, 403},
	"POST /exchange":                                                             {200, 403, 403, 403, 403, 403},
}

// use tries a route on something new of this world's, as somebody, and gives the answer.
func (w *world) use(p person, route string) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	order, reservation := w.buy(w.admin, 2)
	units := `{"reservationId":"` + reservationPath(order, reservation) + `","quantity":1}`
	bodies := map[string]string{
		"PUT /reservationOrders/{order}":                                             w.purchaseText(),
		"POST /calculatePrice":                                                       w.purchaseText(),
		"PATCH /reservationOrders/{order}/reservations/{reservation}":                `{"properties":{"renew":true}}`,
		"POST /reservationOrders/{order}/reservations/{reservation}/availableScopes": `{"properties":{"scopes":["/subscriptions/` + w.second.String() + `"]}}`,
		"POST /reservationOrders/{order}/split":                                      `{"properties":{"reservationId":"` + reservationPath(order, reservation) + `","quantities":[1,1]}}`,
		"POST /reservationOrders/{order}/calculateRefund":                            `{"properties":{"reservationToReturn":` + units + `}}`,
		"POST /calculateExchange":                                                    `{"properties":{"reservationsToExchange":[` + units + `],"reservationsToPurchase":[` + w.purchaseText() + `]}}`,
	}
	switch route {
	case "PUT /reservationOrders/{order}":
		path = "/reservationOrders/" + uuid.NewString()
	case "POST /reservationOrders/{order}/merge":
		split := w.must(w.admin, domain.SplitReservation{CustomerID: w.customer, ReservationID: domain.ReservationID{UUID: uuid.MustParse(reservation)}, Quantities: []int64{1, 1}})
		first, second := split.CommandID.Reservation(w.admin.Actor.Tenant, 0).String(), split.CommandID.Reservation(w.admin.Actor.Tenant, 1).String()
		bodies[route] = `{"properties":{"sources":["` + reservationPath(order, first) + `","` + reservationPath(order, second) + `"]}}`
	case "POST /reservationOrders/{order}/return":
		quote := w.session("/reservationOrders/"+order+"/calculateRefund", bodies["POST /reservationOrders/{order}/calculateRefund"])
		bodies[route] = `{"properties":{"sessionId":"` + quote + `","reservationToReturn":` + units + `}}`
	case "POST /exchange":
		bodies[route] = `{"properties":{"sessionId":"` + w.session("/calculateExchange", bodies["POST /calculateExchange"]) + `"}}`
	}
	return w.call(p, method, strings.NewReplacer("{order}", order, "{reservation}", reservation).Replace(path), bodies[route])
}

// session calculates something and gives the session.
func (w *world) session(path, body string) string {
	w.t.Helper()
	var quote struct{ Properties struct{ SessionID string } }
	w.call(w.admin, http.MethodPost, path, body).into(w.t, &quote)
	require.NotEmpty(w.t, quote.Properties.SessionID)
	return quote.Properties.SessionID
}

func TestWhoMayUseWhat(t *testing.T) {
	t.Parallel()
	w, unregistered := newWorld(t), emptyWorld(t)
	roleless := newPerson(t, w.partner, "no@fabrikam.example", 0)
	users := []person{w.admin, w.sales, w.helpdesk, w.auditor, w.buyer, w.other}
	for _, route := range azure.Routes() {
		want, decided := mayUse[route]
		require.True(t, decided, "nobody has said who may use %s", route)
		for i, p := range users {
			a := w.use(p, route)
			require.Equal(t, want[i], a.status, "%s user %d: %s", route, i, a.body)
			if want[i] == http.StatusForbidden && p.Tenant == w.customer && route != "POST /calculatePrice" {
				require.Contains(t, string(a.body), "Fabrikam", "a customer is told whom to ask: %s", route)
			}
		}
		require.Equal(t, 401, w.use(person{}, route).status, route)
		require.Equal(t, 401, w.use(person{token: "abc"}, route).status, route)
		require.Equal(t, "AuthorizationFailed", w.use(roleless, route).code(t), route)
		require.Equal(t, "Forbidden", w.use(unregistered.admin, route).code(t), route)
		require.Equal(t, "Forbidden", w.use(unregistered.buyer, route).code(t), route)
	}
	require.Len(t, mayUse, len(azure.Routes()))
}

var anyGUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

func TestAnotherTenantsReservationLooksExactlyLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	mine, theirs := newWorld(t), newWorld(t)
	order, reservation := theirs.buy(theirs.admin, 2)
	body := func(order, reservation string) string {
		path := reservationPath(order, reservation)
		return `{"properties":{"renew":true,"scopes":[],"reservationId":"` + path + `","quantities":[1,1],"sources":["` + path + `","` + path + `"],
			"reservationToReturn":{"reservationId":"` + path + `","quantity":1},"reservationsToExchange":[{"reservationId":"` + path + `","quantity":1}]}}`
	}
	for _, route := range azure.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if !strings.Contains(path, "{") && path != "/calculateExchange" || method == http.MethodPut {
			continue
		}
		for _, p := range []person{mine.admin, mine.helpdesk, mine.buyer} {
			answers := [2]answer{}
			for i, ids := range [2][2]string{{order, reservation}, {uuid.NewString(), uuid.NewString()}} {
				text := ""
				if method != http.MethodGet {
					text = body(ids[0], ids[1])
				}
				answers[i] = mine.call(p, method, strings.NewReplacer("{order}", ids[0], "{reservation}", ids[1]).Replace(path), text)
			}
			require.Equal(t, http.StatusNotFound, answers[0].status, "%s: %s", route, answers[0].body)
			require.Equal(t, anyGUID.ReplaceAllString(string(answers[1].body), "…"), anyGUID.ReplaceAllString(string(answers[0].body), "…"), route)
		}
	}
}
