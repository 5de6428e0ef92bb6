package azure_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/reservations/armreservations/v3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/doortest"
	"permledger/handlers/ledger"
)

// One ledger behind one server serves all tests; each works in the book of a partner of its own.
var (
	shared    *handlers.Handler
	book      *ledger.Ledger
	tokens    *auth.Dev
	server    *httptest.Server
	transport = &http.Transport{}
)

func TestMain(m *testing.M) {
	os.Exit(doortest.Run(m, doortest.Defaults, func(l *doortest.Ledger) func() {
		shared, book, tokens = l.Handler, l.Book, l.Tokens
		server = httptest.NewServer(shared)
		return func() {
			transport.CloseIdleConnections()
			server.Close()
		}
	}))
}

// person is somebody with a token.
type person struct {
	domain.Actor
	token string
}

// world is a partner with one customer that has two subscriptions and prices, and its people. The first
// subscription has an Owner.
type world struct {
	t                      *testing.T
	partner, customer      domain.TenantID
	subscription, second   domain.SubscriptionID
	admin, sales, helpdesk person
	auditor, buyer, other  person
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t)
	w.must(w.admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	w.must(w.admin, domain.RegisterCustomer{CustomerID: w.customer, CompanyName: "Contoso", Domain: "contoso.example"})
	for _, id := range []domain.SubscriptionID{w.subscription, w.second} {
		w.must(w.admin, domain.RecordSubscription{CustomerID: w.customer, SubscriptionID: id, Kind: domain.AzurePlan, Name: "Prod"})
	}
	w.must(w.admin, domain.AssignSubscriptionRole{RoleAssignment: domain.RoleAssignment{
		CustomerID: w.customer, SubscriptionID: w.subscription, UserID: w.buyer.User, UserPrincipalName: w.buyer.UPN, Role: domain.Owner,
	}})
	w.price("Standard_D2s_v5", domain.OneYear, domain.Upfront, "519.00")
	w.price("Standard_D2s_v5", domain.OneYear, domain.Monthly, "519.00")
	w.price("Standard_D2s_v5", domain.ThreeYears, domain.Upfront, "1400.00")
	return w
}

// emptyWorld is the same people before anything is registered.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, partner: domain.TenantID{UUID: uuid.New()}, customer: domain.TenantID{UUID: uuid.New()},
		subscription: domain.SubscriptionID{UUID: uuid.New()}, second: domain.SubscriptionID{UUID: uuid.New()},
	}
	w.admin = newPerson(t, w.partner, "mei@fabrikam.example", domain.AdminAgent)
	w.sales = newPerson(t, w.partner, "tom@fabrikam.example", domain.SalesAgent)
	w.helpdesk = newPerson(t, w.partner, "ana@fabrikam.example", domain.HelpdeskAgent)
	w.auditor = newPerson(t, w.partner, "aud@fabrikam.example", domain.Auditor)
	w.buyer = newPerson(t, w.customer, "yijun@contoso.example", domain.CustomerUser)
	w.other = newPerson(t, w.customer, "bo@contoso.example", domain.CustomerUser)
	return w
}

func newPerson(t *testing.T, tenant domain.TenantID, upn string, roles domain.Roles) person {
	t.Helper()
	p := person{Actor: domain.Actor{Tenant: tenant, User: domain.UserID{UUID: uuid.New()}, UPN: upn, Roles: roles, App: "test"}}
	var err error
	p.token, err = tokens.Mint(auth.Token{Tenant: tenant, User: p.User, UPN: upn, Roles: roles, App: "test"})
	require.NoError(t, err)
	return p
}

// must sends a command past the door.
func (w *world) must(p person, c domain.Command) ledger.Answer {
	w.t.Helper()
	answer, err := book.Execute(w.t.Context(), ledger.Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: p.Actor, Command: c})
	require.NoError(w.t, err)
	return answer
}

func (w *world) price(sku string, term domain.Term, plan domain.BillingPlan, amount string) {
	w.t.Helper()
	m, err := domain.ParseMoney(amount, "USD")
	require.NoError(w.t, err)
	w.must(w.admin, domain.SetReservationPrice{
		CustomerID: w.customer, Offer: domain.Offer{SKU: sku, Region: "eastus", Term: term, BillingPlan: plan}, CustomerPrice: m, WebDirectPrice: m,
	})
}

