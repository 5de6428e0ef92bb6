package partnercenter

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/gate"
	"permledger/projections"
)

func TestEveryEntryOfTheAccessTableIsARoute(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	New(mux, nil, nil, nil)
	for pattern := range accessTable {
		method, path, specific := strings.Cut(pattern, " ")
		if !specific {
			method, path = http.MethodGet, pattern
		}
		r := httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path), nil)
		_, got := mux.Handler(r)
		require.Equal(t, pattern, got, "the access table names a route that is not there")
	}
}

func TestARouteWithoutAnEntryCannotBeRegistered(t *testing.T) {
	t.Parallel()
	d := &Door{mux: http.NewServeMux()}
	require.PanicsWithValue(t, "partnercenter: the access table has no entry for GET /v1/invoices", func() {
		d.handle("GET /v1/invoices", nothing)
	})
}

func TestTheZeroAccessLetsNobodyIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, access{}, accessTable["GET /not/there"])
	for pattern, rule := range accessTable {
		require.Equal(t, gate.Never, rule.Customer, "%s: the door is for a partner's people", pattern)
		if rule.Open {
			require.NotContains(t, pattern, "{")
		}
	}
}

func TestPathsCountInAnyCaseAndOthersStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/V1/selfservepolicy/ABC_def":                  "/v1/SelfServePolicy/ABC_def",
		"/v1/Customers/X/AzureEntitlements":            "/v1/customers/X/azureEntitlements",
		"/AuditActivity/V1/AuditRecords":               "/auditactivity/v1/auditrecords",
		"/v1/SelfServePolicy":                          "/v1/SelfServePolicy",
		"/api/Customers":                               "/api/Customers",
		"/v1x/Customers":                               "/v1x/Customers",
		"/WebHooks/V1/Registration/ValidationEvents/X": "/webhooks/v1/registration/validationEvents/X",
		"/Webhooks/v1/Certificate.CER":                 "/webhooks/v1/certificate.cer",
		"/AUDITACTIVITY":                               "/auditactivity",
		"/Webhooksx/v1":                                "/Webhooksx/v1",
		"/v1/unknown/Customers":                        "/v1/unknown/customers",
		"/v1/customers/x/ARTIFACTS/Reservations":       "/v1/customers/x/artifacts/Reservations",
	} {
		got, differs := canonical(path)
		require.Equal(t, want, got)
		require.Equal(t, path != want, differs)
	}
}

func TestEveryEventHasWordsForItsAuditRecord(t *testing.T) {
	t.Parallel()
	for _, kind := range domain.EventKinds() {
		if kind.Name != (domain.AttemptDenied{}).EventType() { // which is told as what was attempted
			require.Contains(t, operations, kind.Name, "decide what its audit record says it did, to what")
		}
	}
	require.Equal(t, operation{"customer_held", "ledger"}, operationOf(&projections.Deed{Activity: projections.Activity{Action: "CustomerHeld"}}))
}

func TestTheManualHasEveryCode(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../cmd/permledger/docs/partner-center.md")
	require.NoError(t, err)
	own, err := filepath.Glob("*.go")
	require.NoError(t, err)
	codes := 0
	for _, path := range own {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, found := range regexp.MustCompile(`"(\d{4,6})"`).FindAllSubmatch(source, -1) {
			require.Contains(t, string(manual), "`"+string(found[1])+"`", path)
			codes++
		}
	}
	require.Greater(t, codes, 15)
}
