package partnercenter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/doortest"
	"permledger/handlers/ledger"
	"permledger/handlers/webhooks"
)

// One ledger serves all tests; each works in the book of a partner of its own.
var (
	shared *handlers.Handler
	book   *ledger.Ledger
	tokens *auth.Dev
	mint   func(t *testing.T, tenant, user string, roles domain.Roles) string
)

func TestMain(m *testing.M) {
	options := func(dir string) handlers.Options {
		return handlers.Options{Webhooks: webhooks.Options{
			Dir: filepath.Join(dir, "webhooks"), PublicURL: "https://ledger.example", Reach: webhooks.Reach{Loopback: true},
		}}
	}
	os.Exit(doortest.Run(m, options, func(l *doortest.Ledger) func() {
		shared, book, tokens, mint = l.Handler, l.Book, l.Tokens, l.Mint
		return func() {}
	}))
}

// world is a partner with one customer that has an active subscription and a price, and its people.
type world struct {
	t                       *testing.T
	partner, customer       string
	subscription, owner     string
	admin, sales, appOnly   string // tokens
	helpdesk, auditor, user string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, partner: uuid.NewString(), customer: uuid.NewString(), subscription: uuid.NewString(), owner: uuid.NewString()}
	w.admin = mint(t, w.partner, uuid.NewString(), domain.AdminAgent)
	w.sales = mint(t, w.partner, uuid.NewString(), domain.SalesAgent)
	w.helpdesk = mint(t, w.partner, uuid.NewString(), domain.HelpdeskAgent)
	w.auditor = mint(t, w.partner, uuid.NewString(), domain.Auditor)
	w.appOnly = mint(t, w.partner, "", domain.AdminAgent)
	w.user = mint(t, w.customer, w.owner, domain.CustomerUser)
	w.command(w.admin, "RegisterPartner", `{"name":"Fabrikam","country":"TW","currency":"USD"}`)
	w.command(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"Relecloud","domain":"relecloud.example"}`, w.customer)
	w.command(w.admin, "RecordSubscription", `{"customerId":%q,"subscriptionId":%q,"kind":"AzurePlan","name":"Prod"}`, w.customer, w.subscription)
	w.command(w.admin, "AssignSubscriptionRole", `{"customerId":%q,"subscriptionId":%q,"userId":%q,"userPrincipalName":"yijun@relecloud.example","role":"Owner"}`, w.customer, w.subscription, w.owner)
	w.command(w.admin, "SetReservationPrice", `{"customerId":%q,"sku":"Standard_D2s_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","customerPrice":{"amount":"500.00","currency":"USD"},"webDirectPrice":{"amount":"519.00","currency":"USD"}}`, w.customer)
	return w
}

// answer is an HTTP answer read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, v), "%d %s", a.status, a.body)
}

// fault is a refusal as the door words it.
type fault struct {
	Code, Description, Source string
	Data                      []any
}

// refused requires a refusal with everything that belongs to it.
func (a answer) refused(t *testing.T, status int, code string) fault {
	t.Helper()
	require.Equal(t, status, a.status, "%s", a.body)
	var f fault
	a.into(t, &f)
	require.Equal(t, code, f.Code, "%s", a.body)
	require.NotEmpty(t, f.Description)
	require.NotEmpty(t, f.Source)
	require.NotNil(t, f.Data)
	require.NotEmpty(t, a.header.Get("MS-RequestId"))
	require.NotEmpty(t, a.header.Get("MS-CorrelationId"))
	return f
}

// send does a request on the handler itself. Headers are given as name, value pairs.
func send(t *testing.T, method, path, token, body string, headers ...string) answer {
	t.Helper()
	status, header, content := doortest.Send(t, shared, method, path, token, body, headers...)
	return answer{status, header, content}
}

// get reads what must be there.
func (w *world) get(path string, headers ...string) answer {
	w.t.Helper()
	a := send(w.t, http.MethodGet, path, w.admin, "", headers...)
	require.Equal(w.t, http.StatusOK, a.status, "%s: %s", path, a.body)
	return a
}

// object is a JSON object of any kind.
type object = map[string]any

// items reads the rows of a collection.
func (w *world) items(path string, headers ...string) []object {
	w.t.Helper()
	var c struct {
		TotalCount int
		Items      []object
		Attributes object
	}
	w.get(path, headers...).into(w.t, &c)
	require.Len(w.t, c.Items, c.TotalCount)
	require.Equal(w.t, object{"objectType": "Collection"}, c.Attributes)
	return c.Items
}

// native sends a command to the native API.
func native(t *testing.T, token, name, body string, headers ...string) answer {
	t.Helper()
	return send(t, http.MethodPost, "/api/commands/"+name, token, body, headers...)
}

// command sends a native command that must be accepted.
func (w *world) command(token, name, body string, values ...any) {
	w.t.Helper()
	a := native(w.t, token, name, fmt.Sprintf(body, values...))
	require.Equal(w.t, http.StatusOK, a.status, "%s: %s", name, a.body)
}

// nativeItems reads a list of the native API that holds everything recorded so far.
func (w *world) nativeItems(path string) []object {
	w.t.Helper()
	a := send(w.t, http.MethodGet, path, w.admin, "", "Ledger-Min-Position", strconv.FormatUint(book.Book().Head(), 10))
	require.Equal(w.t, http.StatusOK, a.status, "%s", a.body)
	var page struct{ Items []object }
	a.into(w.t, &page)
	return page.Items
}

// newest is the position of the newest event in the partner's book.
func (w *world) newest() uint64 {
	w.t.Helper()
	return uint64(w.nativeItems("/api/activity?limit=1")[0]["position"].(float64))
}

const policies = "/v1/SelfServePolicy"

func (w *world) policyID() string { return w.partner + "_" + w.customer }

// body is a policy as the .NET client writes it, with an etag where one is given.
func (w *world) body(id, etag string, resources ...string) string {
	w.t.Helper()
	permissions := make([]object, len(resources))
	for i, r := range resources {
		permissions[i] = object{"Resource": r, "Action": "Purchase"}
	}
	p := object{
		"Id":              nil,
		"SelfServeEntity": object{"SelfServeEntityType": "customer", "TenantID": w.customer},
		"Grantor":         object{"GrantorType": "billToPartner", "TenantID": w.partner},
		"Permissions":     permissions,
		"Attributes":      object{"ObjectType": "SelfServePolicy"},
	}
	if id != "" {
		p["Id"] = id
	}
	if etag != "" {
		p["Attributes"] = object{"Etag": etag, "ObjectType": "SelfServePolicy"}
	}
	text, err := json.Marshal(p)
	require.NoError(w.t, err)
	return string(text)
}

// policy is a policy as it is answered.
type policy struct {
	ID              string
	SelfServeEntity struct{ SelfServeEntityType, TenantID string }
	Grantor         struct{ GrantorType, TenantID string }
	Permissions     []struct{ Resource, Action string }
	Attributes      struct{ ETag, ObjectType string }
}

func (p policy) resources() []string {
	list := []string{}
	for _, permission := range p.Permissions {
		list = append(list, permission.Resource)
	}
	return list
}

// create makes the customer's policy.
func (w *world) create(resources ...string) policy {
	w.t.Helper()
	a := send(w.t, http.MethodPost, policies, w.admin, w.body("", "", resources...))
	require.Equal(w.t, http.StatusCreated, a.status, "%s", a.body)
	var p policy
	a.into(w.t, &p)
	return p
}

const (
	reserved = "AzureReservedInstances"
	savings  = "AzureSavingsPlan"
)
