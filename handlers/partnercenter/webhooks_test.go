package partnercenter_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
)

const hooks = "/webhooks/v1/registration"

// hook is a registration in a body.
func hook(address string, events ...domain.WebhookEvent) string {
	names, _ := json.Marshal(events)
	return fmt.Sprintf(`{"WebhookUrl":%q,"WebhookEvents":%s}`, address, names)
}

func TestAWebhookIsRegisteredReadReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t), newWorld(t)
	send(t, http.MethodGet, hooks, w.admin, "").refused(t, 404, "1000")
	repeated := []string{"MS-RequestId", uuid.NewString()}
	first := send(t, http.MethodPost, hooks, w.admin, hook("https://hooks.example/in", domain.TestCreated, domain.PurchaseCreated), repeated...)
	require.Equal(t, http.StatusOK, first.status, "%s", first.body)
	want := object{
		"SubscriberId": w.partner, "WebhookUrl": "https://hooks.example/in",
		"WebhookEvents": []any{"customer-purchase-created", "test-created"},
	}
	var got object
	first.into(t, &got)
	require.Equal(t, want, got)
	for _, reader := range []string{w.admin, w.sales, w.auditor} {
		var got object
		send(t, http.MethodGet, "/WebHooks/V1/Registration", reader, "").into(t, &got)
		require.Equal(t, want, got)
	}
	send(t, http.MethodGet, hooks, stranger.admin, "").refused(t, 404, "1000")

	a := send(t, http.MethodPut, hooks, w.admin, `{"webhookurl":"https://hooks.example/2","WEBHOOKEVENTS":["test-created"],"Attributes":null}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	again := send(t, http.MethodPost, hooks, w.admin, hook("https://hooks.example/in", domain.TestCreated, domain.PurchaseCreated), repeated...)
	require.JSONEq(t, string(first.body), string(again.body), "a repeated request gets its first answer and changes nothing (L3)")
	w.get(hooks).into(t, &got)
	require.Equal(t, "https://hooks.example/2", got["WebhookUrl"])

	require.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, hooks, w.admin, "").status)
	send(t, http.MethodGet, hooks, w.admin, "").refused(t, 404, "1000")
}

func TestWhoMayNotRegisterAWebhookAndWhatCannotBeOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, tests := hook("https://hooks.example/in", domain.TestCreated), hooks+"/validationEvents"
	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
		code                      string
	}{
		"no token":                {"GET", hooks, "", "", 401, "800001"},
		"a sales agent":           {"POST", hooks, w.sales, good, 403, "900150"},
		"a customer's user":       {"POST", hooks, w.user, good, 403, "900150"},
		"an application":          {"POST", hooks, w.appOnly, good, 403, "900329"},
		"an application removes":  {"DELETE", hooks, w.appOnly, "", 403, "900329"},
		"a helpdesk agent reads":  {"GET", hooks, w.helpdesk, "", 403, "900150"},
		"a customer's user reads": {"GET", hooks, w.user, "", 403, "900150"},
		"a sales agent tests":     {"POST", tests, w.sales, "", 403, "900150"},
		"nothing to test":         {"POST", tests, w.admin, "", 404, "1000"},
		"no id of a test":         {"GET", tests + "/1", w.admin, "", 404, "1000"},
		"unknown test":            {"GET", tests + "/" + uuid.NewString(), w.admin, "", 404, "1000"},
		"unknown address":         {"GET", "/webhooks/v1/subscriptions", w.admin, "", 404, "1000"},
		"no body":                 {"POST", hooks, w.admin, "", 400, "800002"},
		"a list":                  {"POST", hooks, w.admin, "[]", 400, "800002"},
		"twice":                   {"POST", hooks, w.admin, good + good, 400, "800002"},
		"two addresses":           {"POST", hooks, w.admin, `{"WebhookUrl":"https://a.example/","webhookUrl":"https://b.example/","WebhookEvents":["test-created"]}`, 400, "800002"},
		"unknown event":           {"POST", hooks, w.admin, hook("https://hooks.example/in", "order-created"), 400, "800002"},
		"null":                    {"POST", hooks, w.admin, `{"WebhookUrl":null,"WebhookEvents":null}`, 400, "800002"},
		"no TLS":                  {"POST", hooks, w.admin, hook("http://hooks.example/in", domain.TestCreated), 400, "800002"},
		"link-local":              {"POST", hooks, w.admin, hook("https://169.254.169.254/latest", domain.TestCreated), 400, "800002"},
		"too long":                {"POST", hooks, w.admin, hook("https://hooks.example/"+fmt.Sprintf("%020000d", 0), domain.TestCreated), 400, "800002"},
	} {
		t.Run(name, func(t *testing.T) {
			send(t, c.method, c.path, c.token, c.body).refused(t, c.status, c.code)
		})
	}
}

func TestWhichWebhookEventsThereAreCanBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := send(t, http.MethodGet, hooks+"/events", w.helpdesk, "")
	require.JSONEq(t, `["self-serve-policy-created","self-serve-policy-updated","self-serve-policy-deleted","customer-purchase-created","test-created"]`, string(a.body))
}

func TestATestEventIsSentAndItsStateTold(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t), newWorld(t)
	got := make(chan object, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- object{"signed": r.Header.Get("Authorization") != "", "certificate": r.Header.Get("X-Ms-Certificate-Url")}
	}))
	defer receiver.Close()
	register := func(e domain.WebhookEvent) {
		a := send(t, http.MethodPost, hooks, w.admin, hook(receiver.URL, e))
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	}
	const tests = hooks + "/validationEvents"
	register(domain.PurchaseCreated)
	send(t, http.MethodPost, tests, w.admin, "").refused(t, 400, "800002")
	register(domain.TestCreated)
	var id struct{ CorrelationID string }
	send(t, http.MethodPost, tests, w.admin, "").into(t, &id)
	require.Equal(t, object{"signed": true, "certificate": "https://ledger.example/webhooks/v1/certificate.cer"}, <-got)
	var state object
	send(t, http.MethodGet, tests+"/"+id.CorrelationID, w.sales, "").into(t, &state)
	require.Equal(t, []any{id.CorrelationID, w.partner, "completed", receiver.URL}, []any{state["correlationId"], state["partnerId"], state["status"], state["callbackUrl"]})
	require.Equal(t, "OK", state["results"].([]any)[0].(object)["responseCode"])
	send(t, http.MethodGet, tests+"/"+id.CorrelationID, stranger.admin, "").refused(t, 404, "1000")

	send(t, http.MethodPost, tests, w.admin, "")
	<-got
	limited := send(t, http.MethodPost, tests, w.admin, "")
	require.Equal(t, http.StatusTooManyRequests, limited.status)
	require.NotEmpty(t, limited.header.Get("Retry-After"))
	require.Contains(t, string(limited.body), `"statusCode":429`)
	require.Empty(t, got)
}

func TestTheCertificateNeedsNoToken(t *testing.T) {
	t.Parallel()
	a := send(t, http.MethodGet, "/webhooks/v1/certificate.cer", "", "")
	require.Equal(t, "application/pkix-cert", a.header.Get("Content-Type"))
	_, err := x509.ParseCertificate(a.body)
	require.NoError(t, err)
}

func TestANodeThatDeliversNothingSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, http.StatusOK, send(t, http.MethodPost, hooks, w.admin, hook("https://hooks.example/in", domain.TestCreated)).status)
	other := handlers.New(book, tokens, handlers.Options{})
	for path, method := range map[string]string{hooks + "/validationEvents": http.MethodPost, "/webhooks/v1/certificate.cer": http.MethodGet} {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		r.Header.Set("Authorization", "Bearer "+w.admin)
		rec := httptest.NewRecorder()
		other.ServeHTTP(rec, r)
		answer{rec.Code, rec.Header(), rec.Body.Bytes()}.refused(t, 404, "1000")
	}
}
