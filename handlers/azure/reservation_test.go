package azure_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/reservations/armreservations/v3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

func TestAnOrderAndItsReservationAreShownInFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	before := time.Now().Add(-time.Second)
	order, reservation := w.buy(w.buyer, 2)
	for _, p := range []person{w.buyer, w.other, w.admin, w.helpdesk, w.auditor} {
		got, err := clients(t, p).NewReservationOrderClient().Get(t.Context(), order, nil)
		require.NoError(t, err)
		o := got.Properties
		require.Equal(t, "/providers/Microsoft.Capacity/reservationOrders/"+order, *got.ID)
		require.Equal(t, "Microsoft.Capacity/reservationOrders", *got.Type)
		require.Positive(t, *got.Etag)
		require.WithinRange(t, *o.RequestDateTime, before, time.Now())
		require.WithinRange(t, *o.CreatedDateTime, before, time.Now())
		require.Equal(t, o.BenefitStartTime.AddDate(1, 0, 0), *o.ExpiryDateTime)
		require.Equal(t, o.ExpiryDateTime.Truncate(24*time.Hour), *o.ExpiryDate)
		require.Equal(t, armreservations.ReservationTermP1Y, *o.Term)
		require.Equal(t, armreservations.ReservationBillingPlanUpfront, *o.BillingPlan)
		require.Equal(t, armreservations.ProvisioningStateSucceeded, *o.ProvisioningState)
		require.Equal(t, reservationPath(order, reservation), *o.Reservations[0].ID)

		one, err := clients(t, p).NewReservationClient().Get(t.Context(), order, reservation, nil)
		require.NoError(t, err)
		r := one.Properties
		require.Equal(t, reservationPath(order, reservation), *one.ID)
		require.Equal(t, reservation, *one.Name)
		require.Equal(t, "Microsoft.Capacity/reservationOrders/reservations", *one.Type)
		require.Equal(t, "eastus", *one.Location)
		require.Equal(t, "Standard_D2s_v5", *one.SKU.Name)
		require.Equal(t, armreservations.ReservedResourceTypeVirtualMachines, *r.ReservedResourceType)
		require.Equal(t, "/subscriptions/"+w.subscription.String(), *r.BillingScopeID)
		require.Equal(t, armreservations.AppliedScopeTypeShared, *r.AppliedScopeType)
		require.Equal(t, "Shared", *r.UserFriendlyAppliedScopeType)
		require.Equal(t, "Off", *r.UserFriendlyRenewState)
		require.Equal(t, "Succeeded", *r.DisplayProvisioningState)
		require.Equal(t, armreservations.ProvisioningStateSucceeded, *r.ProvisioningState)
		require.Equal(t, int32(2), *r.Quantity)
		require.False(t, *r.Renew)
		require.Equal(t, o.RequestDateTime.Truncate(24*time.Hour), *r.PurchaseDate)
		require.WithinRange(t, *r.EffectiveDateTime, before, time.Now())
		require.WithinRange(t, *r.LastUpdatedDateTime, before, time.Now())
	}
}

