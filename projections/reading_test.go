package projections

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
)

func TestWhetherAReservationExpiredIsAskedForAMoment(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Admin, 1)
	for at, want := range map[time.Time]ReservationState{
		r.ExpiresAt.Add(-time.Nanosecond): ReservationActive, r.ExpiresAt: ReservationExpired,
	} {
		row, _, err := b.Reservation(t.Context(), contoso, r.ReservationID, at)
		require.NoError(t, err)
		require.Equal(t, want, row.State)
		page, err := b.Reservations(t.Context(), contoso, ReservationFilter{At: at, State: want}, Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		orders, err := b.Orders(t.Context(), contoso, OrderFilter{At: at, Status: OrderStatus(want)}, Paging{})
		require.NoError(t, err)
		require.Len(t, orders.Items, 1)
	}
	soon, err := b.Reservations(t.Context(), contoso, ReservationFilter{At: b.now, ExpiringBefore: r.ExpiresAt}, Paging{})
	require.NoError(t, err)
	require.Empty(t, soon.Items)
}

func TestSharedReachesEverySubscriptionLaterOnesIncludedSingleOne_S14(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Admin, 1)
	later := domain.SubscriptionID{UUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte("later"))}
	reached := func() []domain.SubscriptionID {
		page, err := b.Coverage(t.Context(), contoso, r.ReservationID, b.now, Paging{})
		require.NoError(t, err)
		ids := make([]domain.SubscriptionID, len(page.Items))
		for i, s := range page.Items {
			ids[i] = s.SubscriptionID
			by, err := b.Reservations(t.Context(), contoso, ReservationFilter{At: b.now, Reaches: s.SubscriptionID}, Paging{})
			require.NoError(t, err)
			require.Len(t, by.Items, 1, "both ways round")
		}
		return ids
	}
	require.Equal(t, []domain.SubscriptionID{cast.Subscription}, reached())
	b.after(cast.Admin, domain.RecordSubscription{CustomerID: cast.Customer, SubscriptionID: later, Kind: domain.AzureGlobal, Name: "Later"})
	require.Equal(t, []domain.SubscriptionID{cast.Subscription, later}, reached())

	b.after(cast.Admin, domain.ChangeReservationScope{CustomerID: cast.Customer, ReservationID: r.ReservationID, Scope: domain.Scope{Type: domain.Single, SubscriptionID: later}})
	require.Equal(t, domain.Scope{Type: domain.Single, SubscriptionID: later}, b.reservation(r.ReservationID).Scope)
	require.Equal(t, domain.Shared, b.order(r.OrderID).Scope.Type, "the order keeps what was bought")
	require.Equal(t, []domain.SubscriptionID{later}, reached())

	b.after(cast.Admin, domain.ChangeReservationScope{CustomerID: cast.Customer, ReservationID: r.ReservationID, Scope: domain.Scope{Type: domain.Shared}})
	b.after(cast.Admin, domain.ChangeSubscriptionStatus{CustomerID: cast.Customer, SubscriptionID: later, Status: domain.Deleted})
	require.Equal(t, []domain.SubscriptionID{cast.Subscription}, reached())
	b.after(cast.Admin, domain.ReturnReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID, Quantity: 1})
	require.Empty(t, reached())
}

