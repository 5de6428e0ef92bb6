package partnercenter_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

func TestAbuseIsRefusedAndWritesNothing(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t), newWorld(t)
	w.create(reserved)
	before := w.newest()
	unregistered := mint(t, uuid.NewString(), uuid.NewString(), domain.AdminAgent)
	good := w.body("", "", savings)
	swap := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	customer, policy := "/v1/customers/"+w.customer, policies+"/"+w.policyID()

	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
		code                      string
	}{
		"no token":                 {"GET", "/v1/customers", "", "", 401, "800001"},
		"no JWT":                   {"GET", "/v1/customers", "tok-adminagent", "", 401, "800001"},
		"unregistered partner":     {"GET", "/v1/customers", unregistered, "", 404, "60003"},
		"a customer's user":        {"GET", customer, w.user, "", 403, "900150"},
		"no role":                  {"GET", customer, mint(t, w.partner, uuid.NewString(), 0), "", 403, "900150"},
		"unknown address":          {"GET", "/v1/invoices", w.admin, "", 404, "1000"},
		"unknown method":           {"PATCH", policy, w.admin, "{}", 404, "1000"},
		"another's customer":       {"GET", customer, stranger.admin, "", 403, "20002"},
		"another's orders":         {"GET", customer + "/orders", stranger.admin, "", 403, "20002"},
		"another's policy":         {"GET", policies + "?entity_id=" + w.customer, stranger.admin, "", 403, "20002"},
		"another's policy by id":   {"GET", policy, stranger.admin, "", 404, "600039"},
		"another's policy, own id": {"GET", policies + "/" + stranger.partner + "_" + w.customer, stranger.admin, "", 404, "600039"},
		"unknown customer":         {"GET", "/v1/customers/" + uuid.NewString(), w.admin, "", 403, "20002"},
		"no customer id":           {"GET", "/v1/customers/contoso/orders", w.admin, "", 400, "900118"},
		"no entity id":             {"GET", policies + "?entity_id=contoso", w.admin, "", 400, "900118"},
		"entity id twice":          {"GET", policies + "?entity_id=" + w.customer + "&Entity_Id=" + w.customer, w.admin, "", 400, "800002"},
		"broken query":             {"GET", "/v1/customers?size=%zz", w.admin, "", 400, "800002"},
		"negative size":            {"GET", "/v1/customers?size=-5", w.admin, "", 400, "800002"},
		"endless size":             {"GET", "/v1/customers?size=" + strings.Repeat("9", 40), w.admin, "", 400, "800002"},
		"foreign token":            {"GET", "/v1/customers?seekOperation=Next", w.admin, "", 400, "800002"},
		"no body":                  {"POST", policies, w.admin, "", 400, "800002"},
		"no JSON":                  {"POST", policies, w.admin, "{", 400, "800002"},
		"a list":                   {"POST", policies, w.admin, "[]", 400, "800002"},
		"something after":          {"POST", policies, w.admin, good + "{}", 400, "800002"},
		"no UTF-8":                 {"POST", policies, w.admin, swap("Purchase", "\xff"), 400, "800002"},
		"a member twice":           {"POST", policies, w.admin, swap(`"Id":null`, `"Id":null,"Id":null`), 400, "800002"},
		"twice in another case":    {"POST", policies, w.admin, swap(`"Id":null`, `"Id":null,"iD":"x"`), 400, "800002"},
		"twice inside":             {"POST", policies, w.admin, swap(`"Action"`, `"action":"Purchase","Action"`), 400, "800002"},
		"unknown member twice":     {"POST", policies, w.admin, swap(`"Id":null`, `"x":1,"x":2`), 400, "800002"},
		"number for a text":        {"POST", policies, w.admin, swap(`"customer"`, `7`), 400, "800002"},
		"no permissions":           {"POST", policies, w.admin, w.body("", ""), 400, "800002"},
		"null permissions":         {"PUT", policy, w.admin, strings.Replace(w.body("", ""), "[]", "null", 1), 400, "800002"},
		"a permission twice":       {"PUT", policy, w.admin, w.body("", "", savings, savings), 400, "800002"},
		"unknown resource":         {"POST", policies, w.admin, w.body("", "", "AzureEverything"), 400, "3000"},
		"unknown action":           {"POST", policies, w.admin, swap(`"Purchase"`, `"Sell"`), 400, "3000"},
		"unknown entity":           {"POST", policies, w.admin, swap(`"customer"`, `"partner"`), 400, "3000"},
		"unknown grantor":          {"POST", policies, w.admin, swap(`"billToPartner"`, `"customer"`), 400, "3000"},
		"another partner grants":   {"POST", policies, stranger.admin, good, 403, "900308"},
		"another's entity":         {"POST", policies, stranger.admin, swap(w.partner, stranger.partner), 403, "20002"},
		"ids that differ":          {"PUT", policy, w.admin, w.body(w.partner+"_"+uuid.NewString(), "", savings), 404, "600040"},
		"an id of another in it":   {"PUT", policy, w.admin, w.body(stranger.policyID(), "", savings), 404, "600040"},
		"an entity that differs":   {"PUT", policy, w.admin, swap(w.customer, stranger.customer), 404, "600040"},
		"an id of another partner": {"PUT", policies + "/" + stranger.partner + "_" + w.customer, w.admin, good, 404, "600039"},
		"no policy id":             {"DELETE", policies + "/x", w.admin, "", 404, "600039"},
		"unknown policy id":        {"DELETE", policies + "/" + w.partner + "_" + uuid.NewString(), w.admin, "", 404, "600039"},
		"64 KiB and more":          {"POST", policies, w.admin, swap(`"Id":null`, `"x":"`+strings.Repeat("x", 64<<10)+`"`), 400, "800002"},
		"10 MB":                    {"POST", policies, w.admin, strings.Repeat(" ", 10<<20), 400, "800002"},
	} {
		t.Run(name, func(t *testing.T) {
			send(t, c.method, c.path, c.token, c.body).refused(t, c.status, c.code)
		})
	}
	for _, headers := range [][]string{{"Content-Type", "text/plain"}, {"Content-Encoding", "gzip"}, {"Content-Type", "application/json; charset=utf-16"}} {
		send(t, http.MethodPost, policies, w.admin, good, headers...).refused(t, 400, "800002")
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, policies, io.LimitReader(zeros{}, 10<<20)) // of a length that is not known
	r.Header.Set("Authorization", "Bearer "+w.admin)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	shared.ServeHTTP(rec, r)
	answer{rec.Code, rec.Header(), rec.Body.Bytes()}.refused(t, 400, "800002")

	for _, d := range w.nativeItems("/api/activity?limit=500") {
		if uint64(d["position"].(float64)) > before {
			require.Equal(t, "AttemptDenied", d["type"], "only attempts are noted (L7)")
		}
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// door is a server of its own over a ledger.
func door(t *testing.T, a auth.Authenticator, o handlers.Options) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handlers.New(book, a, o))
	t.Cleanup(s.Close)
	return s
}

func TestTooManyRequestsAreToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := door(t, tokens, handlers.Options{Rate: 0.5, Burst: 1})
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/customers", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+w.admin)
		response, err := s.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, errors.Join(err, response.Body.Close()))
		require.Equal(t, want, response.StatusCode)
		if want == http.StatusTooManyRequests {
			seconds := response.Header.Get("Retry-After")
			require.Equal(t, "2", seconds)
			require.JSONEq(t, `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 2 seconds."}`, string(body))
		}
	}
}

// refusing refuses every token in one way.
type refusing struct{ err error }

func (r refusing) Authenticate(context.Context, string) (auth.Principal, error) {
	return auth.Principal{}, r.err
}

func TestRefusalsOfTheGateHaveTheirOwnCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  bool
	}{
		{problem.Refuse(problem.CodeWrongAudience, "another recipient"), 401, "900420", false},
		{problem.Refuse(problem.CodeIntegrity, "broken"), 503, "503", true},
		{problem.Refuse(problem.CodeUnavailable, "away"), 503, "503", true},
		{errors.New("no such table"), 500, "500", false},
	} {
		s := door(t, refusing{c.err}, handlers.Options{})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+policies, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer x")
		response, err := s.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, errors.Join(err, response.Body.Close()))
		require.Equal(t, c.retry, response.Header.Get("Retry-After") != "")
		answer{response.StatusCode, response.Header, body}.refused(t, c.status, c.code)
		require.NotContains(t, string(body), "table")
	}
}

func TestALedgerThatDoesNotServeSaysSoHereAsWell(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Found: true})
	require.NoError(t, err)
	keys, err := auth.OpenDev(dir)
	require.NoError(t, err)
	h := handlers.New(l, keys, handlers.Options{})
	user := domain.UserID{UUID: uuid.New()}
	token, err := keys.Mint(auth.Token{Tenant: domain.TenantID{UUID: uuid.New()}, User: user, Roles: domain.AdminAgent})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/customers", strings.NewReader(`{"companyProfile":{"domain":"d","companyName":"c"}}`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
	f := answer{rec.Code, rec.Header(), rec.Body.Bytes()}.refused(t, 503, "503")
	require.Contains(t, f.Description, "MS-RequestId")
}

func TestABodyThatIsTooLargeIsNotAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := door(t, tokens, handlers.Options{})
	ask := func(length int, body string) (statuses []int) {
		connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		require.NoError(t, err)
		defer connection.Close() //nolint:errcheck // it was read
		_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", policies, w.admin, length)
		require.NoError(t, err)
		for reader := bufio.NewReader(connection); ; {
			response, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			statuses = append(statuses, response.StatusCode)
			if response.StatusCode != http.StatusContinue {
				return statuses
			}
			_, err = io.WriteString(connection, body)
			require.NoError(t, err)
		}
	}
	require.Equal(t, []int{http.StatusBadRequest}, ask(10<<20, ""))
	body := w.body("", "", reserved)
	require.Equal(t, []int{http.StatusContinue, http.StatusCreated}, ask(len(body), body))
}