func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const count = 53
	var wait sync.WaitGroup
	for range count {
		wait.Go(func() {
			w.must(w.admin, domain.PurchaseReservation{CustomerID: w.customer, Wanted: domain.Wanted{
				SubscriptionID: w.subscription, Quantity: 1, Scope: domain.Scope{Type: domain.Shared},
				Offer: domain.Offer{SKU: "Standard_D2s_v5", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront},
			}})
		})
	}
	wait.Wait()
	ids := w.orders(w.buyer)
	require.Len(t, ids, count)
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), count, "no order is there twice")

	pager := clients(t, w.buyer).NewReservationClient().NewListAllPager(&armreservations.ReservationClientListAllOptions{Take: new(float32(20))})
	var sizes []int
	seen := map[string]bool{}
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		require.NoError(t, err)
		sizes = append(sizes, len(page.Value))
		for _, r := range page.Value {
			seen[*r.ID] = true
		}
		if page.NextLink != nil {
			link, err := url.Parse(*page.NextLink)
			require.NoError(t, err)
			require.Equal(t, strings.TrimPrefix(server.URL, "http://"), link.Host)
		}
	}
	require.Equal(t, []int{20, 20, 13}, sizes)
	require.Len(t, seen, count)

	of := clients(t, w.buyer).NewReservationClient().NewListPager(ids[0], nil)
	page, err := of.NextPage(t.Context())
	require.NoError(t, err)
	require.Len(t, page.Value, 1)
	require.False(t, of.More())

	for _, query := range []string{"&$skiptoken=abc", "&take=0", "&take=x", "&$filter=x", "&$orderby=x", "&selectedState=Succeeded"} {
		a := send(t, shared, http.MethodGet, "/providers/Microsoft.Capacity/reservations"+version+query, w.buyer.token, nil)
		require.Equal(t, http.StatusBadRequest, a.status, query)
		require.Equal(t, "InvalidRequestContent", a.code(t), query)
	}
}

func TestTheOperationsAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page, err := clients(t, w.buyer).NewOperationClient().NewListPager(nil).NextPage(t.Context())
	require.NoError(t, err)
	names := make([]string, len(page.Value))
	for i, o := range page.Value {
		names[i] = *o.Name
	}
	require.Contains(t, names, "Microsoft.Capacity/reservationOrders/write")
	require.Contains(t, names, "Microsoft.Capacity/exchange/action")
}

