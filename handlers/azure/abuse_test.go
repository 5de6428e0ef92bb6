package azure_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/handlers"
	"permledger/handlers/body"
	"permledger/projections"
)

// recorded counts the events of the partner's book, attempts that were refused apart.
func (w *world) recorded() (happened, refused int) {
	w.t.Helper()
	require.NoError(w.t, book.Models().WaitFor(w.t.Context(), book.Book().Head()))
	var filter projections.EventFilter
	for more := true; more; {
		events, err := book.Models().Events(w.t.Context(), projections.OfPartner(w.partner), filter, projections.MaxLimit)
		require.NoError(w.t, err)
		for _, e := range events.Items {
			if e.Type == "AttemptDenied" {
				refused++
			} else {
				happened++
			}
		}
		filter.After, more = events.Next, events.More
	}
	return happened, refused
}

func TestWhatIsNotAsItShouldBeIsRefusedAndWritesNothing(t *testing.T) {
	t.Parallel()
	w, theirs := newWorld(t), newWorld(t)
	order, reservation := w.buy(w.admin, 2)
	foreign, foreignReservation := theirs.buy(theirs.admin, 2)
	happened, _ := w.recorded()
	elsewhere, _ := theirs.recorded()
	put, patch := "/reservationOrders/"+uuid.NewString(), "/reservationOrders/"+order+"/reservations/"+reservation
	shared, buy := `{"properties":{"appliedScopeType":"Shared"}}`, w.purchaseText()
	give := func(order, reservation, more string) string {
		return `{"properties":{"reservationToReturn":{"reservationId":"` + reservationPath(order, reservation) + `","quantity":1}` + more + `}}`
	}
	for name, c := range map[string]struct {
		by                 person
		method, path, body string
		status             int
		code               string
	}{
		"no token":                    {person{}, "PUT", put, buy, 401, "AuthenticationFailed"},
		"a bad token":                 {person{token: "abc"}, "PUT", put, buy, 401, "AuthenticationFailed"},
		"another role":                {w.helpdesk, "PUT", put, buy, 403, "AuthorizationFailed"},
		"no JSON":                     {w.admin, "PUT", put, "{", 400, "InvalidRequestContent"},
		"a list":                      {w.admin, "PUT", put, "[]", 400, "InvalidRequestContent"},
		"null":                        {w.admin, "PUT", put, "null", 400, "InvalidSubscriptionId"},
		"nothing":                     {w.admin, "PUT", put, "", 415, "UnsupportedMediaType"},
		"trailing data":               {w.admin, "PUT", put, buy + "{}", 400, "InvalidRequestContent"},
		"a member twice":              {w.admin, "PUT", put, strings.Replace(buy, `"quantity":2`, `"quantity":2,"quantity":1`, 1), 400, "InvalidRequestContent"},
		"a member twice in two cases": {w.admin, "PUT", put, strings.Replace(buy, `"quantity":2`, `"quantity":2,"Quantity":1`, 1), 400, "InvalidRequestContent"},
		"invalid UTF-8":               {w.admin, "PUT", put, strings.Replace(buy, "web", "w\xffb", 1), 400, "InvalidRequestContent"},
		"a control character":         {w.admin, "PUT", put, strings.Replace(buy, "web", `w\u0000b`, 1), 400, "InvalidRequestContent"},
		"a quantity of text":          {w.admin, "PUT", put, strings.Replace(buy, `"quantity":2`, `"quantity":"2"`, 1), 400, "InvalidRequestContent"},
		"a quantity of one half":      {w.admin, "PUT", put, strings.Replace(buy, `"quantity":2`, `"quantity":0.5`, 1), 400, "InvalidRequestContent"},
		"a quantity of none":          {w.admin, "PUT", put, strings.Replace(buy, `"quantity":2`, `"quantity":0`, 1), 400, "InvalidRequestContent"},
		"a quantity too large":        {w.admin, "PUT", put, strings.Replace(buy, `"quantity":2`, `"quantity":1000001`, 1), 400, "InvalidRequestContent"},
		"a term there is none":        {w.admin, "PUT", put, strings.Replace(buy, "P1Y", "P2Y", 1), 400, "UnsupportedReservationTerm"},
		"a plan there is none":        {w.admin, "PUT", put, strings.Replace(buy, "Upfront", "Weekly", 1), 400, "BadRequest"},
		"no size":                     {w.admin, "PUT", put, strings.Replace(buy, "Standard_D2s_v5", "", 1), 400, "InvalidRequestContent"},
		"a billing scope of no kind":  {w.admin, "PUT", put, strings.Replace(buy, "/subscriptions/", "/billingAccounts/", 1), 400, "InvalidSubscriptionId"},
		"a billing scope unknown":     {w.admin, "PUT", put, strings.Replace(buy, w.subscription.String(), uuid.NewString(), 1), 404, "SubscriptionNotFound"},
		"a size without a price":      {w.admin, "PUT", put, strings.Replace(buy, "Standard_D2s_v5", "Standard_X1", 1), 400, "CalculatePriceFailed"},
		"another's subscription":      {w.admin, "PUT", put, strings.Replace(buy, w.subscription.String(), theirs.subscription.String(), 1), 404, "SubscriptionNotFound"},
		"ten megabytes":               {w.admin, "PUT", put, strings.Repeat(" ", 10<<20) + buy, 413, "RequestEntityTooLarge"},
		"one byte too many":           {w.admin, "PUT", put, buy + strings.Repeat(" ", body.Max+1-len(buy)), 413, "RequestEntityTooLarge"},
		"deep nesting":                {w.admin, "PUT", put, strings.Repeat("[", 30000), 400, "InvalidRequestContent"},
		"an order id that is no GUID": {w.admin, "PUT", "/reservationOrders/1", buy, 400, "InvalidReservationOrderId"},
		"a zero order id":             {w.admin, "GET", "/reservationOrders/" + uuid.Nil.String(), "", 400, "InvalidReservationOrderId"},
		"a reservation id of no kind": {w.admin, "GET", "/reservationOrders/" + order + "/reservations/1", "", 400, "InvalidReservationId"},
		"an unknown order":            {w.admin, "GET", "/reservationOrders/" + uuid.NewString(), "", 404, "ReservationOrderNotFound"},
		"an unknown order's list":     {w.admin, "GET", "/reservationOrders/" + uuid.NewString() + "/reservations", "", 404, "ReservationOrderNotFound"},
		"an unknown reservation":      {w.admin, "PATCH", "/reservationOrders/" + order + "/reservations/" + uuid.NewString(), shared, 404, "ResourceNotFound"},
		"another order's reservation": {w.admin, "PATCH", "/reservationOrders/" + uuid.NewString() + "/reservations/" + reservation, shared, 404, "ReservationIdNotInReservationOrder"},
		"another tenant's order":      {w.admin, "GET", "/reservationOrders/" + foreign, "", 404, "ReservationOrderNotFound"},
		"another tenant's, by a user": {w.buyer, "GET", "/reservationOrders/" + foreign, "", 404, "ReservationOrderNotFound"},
		"another tenant's scope":      {w.admin, "PATCH", "/reservationOrders/" + foreign + "/reservations/" + foreignReservation, shared, 404, "ResourceNotFound"},
		"another tenant's split": {
			w.admin, "POST", "/reservationOrders/" + foreign + "/split",
			`{"properties":{"reservationId":"` + reservationPath(foreign, foreignReservation) + `","quantities":[1,1]}}`, 404, "ResourceNotFound",
		},
		"another tenant's refund":   {w.admin, "POST", "/reservationOrders/" + foreign + "/calculateRefund", give(foreign, foreignReservation, ""), 404, "ResourceNotFound"},
		"a refund in another order": {w.admin, "POST", "/reservationOrders/" + uuid.NewString() + "/calculateRefund", give(order, reservation, ""), 400, "ReservationIdNotInReservationOrder"},
		"a refund of something":     {w.admin, "POST", "/reservationOrders/" + order + "/calculateRefund", give(order, reservation, `,"scope":"Subscription"`), 400, "BadRequest"},
		"a split of no path":        {w.admin, "POST", "/reservationOrders/" + order + "/split", `{"properties":{"reservationId":"` + reservation + `","quantities":[1,1]}}`, 400, "InvalidReservationId"},
		"a split in three":          {w.admin, "POST", "/reservationOrders/" + order + "/split", `{"properties":{"reservationId":"` + reservationPath(order, reservation) + `","quantities":[1,1,0]}}`, 400, "InvalidRequestContent"},
		"a merge of none":           {w.admin, "POST", "/reservationOrders/" + order + "/merge", `{"properties":{}}`, 400, "BadRequest"},
		"a merge of one":            {w.admin, "POST", "/reservationOrders/" + order + "/merge", `{"properties":{"sources":["` + reservationPath(order, reservation) + `"]}}`, 400, "InvalidRequestContent"},
		"a session there is none":   {w.admin, "POST", "/exchange", `{"properties":{"sessionId":"66e2ac8f-439e-4345-8235-6fef07608081"}}`, 400, "InvalidRequestContent"},
		"a resource there is none":  {w.admin, "POST", "/everything", buy, 404, "InvalidResourceType"},
		"another method":            {w.admin, "DELETE", "/reservationOrders/" + order, "", 404, "InvalidResourceType"},
		"a customer's scope":        {w.buyer, "PATCH", patch, shared, 403, "Forbidden"},
		"a customer's refund":       {w.buyer, "POST", "/reservationOrders/" + order + "/calculateRefund", give(order, reservation, ""), 403, "Forbidden"},
	} {
		a := w.call(c.by, c.method, c.path, c.body)
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		require.Equal(t, c.code, a.code(t), name)
		require.NotEmpty(t, a.header.Get("X-Ms-Request-Id"), name)
		require.Equal(t, c.status == 401, a.header.Get("WWW-Authenticate") != "", name)
		for _, secret := range []string{"domain.", "azure.", "SELECT", "goroutine", ".go:"} {
			require.NotContains(t, string(a.body), secret, name)
		}
	}
	after, refusals := w.recorded()
	require.Equal(t, happened, after, "nothing was written")
	require.Positive(t, refusals, "attempts of wrong roles are (L7)")
	after, _ = theirs.recorded()
	require.Equal(t, elsewhere, after)
}

func TestACustomersRefusedAttemptIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 2)
	quote, err := clients(t, w.admin).NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 1), nil)
	require.NoError(t, err)
	for i, try := range []func() error{
		func() error {
			_, err := done(clients(t, w.buyer).NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), w.wants(1), nil))
			return err
		},
		func() error {
			_, err := done(clients(t, w.buyer).NewReturnClient().BeginPost(t.Context(), order, returnRequest(order, reservation, 1, *quote.Properties.SessionID), nil))
			return err
		},
	} {
		refused(t, try(), http.StatusForbidden, "Forbidden")
		_, refusals := w.recorded()
		require.Equal(t, i+1, refusals)
	}
}

func TestTheApiVersionIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, code := range map[string]string{
		"": "MissingApiVersionParameter", "?api-version=": "MissingApiVersionParameter", "?api-version=2017-11-01": "InvalidApiVersionParameter",
	} {
		a := send(t, shared, http.MethodGet, "/providers/Microsoft.Capacity/reservationOrders"+query, w.admin.token, nil)
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Equal(t, code, a.code(t), query)
	}
}

func TestAddressesMatchInAnyCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	for _, address := range []string{
		"/PROVIDERS/microsoft.capacity/RESERVATIONORDERS/" + strings.ToUpper(order) + "/Reservations/" + reservation,
		"/providers/Microsoft.capacity/reservationorders/" + order,
	} {
		a := send(t, shared, http.MethodGet, address+"?API-version=2022-11-01", w.admin.token, nil)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	}
	require.Equal(t, http.StatusNotFound, send(t, shared, http.MethodGet, "/providers/Microsoft.Compute/x"+version, w.admin.token, nil).status)
}