func TestTogglesAreLoggedUnderMicrosoftsNames_S12(t *testing.T) {
	t.Parallel()
	b := ready(t)
	b.after(cast.Admin, cast.Revoke(domain.AzureReservedInstances))
	page, err := b.Activity(t.Context(), contoso, ActivityFilter{Actions: []string{"PurchasePermissionGranted", "PurchasePermissionRevoked"}}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	off, on := page.Items[0], page.Items[1]
	require.Equal(t, []string{"Delete Customer Purchase Permissions", "刪除客戶購買許可權"}, []string{off.Label, Label(off.Action, "zh-TW")})
	require.Equal(t, []string{"Create Customer Purchase Permissions", "建立客戶購買許可權"}, []string{on.Label, Label(on.Action, "zh-TW")})
	require.Equal(t, cast.Admin.UPN, off.Actor)
	require.Equal(t, cast.Customer, off.CustomerID)
	require.Equal(t, b.now, off.Time)
	require.Equal(t, Succeeded, off.Result)
	require.Equal(t, string(domain.AzureReservedInstances), off.Target)
	one, _, err := b.ActivityAt(t.Context(), contoso, off.Position)
	require.NoError(t, err)
	require.Equal(t, off, one)
}

func TestADeniedAttemptFailedForBothPartnersConcerned_L7_L8(t *testing.T) {
	t.Parallel()
	b := ready(t)
	unknown := domain.TenantID{UUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte("nobody"))}
	b.after(cast.Sales, cast.Grant(domain.AzureSavingsPlan))
	b.after(cast.Stranger, cast.Grant(domain.AzureSavingsPlan))
	strange := cast.Grant(domain.AzureSavingsPlan)
	strange.CustomerID = unknown
	b.after(cast.Stranger, strange)

	mine, err := b.Activity(t.Context(), contoso, ActivityFilter{Result: Failed}, Paging{})
	require.NoError(t, err)
	require.Len(t, mine.Items, 2)
	require.Equal(t, cast.Stranger.UPN, mine.Items[0].Actor, "the owner learns who tried")
	require.Equal(t, []any{"S2", domain.CodeRoleNotAllowed, "AttemptDenied", "PurchasePermissionGranted"},
		[]any{mine.Items[1].Rule, mine.Items[1].Code, mine.Items[1].Type, mine.Items[1].Action})

	theirs, err := b.Activity(t.Context(), OfPartner(cast.Rival), ActivityFilter{Result: Failed}, Paging{})
	require.NoError(t, err)
	require.Len(t, theirs.Items, 2)
	foreign, unheardOf := theirs.Items[1], theirs.Items[0]
	require.Equal(t, cast.Customer, foreign.CustomerID)
	foreign.CustomerID, foreign.Target, foreign.Position, foreign.Time, foreign.CommandID, foreign.CorrelationID = unheardOf.CustomerID, unheardOf.Target, unheardOf.Position, unheardOf.Time, unheardOf.CommandID, unheardOf.CorrelationID
	foreign.Detail = fmt.Sprintf("No customer %s is known here. Check the id, or register it first.", unknown)
	require.Equal(t, unheardOf, foreign, "a foreign customer looks exactly like an unknown one")
}

func TestACustomersCardCountsWhatTheBookHolds(t *testing.T) {
	t.Parallel()
	b := ready(t)
	c, _, err := b.Customer(t.Context(), contoso)
	require.NoError(t, err)
	require.Equal(t, Customer{
		CustomerID: cast.Customer, CompanyName: "Contoso", Domain: "contoso.example", Allowed: []domain.Product{domain.AzureReservedInstances},
		Subscriptions: 1, ActiveSubscriptions: 1, Owners: 1, Position: 3, Time: c.Time, Changed: b.head().Position,
	}, c)
	b.after(cast.Sales, cast.Grant(domain.AzureSavingsPlan))
	again, _, err := b.Customer(t.Context(), contoso)
	require.NoError(t, err)
	require.Equal(t, c.Changed, again.Changed, "a denied attempt changes nothing about the customer")
	on, off := true, false
	for _, filter := range []struct {
		filter CustomerFilter
		found  int
	}{
		{CustomerFilter{Text: "TOSO"}, 1},
		{CustomerFilter{Text: "contoso.ex"}, 1},
		{CustomerFilter{Text: "%"}, 0},
		{CustomerFilter{Allowed: &on}, 1},
		{CustomerFilter{Allowed: &off}, 0},
		{CustomerFilter{Allowed: &on, Product: domain.AzureSavingsPlan}, 0},
		{CustomerFilter{Allowed: &off, Product: domain.AzureSavingsPlan}, 1},
	} {
		page, err := b.Customers(t.Context(), OfPartner(cast.Partner), filter.filter, Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, filter.found, "%+v", filter.filter)
	}
	p, _, err := b.Partner(t.Context(), OfPartner(cast.Partner))
	require.NoError(t, err)
	require.Equal(t, "Fabrikam", p.Name)
}

func TestASubscriptionSaysWhoHoldsWhichRole(t *testing.T) {
	t.Parallel()
	b := ready(t)
	b.after(cast.Admin, cast.Assign(cast.Buyer, domain.Reader))
	s, _, err := b.Subscription(t.Context(), contoso, cast.Subscription)
	require.NoError(t, err)
	require.Equal(t, []domain.SubscriptionRole{domain.Owner, domain.Reader}, []domain.SubscriptionRole{s.Roles[0].Role, s.Roles[1].Role})
	require.Equal(t, cast.Buyer.UPN, s.Roles[0].UserPrincipalName)
	suspended := b.after(cast.Admin, domain.ChangeSubscriptionStatus{CustomerID: cast.Customer, SubscriptionID: cast.Subscription, Status: domain.Suspended})
	b.after(cast.Admin, cast.Remove(cast.Buyer, domain.Owner))
	s, _, err = b.Subscription(t.Context(), contoso, cast.Subscription)
	require.NoError(t, err)
	require.Equal(t, []any{domain.Suspended, suspended.Time, suspended.Position}, []any{s.Status, s.StatusSince, s.Changed})
	require.Len(t, s.Roles, 1)
	for filter, found := range map[SubscriptionFilter]int{
		{Status: domain.Suspended}: 1, {Status: domain.Active}: 0, {Kind: domain.AzurePlan}: 1, {Kind: domain.AzureGlobal}: 0, {Owner: cast.Buyer.User}: 0,
	} {
		page, err := b.Subscriptions(t.Context(), contoso, filter, Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, found, "%+v", filter)
	}
}