func TestAPartnerChangesTheScopeAndACustomerIsToldToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	order, reservation := w.buy(w.buyer, 1)
	single := armreservations.Patch{Properties: &armreservations.PatchProperties{
		AppliedScopeType: new(armreservations.AppliedScopeTypeSingle), AppliedScopes: []*string{new("/subscriptions/" + w.second.String())},
	}}
	_, err := done(clients(t, w.buyer).NewReservationClient().BeginUpdate(t.Context(), order, reservation, single, nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	_, err = done(clients(t, w.sales).NewReservationClient().BeginUpdate(t.Context(), order, reservation, single, nil))
	refused(t, err, http.StatusForbidden, "AuthorizationFailed")

	agent := clients(t, w.admin).NewReservationClient()
	before, err := agent.Get(t.Context(), order, reservation, nil)
	require.NoError(t, err)
	changed, err := done(agent.BeginUpdate(t.Context(), order, reservation, single, nil))
	require.NoError(t, err)
	require.Equal(t, armreservations.AppliedScopeTypeSingle, *changed.Properties.AppliedScopeType)
	require.Equal(t, "/subscriptions/"+w.second.String(), *changed.Properties.AppliedScopes[0])
	require.Equal(t, "Single subscription", *changed.Properties.UserFriendlyAppliedScopeType)
	require.NotEqual(t, *before.Etag, *changed.Etag)
	require.Equal(t, *before.Properties.ExpiryDateTime, *changed.Properties.ExpiryDateTime, "a change of scope keeps the term")

	_, err = done(agent.BeginUpdate(t.Context(), order, reservation, single, nil))
	refused(t, err, http.StatusBadRequest, "PatchValuesSameAsExisting")
}

func TestAPartnerSwitchesRenewalAndACustomerIsToldToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	on := armreservations.Patch{Properties: &armreservations.PatchProperties{Renew: new(true)}}
	_, err := done(clients(t, w.buyer).NewReservationClient().BeginUpdate(t.Context(), order, reservation, on, nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	agent := clients(t, w.admin).NewReservationClient()
	changed, err := done(agent.BeginUpdate(t.Context(), order, reservation, on, nil))
	require.NoError(t, err)
	require.True(t, *changed.Properties.Renew)
	require.Equal(t, "On", *changed.Properties.UserFriendlyRenewState)

	both := armreservations.Patch{Properties: &armreservations.PatchProperties{
		Renew: new(false), AppliedScopeType: new(armreservations.AppliedScopeTypeSingle),
		AppliedScopeProperties: &armreservations.AppliedScopeProperties{SubscriptionID: new("/subscriptions/" + w.subscription.String())},
		InstanceFlexibility:    new(armreservations.InstanceFlexibilityOff),
	}}
	changed, err = done(agent.BeginUpdate(t.Context(), order, reservation, both, nil))
	require.NoError(t, err)
	require.False(t, *changed.Properties.Renew)
	require.Equal(t, armreservations.AppliedScopeTypeSingle, *changed.Properties.AppliedScopeType)
}

func TestAPartnerRenamesAndACustomerIsToldToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	rename := func(name string) armreservations.Patch {
		return armreservations.Patch{Properties: &armreservations.PatchProperties{Name: &name}}
	}
	_, err := done(clients(t, w.buyer).NewReservationClient().BeginUpdate(t.Context(), order, reservation, rename("db"), nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	agent := clients(t, w.admin).NewReservationClient()
	changed, err := done(agent.BeginUpdate(t.Context(), order, reservation, rename("db"), nil))
	require.NoError(t, err)
	require.Equal(t, "db", *changed.Properties.DisplayName)
	bought, err := clients(t, w.admin).NewReservationOrderClient().Get(t.Context(), order, nil)
	require.NoError(t, err)
	require.Equal(t, "web", *bought.Properties.DisplayName, "the order keeps the name under which it was bought")
	_, err = done(agent.BeginUpdate(t.Context(), order, reservation, rename("db"), nil))
	refused(t, err, http.StatusBadRequest, "PatchValuesSameAsExisting")

	all := rename("網頁")
	all.Properties.Renew = new(true)
	all.Properties.AppliedScopeType = new(armreservations.AppliedScopeTypeSingle)
	all.Properties.AppliedScopes = []*string{new("/subscriptions/" + w.second.String())}
	changed, err = done(agent.BeginUpdate(t.Context(), order, reservation, all, nil))
	require.NoError(t, err)
	require.Equal(t, "網頁", *changed.Properties.DisplayName)
	require.True(t, *changed.Properties.Renew)
	require.Equal(t, armreservations.AppliedScopeTypeSingle, *changed.Properties.AppliedScopeType)
	all.Properties.Name = new("db")
	changed, err = done(agent.BeginUpdate(t.Context(), order, reservation, all, nil))
	require.NoError(t, err, "one of three differs")
	require.Equal(t, "db", *changed.Properties.DisplayName)
}

func TestRenewalIsNotSwitchedOnWhileBuying(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	wants := w.wants(1)
	wants.Properties.Renew = new(true)
	_, err := done(clients(t, w.buyer).NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), wants, nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	_, err = done(clients(t, w.admin).NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), wants, nil))
	require.Contains(t, refused(t, err, http.StatusBadRequest, "BadRequest"), "PATCH")
	require.Empty(t, w.orders(w.admin))
}

func TestWhatAPatchCannotChangeIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	path := "/reservationOrders/" + order + "/reservations/" + reservation
	for body, code := range map[string]string{
		`{"properties":{"billingScopeId":"/subscriptions/` + w.second.String() + `"}}`: "BillingScopeIdCannotBeChanged",
		`{"properties":{"name":""}}`:                   "InvalidRequestContent",
		`{"properties":{"name":"web"}}`:                "PatchValuesSameAsExisting",
		`{"properties":{"instanceFlexibility":"Off"}}`: "InvalidRequestContent",
		`{"properties":{}}`:                            "InvalidRequestContent",
		`{"properties":{"appliedScopeType":"Single"}}`: "MissingAppliedScopesForSingle",
		`{"properties":{"renew":"yes"}}`:               "InvalidRequestContent",
		`{"properties":{"appliedScopeType":"Shared"}}`: "PatchValuesSameAsExisting",
		`{"properties":{"renew":false,"name":"web"}}`:  "PatchValuesSameAsExisting",
	} {
		a := w.call(w.admin, http.MethodPatch, path, body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Equal(t, code, a.code(t), body)
	}
}

func TestAPatchSentAgainUnderItsNameIsTheSamePatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	path := "/reservationOrders/" + order + "/reservations/" + reservation
	single := `{"properties":{"appliedScopeType":"Single","appliedScopes":["/subscriptions/` + w.second.String() + `"]}}`
	name := uuid.NewString()
	first := w.call(w.admin, http.MethodPatch, path, single, "x-ms-client-request-id", name)
	require.Equal(t, http.StatusOK, first.status, "%s", first.body)
	require.Equal(t, string(first.body), string(w.call(w.admin, http.MethodPatch, path, single, "x-ms-client-request-id", name).body))
	back := w.call(w.admin, http.MethodPatch, path, `{"properties":{"appliedScopeType":"Shared"}}`, "x-ms-client-request-id", name)
	require.Equal(t, http.StatusOK, back.status, "other content under the same name is another patch: %s", back.body)
}