func TestARequestKeepsItsIds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	correlation := uuid.NewString()
	a := w.call(w.admin, http.MethodPut, "/reservationOrders/"+uuid.NewString(), w.purchaseText(), "x-ms-correlation-request-id", correlation)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.Equal(t, correlation, a.header.Get("X-Ms-Correlation-Request-Id"))
	activity, err := book.Models().Activity(t.Context(), projections.OfPartner(w.partner), projections.ActivityFilter{}, projections.Paging{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, correlation, activity.Items[0].CorrelationID)

	a = w.call(w.admin, http.MethodGet, "/reservationOrders", "", "x-ms-correlation-request-id", "not one")
	require.Equal(t, a.header.Get("X-Ms-Request-Id"), a.header.Get("X-Ms-Correlation-Request-Id"))
}

func TestAPrincipalThatSendsTooMuchIsToldToWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := handlers.New(book, tokens, handlers.Options{Rate: 0.5, Burst: 1})
	address := "/providers/Microsoft.Capacity/reservationOrders" + version
	require.Equal(t, http.StatusOK, send(t, slow, http.MethodGet, address, w.admin.token, nil).status)
	a := send(t, slow, http.MethodGet, address, w.admin.token, nil)
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "TooManyRequests", a.code(t))
	require.NotEmpty(t, a.header.Get("Retry-After"))
}