func TestThePriceListHoldsThePriceInForce_S13(t *testing.T) {
	t.Parallel()
	b := ready(t)
	b.after(cast.Sales, cast.Price(cast.Offer, "480.00", "519.00"))
	b.after(cast.Sales, cast.Price(cast.ThreeYears(cast.Offer), "960.00", "997.00"))
	page, err := b.Prices(t.Context(), contoso, PriceFilter{SKU: cast.Offer.SKU, Region: cast.Offer.Region}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	require.Equal(t, []any{domain.OneYear, cast.USD("480.00"), cast.USD("519.00"), cast.Sales.UPN},
		[]any{page.Items[0].Term, page.Items[0].CustomerPrice, page.Items[0].WebDirectPrice, page.Items[0].SetBy})
}

func TestTheFeedGivesEveryEventOnceInOrder_G9(t *testing.T) {
	t.Parallel()
	b := ready(t)
	bought := b.buys(cast.Buyer, 2)
	b.after(cast.Stranger, cast.Grant(domain.AzureSavingsPlan)) // an event of the other partner
	var seen []uint64
	for after, more := uint64(0), true; more; {
		page, err := b.Events(t.Context(), OfPartner(cast.Partner), EventFilter{After: after}, 3)
		require.NoError(t, err)
		for _, e := range page.Items {
			seen = append(seen, e.Position)
		}
		require.Greater(t, page.Next, after)
		after, more = page.Next, page.More
	}
	require.Equal(t, []uint64{1, 3, 4, 5, 6, 7, 8}, seen, "2 and 9 are the other partner's")

	page, err := b.Events(t.Context(), contoso, EventFilter{Types: []string{"CustomerPurchasedReservation"}}, 0)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, b.head().Position, page.Next, "a feed without a match moves on all the same")
	e := page.Items[0]
	require.Equal(t, []any{cast.Buyer.UPN, []string{"CustomerUser"}, "PurchaseReservation"}, []any{e.Actor.UserPrincipalName, e.Actor.Roles, e.Command})
	require.Contains(t, string(e.Data), bought.OrderID.String())
	require.Contains(t, string(e.Data), "500.00")
	hidden, err := e.WithoutPrices()
	require.NoError(t, err)
	require.NotContains(t, string(hidden.Data), "500.00")
	require.NotContains(t, string(hidden.Data), "519.00")
	require.Contains(t, string(hidden.Data), `"unitPrice":null`)
	require.Contains(t, string(hidden.Data), bought.OrderID.String())
	at, _, err := b.EventAt(t.Context(), contoso, e.Position)
	require.NoError(t, err)
	require.Equal(t, e, at)
}

func TestTimeFiltersHoldTheirEnds(t *testing.T) {
	t.Parallel()
	b := ready(t)
	first, second := b.buys(cast.Admin, 1), b.buys(cast.Admin, 1)
	at := b.order(second.OrderID).Time
	for _, span := range []struct {
		since, until time.Time
		orders       []domain.OrderID
	}{
		{time.Time{}, time.Time{}, []domain.OrderID{second.OrderID, first.OrderID}},
		{at, time.Time{}, []domain.OrderID{second.OrderID}},
		{at.Add(1), time.Time{}, nil},
		{time.Time{}, at, []domain.OrderID{first.OrderID}},
		{start, start.Add(time.Second), nil},
	} {
		page, err := b.Orders(t.Context(), contoso, OrderFilter{At: b.now, Since: span.since, Until: span.until}, Paging{})
		require.NoError(t, err)
		var ids []domain.OrderID
		for _, o := range page.Items {
			ids = append(ids, o.OrderID)
		}
		require.Equal(t, span.orders, ids)
	}
	log, err := b.Activity(t.Context(), contoso, ActivityFilter{Since: at, Actor: "MEI@"}, Paging{})
	require.NoError(t, err)
	require.Len(t, log.Items, 1)
	log, err = b.Activity(t.Context(), contoso, ActivityFilter{Since: at, Actor: cast.Admin.User.String()}, Paging{})
	require.NoError(t, err)
	require.Len(t, log.Items, 1)
}

func TestAMoneylessReservationShowsNoPrice(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.reservation(b.buys(cast.Admin, 1).ReservationID)
	require.Equal(t, cast.USD("500.00"), r.UnitPrice)
	hidden := r.WithoutPrices()
	require.True(t, hidden.UnitPrice.IsZero() && hidden.WebDirectPrice.IsZero())
}