func TestAPartnerSplitsAndMergesAndACustomerIsToldToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	order, reservation := w.buy(w.buyer, 3)
	split := armreservations.SplitRequest{Properties: &armreservations.SplitProperties{
		ReservationID: new(reservationPath(order, reservation)), Quantities: []*int32{new(int32(1)), new(int32(2))},
	}}
	_, err := done(clients(t, w.buyer).NewReservationClient().BeginSplit(t.Context(), order, split, nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")

	agent := clients(t, w.admin).NewReservationClient()
	var parts armreservations.ReservationClientSplitResponse
	for range 2 {
		parts, err = done(agent.BeginSplit(t.Context(), order, split, nil))
		require.NoError(t, err, "sent again it gets the same answer")
		require.Len(t, parts.ReservationResponseArray, 3)
	}
	one, two, whole := parts.ReservationResponseArray[0], parts.ReservationResponseArray[1], parts.ReservationResponseArray[2]
	require.ElementsMatch(t, []int32{1, 2}, []int32{*one.Properties.Quantity, *two.Properties.Quantity})
	require.Equal(t, reservationPath(order, reservation), *one.Properties.SplitProperties.SplitSource)
	require.ElementsMatch(t, []string{*one.ID, *two.ID}, []string{*whole.Properties.SplitProperties.SplitDestinations[0], *whole.Properties.SplitProperties.SplitDestinations[1]})
	over, err := agent.Get(t.Context(), order, reservation, nil)
	require.NoError(t, err)
	require.Equal(t, armreservations.ProvisioningStateSplit, *over.Properties.ProvisioningState)
	require.Equal(t, "Cancelled", *over.Properties.DisplayProvisioningState)

	merge := armreservations.MergeRequest{Properties: &armreservations.MergeProperties{Sources: []*string{one.ID, two.ID}}}
	_, err = done(clients(t, w.buyer).NewReservationClient().BeginMerge(t.Context(), order, merge, nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	merged, err := done(agent.BeginMerge(t.Context(), order, merge, nil))
	require.NoError(t, err)
	require.Len(t, merged.ReservationResponseArray, 3)
	require.Equal(t, int32(3), *merged.ReservationResponseArray[0].Properties.Quantity)
	require.Len(t, merged.ReservationResponseArray[0].Properties.MergeProperties.MergeSources, 2)
	require.Equal(t, *merged.ReservationResponseArray[0].ID, *merged.ReservationResponseArray[1].Properties.MergeProperties.MergeDestination)

	wrong := split
	wrong.Properties = &armreservations.SplitProperties{ReservationID: merged.ReservationResponseArray[0].ID, Quantities: []*int32{new(int32(1)), new(int32(1))}}
	_, err = done(agent.BeginSplit(t.Context(), order, wrong, nil))
	refused(t, err, http.StatusBadRequest, "BadRequest")
	wrong.Properties.ReservationID, wrong.Properties.Quantities[1] = new(reservationPath(order, reservation)), new(int32(2))
	again := armreservations.SplitRequest{Properties: &armreservations.SplitProperties{ReservationID: wrong.Properties.ReservationID, Quantities: []*int32{new(int32(2)), new(int32(1))}}}
	_, err = done(agent.BeginSplit(t.Context(), order, again, nil))
	refused(t, err, http.StatusConflict, "OperationCannotBePerformedInCurrentState")

	got, err := clients(t, w.buyer).NewReservationOrderClient().Get(t.Context(), order, nil)
	require.NoError(t, err)
	require.Len(t, got.Properties.Reservations, 4)
}

func TestWhereADiscountCanApplyIsAnswered(t *testing.T) {
	t.Parallel()
	w, theirs := newWorld(t), newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	gone := domain.SubscriptionID{UUID: uuid.New()}
	w.must(w.admin, domain.RecordSubscription{CustomerID: w.customer, SubscriptionID: gone, Kind: domain.AzurePlan, Name: "Old"})
	w.must(w.admin, domain.ChangeSubscriptionStatus{CustomerID: w.customer, SubscriptionID: gone, Status: domain.Deleted})
	asked := []*string{
		new("/subscriptions/" + w.second.String()), new("/subscriptions/" + gone.String()), new("/subscriptions/" + theirs.subscription.String()),
		new("/subscriptions/" + w.second.String() + "/resourceGroups/web"),
	}
	for _, p := range []person{w.admin, w.buyer} {
		got, err := done(clients(t, p).NewReservationClient().BeginAvailableScopes(t.Context(), order, reservation,
			armreservations.AvailableScopeRequest{Properties: &armreservations.AvailableScopeRequestProperties{Scopes: asked}}, nil))
		require.NoError(t, err)
		for i, valid := range []bool{true, false, false, false} {
			require.Equal(t, *asked[i], *got.Properties.Scopes[i].Scope)
			require.Equal(t, valid, *got.Properties.Scopes[i].Valid, *asked[i])
		}
	}
}

func TestARenewalNamesItsOtherEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.must(w.admin, domain.ReportCustomerPurchase{
		CustomerID: w.customer, UserID: w.buyer.User, UserPrincipalName: w.buyer.UPN, PurchasedAt: time.Now().AddDate(-1, 0, 10),
		Wanted: domain.Wanted{
			SubscriptionID: w.subscription, Quantity: 1, Scope: domain.Scope{Type: domain.Shared},
			Offer: domain.Offer{SKU: "Standard_D2s_v5", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront},
		},
	})
	from := domain.CommandID{UUID: old.CommandID.UUID}
	renewed := w.must(w.admin, domain.RenewReservation{CustomerID: w.customer, ReservationID: from.Reservation(w.admin.Actor.Tenant, 0)})
	older, newer := from.Order(w.admin.Actor.Tenant).String(), renewed.CommandID.Order(w.admin.Actor.Tenant).String()
	first, second := reservationPath(older, from.Reservation(w.admin.Actor.Tenant, 0).String()), reservationPath(newer, renewed.CommandID.Reservation(w.admin.Actor.Tenant, 0).String())
	agent := clients(t, w.admin).NewReservationClient()
	got, err := agent.Get(t.Context(), older, from.Reservation(w.admin.Actor.Tenant, 0).String(), nil)
	require.NoError(t, err)
	require.Equal(t, second, *got.Properties.RenewDestination)
	require.Equal(t, "Renewed", *got.Properties.UserFriendlyRenewState)
	got, err = agent.Get(t.Context(), newer, renewed.CommandID.Reservation(w.admin.Actor.Tenant, 0).String(), nil)
	require.NoError(t, err)
	require.Equal(t, first, *got.Properties.RenewSource)
}
