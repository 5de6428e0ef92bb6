package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// alike compares two answers to the same request, which have different ids. Nothing may be recorded between
// them, by other tests neither.
func alike(t *testing.T, direct, framework answer) {
	t.Helper()
	for _, name := range []string{"Ms-Requestid", "X-Request-Id"} {
		id := framework.header.Get(name)
		framework.body = []byte(strings.ReplaceAll(string(framework.body), id, direct.header.Get(name)))
		direct.header.Del(name)
		framework.header.Del(name)
	}
	require.Equal(t, framework.status, direct.status)
	require.Equal(t, framework.header, direct.header)
	require.Equal(t, string(framework.body), string(direct.body))
}

func TestTheFrameworkAnswersACheckInTheSameWords(t *testing.T) { //nolint:paralleltest // answers hold the newest position
	w := newWorld(t)
	for _, user := range []string{w.owner, uuid.NewString()} {
		query := "userId=" + user + "&subscriptionId=" + w.subscription
		path := w.path("permissions/AzureReservedInstances/check?")
		ask := func(query string) answer { return send(t, w.handler, http.MethodGet, path+query, w.admin, "") }
		alike(t, ask(query), ask(strings.Replace(query, "-", "%2D", 1)))
		w.must(w.admin, "GrantPurchasePermission", w.grant())
	}
	for _, query := range []string{
		"", "userId=" + w.owner, "userId=" + w.owner + "&userId=" + w.owner, "userId=x&subscriptionId=" + w.subscription,
		"userId=" + w.owner + "&subscriptionId=" + w.subscription + "&x=1",
	} {
		require.Equal(t, 422, w.get(w.admin, w.path("permissions/AzureReservedInstances/check?"+query)).status, query)
	}
}

func TestTheFrameworkAnswersACommandInTheSameWords(t *testing.T) { //nolint:paralleltest // answers hold the newest position
	w := newWorld(t)
	for _, token := range []string{w.admin, w.buyer, w.helpdesk} {
		id := uuid.NewString()
		ask := func(query string) answer {
			return send(t, w.handler, http.MethodPost, "/api/commands/PurchaseReservation"+query, token, w.purchase(), "Idempotency-Key", id)
		}
		ask("") // it is recorded now, and what follows is the recorded answer
		alike(t, ask(""), ask("?dryRun=false"))
	}
}
