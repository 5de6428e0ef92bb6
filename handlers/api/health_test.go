package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

func TestAHealthyLedgerIsAliveAndReady(t *testing.T) {
	t.Parallel()
	newWorld(t)
	require.Equal(t, 200, send(t, shared, http.MethodGet, "/livez", "", "").status)
	var h ledger.Health
	send(t, shared, http.MethodGet, "/readyz", "", "").into(t, &h)
	require.True(t, h.Ready)
	require.NotZero(t, h.Position)
}

func TestFiguresAreServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.command(w.sales, "GrantPurchasePermission", w.grant())
	w.command(w.admin, "GrantPurchasePermission", w.grant())
	a := send(t, shared, http.MethodGet, "/metrics", "", "")
	require.Equal(t, http.StatusOK, a.status)
	for _, line := range []string{
		`permledger_commands_total{command="GrantPurchasePermission",outcome="recorded"}`,
		`permledger_commands_total{command="GrantPurchasePermission",outcome="role-not-allowed"}`,
		`permledger_denied_attempts_total{code="role-not-allowed"}`,
		`permledger_http_requests_total{route="POST /api/commands/RegisterPartner",status="200"}`,
		"permledger_position ", "permledger_models_lag ", "permledger_archive_lag_seconds ", "permledger_ready 1", `permledger_writer_total{what="groups"}`,
	} {
		require.Contains(t, string(a.body), line)
	}
	require.NotContains(t, string(a.body), w.partner)
	require.NotContains(t, string(a.body), w.customer)
}

func TestABrokenLedgerAnswersNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Found: true})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "ledger.json")))
	broken, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Found: true})
	require.NoError(t, err, "a broken ledger opens, to say what is wrong")
	t.Cleanup(func() { require.NoError(t, broken.Close()) })
	require.Error(t, broken.Fault())
	key, err := auth.OpenDev(dir)
	require.NoError(t, err)
	h := handlers.New(broken, key, handlers.Options{})
	w := emptyWorld(t)
	parsed, err := domain.ParseTenantID(w.partner)
	require.NoError(t, err)
	user, err := domain.ParseUserID(w.owner)
	require.NoError(t, err)
	token, err := key.Mint(auth.Token{Tenant: parsed, User: user, Roles: domain.AdminAgent})
	require.NoError(t, err)

	require.Equal(t, 200, send(t, h, http.MethodGet, "/livez", "", "").status)
	require.Equal(t, 200, send(t, h, http.MethodGet, "/docs", "", "").status)
	metrics := send(t, h, http.MethodGet, "/metrics", "", "")
	require.Equal(t, 200, metrics.status)
	require.Contains(t, string(metrics.body), "permledger_ready 0")
	ready := send(t, h, http.MethodGet, "/readyz", "", "")
	require.Equal(t, 503, ready.status)
	require.Contains(t, string(ready.body), "identity", "it says why")
	for path, methods := range described(t) {
		if slices.Contains(forEverybody, path) {
			continue
		}
		method := strings.ToUpper(firstKey(methods))
		a := send(t, h, method, w.concrete(path, w.owner, w.owner, w.owner), token, "")
		require.Equal(t, 503, a.status, "%s: %s", path, a.body)
		require.Equal(t, problem.CodeIntegrity, a.problem(t).Code, path)
		require.NotEmpty(t, a.header.Get("Retry-After"))
		require.NotContains(t, string(a.body), dir)
		require.Equal(t, 401, send(t, h, method, w.concrete(path, w.owner, w.owner, w.owner), "", "").status, path)
	}
}

func firstKey(m map[string]any) string {
	for k := range m {
		return k
	}
	return ""
}
