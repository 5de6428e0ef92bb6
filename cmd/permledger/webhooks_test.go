package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hookBody is what a receiver of webhooks was sent.
type hookBody struct {
	id          string
	EventName   string
	ResourceURI string `json:"ResourceUri"`
}

// receiving is a receiver of webhooks, and what it was sent, each once.
func receiving(t *testing.T) (address string, next func() hookBody) {
	t.Helper()
	got := make(chan hookBody, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told := hookBody{id: r.Header.Get("Webhook-Id")}
		if json.NewDecoder(r.Body).Decode(&told) == nil {
			got <- told
		}
	}))
	t.Cleanup(server.Close)
	seen := map[string]bool{}
	return server.URL, func() hookBody {
		t.Helper()
		for {
			select {
			case told := <-got:
				if !seen[told.id] {
					seen[told.id] = true
					return told
				}
			case <-time.After(patience):
				require.FailNow(t, "nothing was delivered")
			}
		}
	}
}

func TestS10WebhooksAreDeliveredOnceRegisteredAndAfterAKillTheRest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address, next := receiving(t)
	s, admin, buyer := prepared(t, dir)
	s.accepted(buyer, "PurchaseReservation", wanted(1))
	s.accepted(admin, "RegisterWebhook", map[string]any{"url": address, "events": []string{"customer-purchase-created", "self-serve-policy-deleted"}})
	order := func(events []any) string {
		return events[0].(map[string]any)["data"].(map[string]any)["orderId"].(string)
	}
	_, events := s.accepted(buyer, "PurchaseReservation", wanted(1))
	told := next()
	require.Equal(t, s.url+"/v1/customers/"+contoso+"/orders/"+order(events), told.ResourceURI, "not the one before the registration")
	certificate := s.get("/webhooks/v1/certificate.cer", "")
	require.Equal(t, http.StatusOK, certificate.status)
	require.Contains(t, string(s.get("/metrics", "").body), "permledger_webhook_lag_seconds")
	s.kill()

	s = serve(t, dir, "--no-webhooks")
	_, events = s.accepted(buyer, "PurchaseReservation", wanted(1))
	require.Equal(t, http.StatusNotFound, s.get("/webhooks/v1/certificate.cer", "").status)
	s.stop()

	s = serve(t, dir, "--public-url", "https://ledger.example/")
	require.Equal(t, "https://ledger.example/v1/customers/"+contoso+"/orders/"+order(events), next().ResourceURI)
	require.Equal(t, certificate.body, s.get("/webhooks/v1/certificate.cer", "").body, "receivers go on trusting it")
	s.accepted(admin, "RevokePurchasePermission", permission)
	require.Equal(t, "self-serve-policy-deleted", next().EventName)
	s.stop()
	require.Equal(t, exitUsage, invoke(t, dir, "serve", "--listen", "127.0.0.1:0", "--public-url", "ledger.example").code)
}
