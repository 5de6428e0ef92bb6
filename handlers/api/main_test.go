package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/doortest"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// One ledger serves all tests; each works in the book of a partner of its own.
var (
	shared  *handlers.Handler
	book    *ledger.Ledger
	tokens  *auth.Dev
	dataDir string
	mint    func(t *testing.T, tenant, user string, roles domain.Roles) string
)

func TestMain(m *testing.M) {
	os.Exit(doortest.Run(m, doortest.Defaults, func(l *doortest.Ledger) func() {
		shared, book, tokens, dataDir, mint = l.Handler, l.Book, l.Tokens, l.Dir, l.Mint
		return func() {}
	}))
}

// world is a partner with one customer that has an active subscription and a price, and its people.
type world struct {
	t                       *testing.T
	handler                 http.Handler
	partner, customer       string
	subscription            string
	owner                   string // object id of the customer's user who holds Owner
	admin, sales, helpdesk  string // tokens
	auditor, buyer, bystand string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t)
	w.must(w.admin, "RegisterPartner", `{"name":"Fabrikam","country":"TW","currency":"USD"}`)
	w.must(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"Contoso","domain":"contoso.example"}`, w.customer)
	w.must(w.admin, "RecordSubscription", `{"customerId":%q,"subscriptionId":%q,"kind":"AzurePlan","name":"Prod"}`, w.customer, w.subscription)
	w.must(w.admin, "AssignSubscriptionRole", `{"customerId":%q,"subscriptionId":%q,"userId":%q,"userPrincipalName":"owner@contoso.example","role":"Owner"}`, w.customer, w.subscription, w.owner)
	w.must(w.admin, "SetReservationPrice", `{"customerId":%q,"sku":"Standard_D2s_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","customerPrice":{"amount":"519.00","currency":"USD"},"webDirectPrice":{"amount":"600.00","currency":"USD"}}`, w.customer)
	return w
}

// emptyWorld is the same people before anything is registered.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, handler: shared, partner: uuid.NewString(), customer: uuid.NewString(),
		subscription: uuid.NewString(), owner: uuid.NewString(),
	}
	w.admin = mint(t, w.partner, uuid.NewString(), domain.AdminAgent)
	w.sales = mint(t, w.partner, uuid.NewString(), domain.SalesAgent)
	w.helpdesk = mint(t, w.partner, uuid.NewString(), domain.HelpdeskAgent)
	w.auditor = mint(t, w.partner, uuid.NewString(), domain.Auditor)
	w.buyer = mint(t, w.customer, w.owner, domain.CustomerUser)
	w.bystand = mint(t, w.customer, uuid.NewString(), domain.CustomerUser)
	return w
}

func (w *world) purchase() string {
	return fmt.Sprintf(`{"customerId":%q,"subscriptionId":%q,"sku":"Standard_D2s_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","quantity":2,"scope":{"type":"Shared"}}`, w.customer, w.subscription)
}

func (w *world) grant() string {
	return fmt.Sprintf(`{"customerId":%q,"product":"AzureReservedInstances"}`, w.customer)
}

// answer is an HTTP answer read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem(t *testing.T) problem.Document {
	t.Helper()
	require.Equal(t, problem.ContentType, a.header.Get("Content-Type"), "%s", a.body)
	var d problem.Document
	require.NoError(t, json.Unmarshal(a.body, &d), "%s", a.body)
	require.Equal(t, a.status, d.Status)
	require.NotEmpty(t, d.Title)
	require.NotEmpty(t, d.Detail)
	require.Equal(t, "/docs#"+string(d.Code), d.Type)
	require.Equal(t, a.header.Get("X-Request-Id"), d.RequestID)
	return d
}

func (a answer) position(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(a.header.Get("Ledger-Position"), 10, 64)
	require.NoError(t, err, "%d %s", a.status, a.body)
	return n
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.NoError(t, json.Unmarshal(a.body, v), "%s", a.body)
}

// send does a request on the handler itself. Headers are given as name, value pairs.
func send(t *testing.T, h http.Handler, method, path, token, body string, headers ...string) answer {
	t.Helper()
	status, header, content := doortest.Send(t, h, method, path, token, body, headers...)
	return answer{status, header, content}
}

func (w *world) command(token, name, body string, headers ...string) answer {
	w.t.Helper()
	return send(w.t, w.handler, http.MethodPost, "/api/commands/"+name, token, body, headers...)
}

// must sends a command that is expected to succeed, and gives its position.
func (w *world) must(token, name, body string, values ...any) uint64 {
	w.t.Helper()
	if len(values) > 0 {
		body = fmt.Sprintf(body, values...)
	}
	a := w.command(token, name, body)
	require.Equal(w.t, http.StatusOK, a.status, "%s: %s", name, a.body)
	return a.position(w.t)
}

// get queries after everything that has been recorded so far.
func (w *world) get(token, path string, headers ...string) answer {
	w.t.Helper()
	headers = append([]string{"Ledger-Min-Position", strconv.FormatUint(book.Book().Head(), 10)}, headers...)
	return send(w.t, w.handler, http.MethodGet, path, token, "", headers...)
}

func (w *world) path(list string) string { return "/api/customers/" + w.customer + "/" + list }

type page struct {
	Items      []map[string]any `json:"items"`
	NextCursor string           `json:"nextCursor"`
}

func (w *world) list(token, path string) page {
	w.t.Helper()
	var p page
	w.get(token, path).into(w.t, &p)
	return p
}