func (w *world) grant() {
	w.t.Helper()
	w.must(w.admin, domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: w.customer, Product: domain.AzureReservedInstances}})
}

func (w *world) revoke() {
	w.t.Helper()
	w.must(w.admin, domain.RevokePurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: w.customer, Product: domain.AzureReservedInstances}})
}

// clients makes Azure's own clients for somebody.
func clients(t *testing.T, p person) *armreservations.ClientFactory {
	t.Helper()
	options := at(server.URL)
	options.Transport = &http.Client{Transport: transport}
	factory, err := armreservations.NewClientFactory(bearer(p.token), options)
	require.NoError(t, err)
	return factory
}

// wants is a purchase of D2s_v5 in eastus for a year, paid upfront.
func (w *world) wants(quantity int32) armreservations.PurchaseRequest {
	return armreservations.PurchaseRequest{
		SKU: &armreservations.SKUName{Name: new("Standard_D2s_v5")}, Location: new("eastus"),
		Properties: &armreservations.PurchaseRequestProperties{
			ReservedResourceType: new(armreservations.ReservedResourceTypeVirtualMachines),
			BillingScopeID:       new("/subscriptions/" + w.subscription.String()),
			Term:                 new(armreservations.ReservationTermP1Y), BillingPlan: new(armreservations.ReservationBillingPlanUpfront),
			Quantity: new(quantity), DisplayName: new("web"), Renew: new(false),
			AppliedScopeType: new(armreservations.AppliedScopeTypeShared),
			ReservedResourceProperties: &armreservations.PurchaseRequestPropertiesReservedResourceProperties{
				InstanceFlexibility: new(armreservations.InstanceFlexibilityOn),
			},
		},
	}
}

// done waits for a long running operation.
func done[T any](poller *runtime.Poller[T], err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return poller.PollUntilDone(context.Background(), &runtime.PollUntilDoneOptions{Frequency: time.Second})
}

// buy buys under a new order id, and gives the order and its reservation.
func (w *world) buy(p person, quantity int32) (order, reservation string) {
	w.t.Helper()
	order = uuid.NewString()
	bought, err := done(clients(w.t, p).NewReservationOrderClient().BeginPurchase(w.t.Context(), order, w.wants(quantity), nil))
	require.NoError(w.t, err)
	path := *bought.Properties.Reservations[0].ID
	return order, path[strings.LastIndex(path, "/")+1:]
}

func reservationPath(order, reservation string) string {
	return "/providers/Microsoft.Capacity/reservationOrders/" + order + "/reservations/" + reservation
}

// refused asserts the status and the code of an error, and gives its message.
func refused(t *testing.T, err error, status int, code string) string {
	t.Helper()
	var refusal *azcore.ResponseError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, status, refusal.StatusCode, "%v", err)
	require.Equal(t, code, refusal.ErrorCode, "%v", err)
	var body errorBody
	text, err := runtime.Payload(refusal.RawResponse)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &body))
	require.Equal(t, code, body.Error.Code)
	require.NotEmpty(t, body.Error.Message)
	return body.Error.Message
}

type errorBody struct {
	Error struct {
		Code, Message string
		Details       []struct{ Code, Target, Message string }
	}
}

// answer is an HTTP answer read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var body errorBody
	require.NoError(t, json.Unmarshal(a.body, &body), "%d %s", a.status, a.body)
	require.NotEmpty(t, body.Error.Message)
	return body.Error.Code
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.NoError(t, json.Unmarshal(a.body, v), "%s", a.body)
}

const version = "?api-version=2022-11-01"

// send does a request by hand. Headers are given as name, value pairs.
func send(t *testing.T, h http.Handler, method, address, token string, body io.Reader, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, address, body)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return answer{status: rec.Code, header: rec.Result().Header, body: rec.Body.Bytes()}
}

// call does a request by hand on an address of the provider.
func (w *world) call(p person, method, path, body string, headers ...string) answer {
	w.t.Helper()
	var text io.Reader
	if body != "" {
		text = strings.NewReader(body)
	}
	return send(w.t, shared, method, "/providers/Microsoft.Capacity"+path+version, p.token, text, headers...)
}
