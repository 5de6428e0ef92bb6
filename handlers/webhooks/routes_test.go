package webhooks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
)

func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	return v
}

func TestAWebhookIsRegisteredReadReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/webhooks/v1/registration"
	status, _, body := w.ask(cast.Admin, http.MethodGet, path, "")
	require.Equal(t, http.StatusNotFound, status, body)

	status, _, body = w.ask(cast.Admin, http.MethodPost, path, `{"WebhookUrl":"https://hooks.example/in","WebhookEvents":["test-created","customer-purchase-created"]}`)
	require.Equal(t, http.StatusOK, status, body)
	want := map[string]any{
		"SubscriberId": cast.Partner.String(), "WebhookUrl": "https://hooks.example/in",
		"WebhookEvents": []any{"customer-purchase-created", "test-created"},
	}
	require.Equal(t, want, object(t, body))
	for _, reader := range []domain.Actor{cast.Admin, cast.Sales, cast.Auditor} {
		status, _, body = w.ask(reader, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, status, body)
		require.Equal(t, want, object(t, body))
	}
	status, _, _ = w.ask(cast.Stranger, http.MethodGet, path, "")
	require.Equal(t, http.StatusNotFound, status, "each partner has its own")

	status, _, body = w.ask(cast.Admin, http.MethodPut, path, `{"webhookurl":"https://hooks.example/2","WEBHOOKEVENTS":["test-created"],"Attributes":null}`)
	require.Equal(t, http.StatusOK, status, body)
	hook, _ := w.ledger.Book().Webhook(cast.Partner)
	require.Equal(t, "https://hooks.example/2", hook.URL)

	status, _, body = w.ask(cast.Admin, http.MethodDelete, path, "")
	require.Equal(t, http.StatusNoContent, status, body)
	require.Empty(t, w.ledger.Book().Webhooks())
}

func TestRefusalsAreWordedAsPartnerCenterDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Reach = Reach{} })
	const good = `{"WebhookUrl":"https://hooks.example/in","WebhookEvents":["test-created"]}`
	for _, c := range []struct {
		actor        domain.Actor
		method, path string
		body         string
		status       int
		code         string
	}{
		{cast.Sales, "POST", "", good, 403, "900150"},
		{cast.Buyer, "POST", "", good, 403, "900150"},
		{cast.App, "POST", "", good, 403, "900329"},
		{cast.App, "DELETE", "", "", 403, "900329"},
		{cast.Helpdesk, "GET", "", "", 403, "900150"},
		{cast.Buyer, "GET", "", "", 403, "900150"},
		{cast.Sales, "POST", "/validationEvents", "", 403, "900150"},
		{cast.Admin, "POST", "/validationEvents", "", 404, "not-found"},
		{cast.Admin, "GET", "/validationEvents/1", "", 404, "not-found"},
		{cast.Admin, "POST", "", "", 400, "800002"},
		{cast.Admin, "POST", "", "[]", 400, "800002"},
		{cast.Admin, "POST", "", good + good, 400, "800002"},
		{cast.Admin, "POST", "", `{"WebhookUrl":"https://a.example/","webhookUrl":"https://b.example/","WebhookEvents":["test-created"]}`, 400, "800002"},
		{cast.Admin, "POST", "", `{"WebhookUrl":"https://hooks.example/in","WebhookEvents":["order-created"]}`, 400, "800002"},
		{cast.Admin, "POST", "", `{"WebhookUrl":null,"WebhookEvents":null}`, 400, "800002"},
		{cast.Admin, "POST", "", `{"WebhookUrl":"http://localhost/in","WebhookEvents":["test-created"]}`, 400, "800002"},
		{cast.Admin, "POST", "", `{"WebhookUrl":"https://169.254.169.254/latest","WebhookEvents":["test-created"]}`, 400, "800002"},
		{cast.Admin, "POST", "", `{"WebhookUrl":"https://hooks.example/` + fmt.Sprintf("%020000d", 0) + `","WebhookEvents":[]}`, 400, "800002"},
	} {
		status, _, body := w.ask(c.actor, c.method, "/webhooks/v1/registration"+c.path, c.body)
		require.Equal(t, c.status, status, "%s %s: %s", c.method, c.path, body)
		v := object(t, body)
		require.Equal(t, c.code, v["code"], body)
		require.NotEmpty(t, v["description"])
		require.IsType(t, []any{}, v["data"], "never null")
		require.Equal(t, "permledger", v["source"])
	}
	require.Empty(t, w.ledger.Book().Webhooks())
	answer, err := w.door.Client().Get(w.door.URL + "/webhooks/v1/registration")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("WWW-Authenticate"))
}

func TestWhichEventsThereAreCanBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, body := w.ask(cast.Helpdesk, http.MethodGet, "/webhooks/v1/registration/events", "")
	require.JSONEq(t, `["customer-purchase-created","self-serve-policy-created","self-serve-policy-deleted","self-serve-policy-updated","test-created"]`, body)
}

func TestATestEventIsSentAndItsStateTold(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	const path = "/webhooks/v1/registration/validationEvents"
	w.hook(r.url, domain.PurchaseCreated)
	status, _, body := w.ask(cast.Admin, http.MethodPost, path, "")
	require.Equal(t, http.StatusBadRequest, status, "it is registered for another event: %s", body)
	w.hook(r.url, domain.TestCreated)

	status, _, body = w.ask(cast.Admin, http.MethodPost, path, "")
	require.Equal(t, http.StatusOK, status, body)
	id, _ := object(t, body)["correlationId"].(string)
	d := r.next()
	require.Equal(t, "test-created", d.event())
	require.Equal(t, "test", d.body["ResourceName"])
	require.Equal(t, w.door.URL+path+"/"+id, d.body["ResourceUri"])
	require.Nil(t, d.body["AuditUri"])
	require.Equal(t, id, d.header.Get("MS-CorrelationId"))
	verified(t, d)
	_, _, body = w.ask(cast.Sales, http.MethodGet, path+"/"+id, "")
	state := object(t, body)
	require.Equal(t, []any{id, cast.Partner.String(), "completed", r.url}, []any{state["correlationId"], state["partnerId"], state["status"], state["callbackUrl"]})
	require.Equal(t, "OK", state["results"].([]any)[0].(map[string]any)["responseCode"])
	status, _, _ = w.ask(cast.Stranger, http.MethodGet, path+"/"+id, "")
	require.Equal(t, http.StatusNotFound, status)

	r.answers(func(delivery) int { return http.StatusInternalServerError })
	_, _, body = w.ask(cast.Admin, http.MethodPost, path, "")
	_, _, body = w.ask(cast.Admin, http.MethodGet, path+"/"+object(t, body)["correlationId"].(string), "")
	state = object(t, body)
	require.Equal(t, "failed", state["status"])
	require.Equal(t, "InternalServerError", state["results"].([]any)[0].(map[string]any)["responseCode"])
	r.next()

	status, header, body := w.ask(cast.Admin, http.MethodPost, path, "")
	require.Equal(t, http.StatusTooManyRequests, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	require.InDelta(t, 429, object(t, body)["statusCode"], 0)
	r.nothingMore()
	w.hands.mu.Lock()
	w.hands.ahead = time.Minute
	w.hands.mu.Unlock()
	status, _, _ = w.ask(cast.Admin, http.MethodPost, path, "")
	require.Equal(t, http.StatusOK, status)
	r.next()
}

func TestATestSaysWhyThereWasNoAnswerWithoutTellingOfTheNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Reach = Reach{} })
	w.hook("https://localhost:1/in", domain.TestCreated)
	const path = "/webhooks/v1/registration/validationEvents"
	_, _, body := w.ask(cast.Admin, http.MethodPost, path, "")
	_, _, body = w.ask(cast.Admin, http.MethodGet, path+"/"+object(t, body)["correlationId"].(string), "")
	result := object(t, body)["results"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"", errOutOfReach.Error(), true}, []any{result["responseCode"], result["responseMessage"], result["systemError"]})
}

func TestANodeThatDeliversNothingSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Dir = "" })
	w.hook("https://hooks.example/in", domain.TestCreated)
	require.NoError(t, w.Run(t.Context()))
	status, _, body := w.ask(cast.Admin, http.MethodPost, "/webhooks/v1/registration/validationEvents", "")
	require.Equal(t, http.StatusNotFound, status, body)
	status, _, _ = w.ask(cast.Admin, http.MethodGet, certificatePath, "")
	require.Equal(t, http.StatusNotFound, status)
}
