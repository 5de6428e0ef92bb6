package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/problem"
)

// reply is the answer to a command.
type reply struct {
	Position  uint64
	CommandID string
	Events    []struct {
		Position uint64
		Type     string
		Data     map[string]any
	}
}

func TestACommandAnswersWithItsEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	a := w.command(w.admin, "GrantPurchasePermission", w.grant(), "Idempotency-Key", id)
	var got reply
	a.into(t, &got)
	require.Equal(t, id, got.CommandID)
	require.Equal(t, a.position(t), got.Position)
	require.Len(t, got.Events, 1)
	require.Equal(t, got.Position, got.Events[0].Position)
	require.Equal(t, "PurchasePermissionGranted", got.Events[0].Type)
	require.Equal(t, map[string]any{"product": "AzureReservedInstances"}, got.Events[0].Data)

	again := w.command(w.admin, "GrantPurchasePermission", w.grant())
	require.Equal(t, http.StatusOK, again.status)
	require.Contains(t, string(again.body), `"events":[]`, "already so is success without events (L2)")
	made, err := uuid.Parse(again.header.Get("Idempotency-Key"))
	require.NoError(t, err, "an id is made where none is given")
	require.Equal(t, uuid.Version(7), made.Version())

	outcome := w.get(w.helpdesk, "/api/commands/"+id)
	require.Equal(t, http.StatusOK, outcome.status)
	require.Contains(t, string(outcome.body), `"command":"GrantPurchasePermission"`)
}

func TestEveryCommandOfTheDomainHasItsRoute(t *testing.T) {
	t.Parallel()
	paths := described(t)
	for _, c := range domain.Commands() {
		require.Contains(t, paths, "/api/commands/"+c.CommandName())
	}
}

func TestAnUnknownCommandIsSaidToBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.command(w.admin, "grantPurchasePermission", w.grant()).problem(t)
	require.Equal(t, 404, d.Status)
	require.Equal(t, problem.CodeNoSuchRoute, d.Code)
}

func TestRefusalsHaveTheStatusOfTheContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bare := uuid.NewString()
	w.must(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"Bare","domain":"bare.example"}`, bare)
	_, reservation, _ := w.bought()
	application := mint(t, w.partner, "", domain.AdminAgent)
	onReservation := fmt.Sprintf(`{"customerId":%q,"reservationId":%q,"quantity":1}`, w.customer, reservation)
	tooMany := fmt.Sprintf(`{"customerId":%q,"reservationId":%q,"quantity":3}`, w.customer, reservation)

	for _, c := range []struct {
		rule, token, name, body string
		status                  int
		code                    domain.Code
	}{
		{"S2", w.sales, "GrantPurchasePermission", w.grant(), 403, domain.CodeRoleNotAllowed},
		{"S2", w.helpdesk, "RevokePurchasePermission", w.grant(), 403, domain.CodeRoleNotAllowed},
		{"S2", application, "GrantPurchasePermission", w.grant(), 403, domain.CodeUserRequired},
		{"S5", w.admin, "GrantPurchasePermission", fmt.Sprintf(`{"customerId":%q,"product":"AzureReservedInstances"}`, bare), 409, domain.CodeNoEligible},
		{"S7", w.buyer, "PurchaseReservation", w.purchase(), 403, domain.CodePermissionOff},
		{"S9", w.buyer, "ReturnReservation", onReservation, 403, domain.CodePartnerOnly},
		{"S9", w.sales, "ReturnReservation", onReservation, 403, domain.CodeRoleNotAllowed},
		{"S15", w.helpdesk, "PurchaseReservation", w.purchase(), 403, domain.CodeRoleNotAllowed},
		{"", w.admin, "ReturnReservation", tooMany, 409, domain.CodeQuantityExceeded},
		{"S13", w.admin, "PurchaseReservation", strings.Replace(w.purchase(), "eastus", "westus", 1), 409, domain.CodePriceNotSet},
		{"L8", w.admin, "ReturnReservation", strings.Replace(onReservation, reservation, uuid.NewString(), 1), 404, domain.CodeNotFound},
		{"L5", w.admin, "ReturnReservation", strings.Replace(onReservation, ":1}", ":0}", 1), 422, domain.CodeInvalid},
	} {
		a := w.command(c.token, c.name, c.body)
		d := a.problem(t)
		require.Equal(t, c.status, a.status, "%s %s: %s", c.rule, c.name, a.body)
		require.Equal(t, c.code, d.Code, "%s %s", c.rule, c.name)
		require.Equal(t, c.rule, d.Rule, "%s", c.name)
	}
}

func TestAnOwnerBuysOnceThePermissionIsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.admin, "GrantPurchasePermission", w.grant())
	refused := w.command(w.bystand, "PurchaseReservation", w.purchase()).problem(t)
	require.Equal(t, "S6", refused.Rule)
	require.Equal(t, domain.CodeOwnerMissing, refused.Code)

	id := uuid.NewString()
	var got reply
	w.command(w.buyer, "PurchaseReservation", w.purchase(), "Idempotency-Key", id).into(t, &got)
	require.Equal(t, "CustomerPurchasedReservation", got.Events[0].Type)
	require.Equal(t, 200, w.get(w.buyer, "/api/commands/"+id).status)
	require.Equal(t, 403, w.get(w.bystand, "/api/commands/"+id).status, "the outcome holds prices")
	require.Equal(t, 200, w.get(w.sales, "/api/commands/"+id).status)

	order := w.list(w.sales, w.path("orders")).Items[0]
	require.Equal(t, "customer", order["boughtBy"].(map[string]any)["kind"])
	require.Equal(t, w.partner, order["billedTo"], "the partner pays (S8)")
}

func TestASavingsPlanIsBoughtUnderItsOwnPermissionAndStandsAmongTheOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.admin, "GrantPurchasePermission", w.grant())
	plan := fmt.Sprintf(`{"customerId":%q,"subscriptionId":%q,"term":"P1Y","billingPlan":"Monthly","commitment":{"amount":"1.50","currency":"USD"},"scope":{"type":"Shared"}}`, w.customer, w.subscription)
	require.Equal(t, domain.CodePermissionOff, w.command(w.buyer, "PurchaseSavingsPlan", plan).problem(t).Code)
	w.must(w.admin, "GrantPurchasePermission", strings.Replace(w.grant(), "AzureReservedInstances", "AzureSavingsPlan", 1))
	var got reply
	w.command(w.buyer, "PurchaseSavingsPlan", plan).into(t, &got)
	require.Equal(t, "CustomerPurchasedSavingsPlan", got.Events[0].Type)
	w.must(w.buyer, "PurchaseReservation", w.purchase())

	orders := w.list(w.sales, w.path("orders?product=AzureSavingsPlan")).Items
	require.Len(t, orders, 1)
	require.Equal(t, map[string]any{"amount": "1.50", "currency": "USD"}, orders[0]["commitment"])
	require.Equal(t, map[string]any{"amount": "13140.00", "currency": "USD"}, orders[0]["total"])
	require.NotContains(t, orders[0], "reservationId")
	require.NotContains(t, w.list(w.bystand, w.path("orders?product=AzureSavingsPlan")).Items[0], "commitment", "prices are for owners")

	w.must(w.sales, "CustomerPurchasedSavingsPlan", strings.TrimSuffix(plan, "}")+fmt.Sprintf(`,"userId":%q,"userPrincipalName":"owner@contoso.example","purchasedAt":"2026-01-01T00:00:00Z"}`, w.owner))
	require.Len(t, w.list(w.sales, w.path("orders?product=AzureSavingsPlan")).Items, 2)
	none := strings.Replace(plan, "1.50", "0.00", 1)
	require.Equal(t, "commitment", w.command(w.buyer, "PurchaseSavingsPlan", none).problem(t).Errors[0].Field)
}

func TestAllRulesThatSayNoAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.command(w.bystand, "PurchaseReservation", w.purchase()).problem(t)
	require.Equal(t, "S7", d.Rule)
	require.Len(t, d.Also, 1)
	require.Equal(t, "S6", d.Also[0].Rule)
}

func TestTheSameIdAlwaysGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	const senders = 50
	answers := make([]answer, senders)
	var done sync.WaitGroup
	for i := range senders {
		done.Go(func() { answers[i] = w.command(w.admin, "PurchaseReservation", w.purchase(), "Idempotency-Key", id) })
	}
	done.Wait()
	for _, a := range answers {
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		require.Equal(t, string(answers[0].body), string(a.body))
	}
	require.Len(t, w.list(w.admin, w.path("orders")).Items, 1, "one effect")

	other := w.command(w.admin, "PurchaseReservation", strings.Replace(w.purchase(), `"quantity":2`, `"quantity":3`, 1), "Idempotency-Key", id)
	require.Equal(t, problem.CodeCommandIDReused, other.problem(t).Code)
	require.Equal(t, 409, other.status)
	require.Equal(t, "L3", other.problem(t).Rule)
	stranger := w.command(w.sales, "PurchaseReservation", w.purchase(), "Idempotency-Key", id)
	require.Equal(t, 409, stranger.status, "another sender is other content")
}

func TestG4TwoTenantsMayUseOneID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	refused := w.command(w.buyer, "PurchaseReservation", w.purchase(), "Idempotency-Key", id)
	require.Equal(t, http.StatusForbidden, refused.status, "a refusal that is recorded")
	ours := w.command(w.admin, "GrantPurchasePermission", w.grant(), "Idempotency-Key", id)
	require.Equal(t, http.StatusOK, ours.status, "%s", ours.body)
	id = uuid.NewString()
	theirs := w.command(w.buyer, "PurchaseReservation", w.purchase(), "Idempotency-Key", id)
	require.Equal(t, http.StatusOK, theirs.status, "%s", theirs.body)
	ours = w.command(w.admin, "PurchaseReservation", w.purchase(), "Idempotency-Key", id)
	require.Equal(t, http.StatusOK, ours.status, "their orders have ids of their own: %s", ours.body)
	for person, first := range map[string]answer{w.buyer: theirs, w.admin: ours} {
		again := w.command(person, "PurchaseReservation", w.purchase(), "Idempotency-Key", id)
		require.Equal(t, string(first.body), string(again.body))
		var got, looked reply
		first.into(t, &got)
		w.get(person, "/api/commands/"+id).into(t, &looked)
		require.Equal(t, got.Position, looked.Position, "each tenant looks up its own")
	}
}

func TestAnIDOfTheLedgersOwnCommandsIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := domain.DueRenewal{Reservation: domain.ReservationID{UUID: uuid.New()}}.CommandID().String()
	for _, query := range []string{"", "?dryRun=true"} {
		refused := send(t, w.handler, http.MethodPost, "/api/commands/GrantPurchasePermission"+query, w.admin, w.grant(), "Idempotency-Key", id)
		require.Equal(t, http.StatusUnprocessableEntity, refused.status, "%s", refused.body)
		require.Equal(t, "commandId", refused.problem(t).Errors[0].Field)
	}
}

func TestADryRunDecidesAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := len(w.list(w.auditor, "/api/events?limit=500").Items)
	id := uuid.NewString()
	var got reply
	send(t, w.handler, http.MethodPost, "/api/commands/GrantPurchasePermission?dryRun=true", w.admin, w.grant(), "Idempotency-Key", id).into(t, &got)
	require.Len(t, got.Events, 1)
	require.Equal(t, "PurchasePermissionGranted", got.Events[0].Type)
	refused := send(t, w.handler, http.MethodPost, "/api/commands/GrantPurchasePermission?dryRun=true", w.sales, w.grant())
	require.Equal(t, 403, refused.status)

	require.Len(t, w.list(w.auditor, "/api/events?limit=500").Items, before)
	require.Equal(t, 404, w.get(w.admin, "/api/commands/"+id).status)
	require.Equal(t, http.StatusOK, w.command(w.admin, "GrantPurchasePermission", w.grant(), "Idempotency-Key", id).status, "the id is still free")
}

func TestAnExpectedPositionGuardsAgainstChangesInBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var customer struct{ Changed uint64 }
	w.get(w.admin, "/api/customers/"+w.customer).into(t, &customer)
	tag := strconv.Quote(strconv.FormatUint(customer.Changed, 10))
	require.Equal(t, 200, w.command(w.admin, "GrantPurchasePermission", w.grant(), "If-Match", tag).status)
	late := w.command(w.admin, "RevokePurchasePermission", w.grant(), "If-Match", tag)
	require.Equal(t, 412, late.status)
	require.Equal(t, domain.CodeChanged, late.problem(t).Code)
	for _, bad := range []string{"abc", `W/"1"`, "-1", `"*"`} {
		require.Equal(t, 422, w.command(w.admin, "RevokePurchasePermission", w.grant(), "If-Match", bad).status, bad)
	}
}

func TestACommandIdMustBeAGUID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"abc", strings.ReplaceAll(uuid.NewString(), "-", ""), "{" + uuid.NewString() + "}", "urn:uuid:" + uuid.NewString(), uuid.Nil.String()} {
		a := w.command(w.admin, "GrantPurchasePermission", w.grant(), "Idempotency-Key", id)
		require.Equal(t, 422, a.status, id)
		d := a.problem(t)
		require.Len(t, d.Errors, 1)
		require.Equal(t, "header.Idempotency-Key", d.Errors[0].Field)
		require.NotContains(t, d.Errors[0].Detail+d.Detail, id)
	}
}

func TestACorrelationIdIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ name, value, want string }{
		{"MS-CorrelationId", "ticket-4711", "ticket-4711"},
		{"Correlation-Id", "ticket-4712", "ticket-4712"},
		{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"},
		{"Correlation-Id", "a\tb", ""},
		{"Correlation-Id", strings.Repeat("x", 200), ""},
	} {
		id := uuid.NewString()
		a := w.command(w.admin, "RegisterCustomer", fmt.Sprintf(`{"customerId":%q,"companyName":"N","domain":"n.example","reason":"why"}`, uuid.NewString()),
			c.name, c.value, "Idempotency-Key", id)
		require.Equal(t, 200, a.status, "%s", a.body)
		entry := w.list(w.auditor, "/api/activity?limit=1").Items[0]
		require.Equal(t, id, entry["commandId"])
		if c.want == "" {
			require.NotContains(t, entry, "correlationId")
		} else {
			require.Equal(t, c.want, entry["correlationId"])
		}
		require.Equal(t, "why", entry["reason"])
	}
}

// notListed is an authenticator as an OIDC issuer's: valid tokens of tenants that are not on the list.
type notListed struct{ auth.Authenticator }

func (n notListed) Authenticate(ctx context.Context, token string) (auth.Principal, error) {
	p, err := n.Authenticator.Authenticate(ctx, token)
	p.MayBecomePartner = false
	return p, err
}

func TestOnlyListedTenantsBecomePartners(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.handler = handlers.New(book, notListed{tokens}, handlers.Options{})
	a := w.command(w.admin, "RegisterPartner", `{"name":"Fabrikam","country":"TW","currency":"USD"}`)
	require.Equal(t, 403, a.status)
	require.Equal(t, problem.CodeTenantNotAllowed, a.problem(t).Code)
	require.Equal(t, 403, w.command(w.admin, "RegisterCustomer", fmt.Sprintf(`{"customerId":%q,"companyName":"N","domain":"n.example"}`, w.customer)).status)
}

func TestAPrincipalThatSendsTooMuchIsToldToWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handler = handlers.New(book, tokens, handlers.Options{Rate: 0.5, Burst: 3})
	for range 3 {
		require.Equal(t, 200, send(t, w.handler, http.MethodGet, "/api/customers", w.admin, "").status)
	}
	a := send(t, w.handler, http.MethodGet, "/api/customers", w.admin, "")
	require.Equal(t, 429, a.status)
	require.Equal(t, problem.CodeRateLimited, a.problem(t).Code)
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.LessOrEqual(t, time.Duration(seconds)*time.Second, 2*time.Second)
	require.Equal(t, 200, send(t, w.handler, http.MethodGet, "/api/customers", w.sales, "").status, "others are not held up")
	require.Equal(t, 200, send(t, w.handler, http.MethodGet, "/livez", "", "").status)
}
