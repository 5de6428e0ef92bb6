package api_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/problem"
)

func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 6 {
		w.must(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"Company %d","domain":"d.example"}`, uuid.NewString(), i)
	}
	seen := map[any]bool{}
	path, pages := "/api/customers?limit=3&text=o", 0
	for path != "" {
		a := w.get(w.admin, path)
		var p page
		a.into(t, &p)
		pages++
		for _, c := range p.Items {
			require.False(t, seen[c["customerId"]], "no row twice")
			seen[c["customerId"]] = true
		}
		link := a.header.Get("Link")
		require.Equal(t, p.NextCursor == "", link == "")
		if pages == 1 {
			require.Contains(t, link, "limit=3", "the link keeps the filters")
			require.Contains(t, link, "text=o")
		}
		path = strings.TrimPrefix(strings.TrimSuffix(link, `>; rel="next"`), "<")
	}
	require.Len(t, seen, 7)
	require.Equal(t, 3, pages)

	first := w.list(w.admin, "/api/customers?limit=3")
	a := w.get(w.admin, "/api/orders?cursor="+first.NextCursor)
	require.Equal(t, 422, a.status, "a cursor belongs to its list")
	require.Equal(t, 422, w.get(w.admin, "/api/customers?cursor=abc").status)
	for _, limit := range []string{"0", "501", "-1", "x"} {
		require.Equal(t, 422, w.get(w.admin, "/api/customers?limit="+limit).status, limit)
	}
}

func TestOrdersAndReservationsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.bought()
	}
	for _, path := range []string{w.path("orders?limit=1&status=active"), w.path("reservations?limit=1&state=active"), "/api/activity?limit=3", "/api/orders?limit=2"} {
		seen := map[any]bool{}
		for path != "" {
			a := w.get(w.buyer, path)
			var p page
			a.into(t, &p)
			for _, row := range p.Items {
				require.False(t, seen[row["position"]])
				seen[row["position"]] = true
			}
			path = strings.TrimPrefix(strings.TrimSuffix(a.header.Get("Link"), `>; rel="next"`), "<")
		}
		require.GreaterOrEqual(t, len(seen), 3)
	}
}

func TestEmptyListsAreListsAndEndWithoutACursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get(w.admin, w.path("orders"))
	require.JSONEq(t, `{"items":[]}`, string(a.body))
	require.Empty(t, a.header.Get("Link"))
}

func TestFiltersNarrowLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation, _ := w.bought()
	w.must(w.admin, "GrantPurchasePermission", w.grant())
	for path, want := range map[string]int{
		w.path("orders?boughtBy=partner"):                                1,
		w.path("orders?boughtBy=customer"):                               0,
		w.path("orders?status=active&sku=Standard_D2s_v5"):               1,
		w.path("orders?authorised=false"):                                0,
		w.path("orders?since=2000-01-01T00:00:00Z"):                      1,
		w.path("orders?until=2000-01-01T00:00:00Z"):                      0,
		w.path("orders?subscriptionId=" + w.subscription):                1,
		w.path("reservations?state=active&scopeType=Shared"):             1,
		w.path("reservations?reaches=" + w.subscription):                 1,
		w.path("reservations?orderId=" + order):                          1,
		w.path("reservations?state=returned"):                            0,
		w.path("subscriptions?owner=" + w.owner):                         1,
		w.path("subscriptions?status=deleted"):                           0,
		w.path("permissions?allowed=true"):                               1,
		w.path("permissions"):                                            2,
		w.path("permissions/history?product=AzureReservedInstances"):     1,
		w.path("prices?region=eastus"):                                   1,
		w.path("prices?region=westus"):                                   0,
		w.path("activity?action=PurchasePermissionGranted"):              1,
		w.path("activity?result=failed"):                                 0,
		"/api/customers?allowed=true&product=AzureReservedInstances":     1,
		"/api/events?type=PurchasePermissionGranted,ReservationPriceSet": 2,
	} {
		require.Len(t, w.list(w.admin, path).Items, want, path)
	}
	for _, path := range []string{w.path("orders?status=lost"), w.path("orders?since=yesterday"), w.path("orders?authorised=maybe"), w.path("subscriptions?owner=mei"), "/api/events?after=x", "/api/customers/abc"} {
		a := w.get(w.admin, path)
		require.Equal(t, 422, a.status, path)
		require.NotEmpty(t, a.problem(t).Errors)
	}
	require.Equal(t, 404, w.get(w.admin, w.path("orders/"+reservation)).status)
}

func TestThePermissionIsShownWithWhoAndWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	off := w.list(w.helpdesk, w.path("permissions?product=AzureReservedInstances")).Items[0]
	require.Equal(t, false, off["allowed"], "off by default (S1)")
	position := w.must(w.admin, "GrantPurchasePermission", strings.Replace(w.grant(), "{", `{"reason":"asked for by mail",`, 1))
	on := w.list(w.helpdesk, w.path("permissions?product=AzureReservedInstances")).Items[0]
	require.Equal(t, true, on["allowed"])
	require.Equal(t, "asked for by mail", on["reason"])
	require.EqualValues(t, position, on["position"])
	require.NotEmpty(t, on["grantedBy"])
}

func TestDeniedAttemptsAreInTheActivityLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, 403, w.command(w.sales, "GrantPurchasePermission", w.grant()).status)
	failed := w.list(w.auditor, w.path("activity?result=failed")).Items
	require.Len(t, failed, 1)
	require.Equal(t, "S2", failed[0]["rule"])
	require.Equal(t, "Create Customer Purchase Permissions", failed[0]["label"])
}

func TestTheCheckSaysWhichRuleSaysNo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type verdict struct {
		Allowed  bool
		Reasons  []domain.Reason
		Position uint64
	}
	check := func(user string) (v verdict, a answer) {
		a = send(t, w.handler, http.MethodGet, w.path("permissions/AzureReservedInstances/check?userId="+user+"&subscriptionId="+w.subscription), w.helpdesk, "")
		a.into(t, &v)
		require.Equal(t, a.position(t), v.Position)
		return v, a
	}
	v, _ := check(uuid.NewString())
	require.False(t, v.Allowed)
	require.Equal(t, []string{"S7", "S6"}, []string{v.Reasons[0].Rule, v.Reasons[1].Rule})
	position := w.must(w.admin, "GrantPurchasePermission", w.grant())
	v, a := check(w.owner)
	require.True(t, v.Allowed, "the book answers at once, without waiting for a read model")
	require.GreaterOrEqual(t, v.Position, position)
	require.Contains(t, string(a.body), `"reasons":[]`)
	savings := w.get(w.admin, w.path("permissions/AzureSavingsPlan/check?userId="+w.owner+"&subscriptionId="+w.subscription))
	require.Contains(t, string(savings.body), `"allowed":false`, "each product has its own permission")
	require.Equal(t, 422, w.get(w.admin, w.path("permissions/Everything/check?userId="+w.owner+"&subscriptionId="+w.subscription)).status)
	require.Equal(t, 422, w.get(w.admin, w.path("permissions/AzureSavingsPlan/check")).status)
}

func TestAQueryWaitsForThePositionItAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 20 {
		position := w.must(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"C","domain":"d.example"}`, uuid.NewString())
		a := send(t, w.handler, http.MethodGet, "/api/customers?limit=500", w.admin, "", "Ledger-Min-Position", strconv.FormatUint(position, 10))
		var p page
		a.into(t, &p)
		require.Len(t, p.Items, i+2, "what was written is read")
		require.GreaterOrEqual(t, a.position(t), position)
	}
	impatient := handlers.New(book, tokens, handlers.Options{PositionWait: time.Millisecond})
	a := send(t, impatient, http.MethodGet, "/api/customers", w.admin, "", "Ledger-Min-Position", "999999999999")
	require.Equal(t, 503, a.status)
	require.Equal(t, problem.CodePositionNotInTime, a.problem(t).Code)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, 422, w.get(w.admin, "/api/customers", "Ledger-Min-Position", "x").status)
}

func TestTheFeedIsReadInOrderWithoutGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bought()
	var all []float64
	after := uint64(0)
	for more := true; more; {
		var piece struct {
			Items []struct {
				Position float64
				Type     string
				Data     map[string]any
			}
			Next uint64
			More bool
		}
		w.get(w.auditor, fmt.Sprintf("/api/events?limit=2&after=%d", after)).into(t, &piece)
		for _, e := range piece.Items {
			all = append(all, e.Position)
			require.NotEmpty(t, e.Type)
			require.NotNil(t, e.Data)
		}
		after, more = piece.Next, piece.More
	}
	require.Len(t, all, 6)
	require.IsIncreasing(t, all)
}
