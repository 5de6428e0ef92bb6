package domain_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func verdict(t *testing.T, b *domaintest.Book, p domain.Product) domain.Verdict {
	t.Helper()
	v, err := b.Check(domaintest.Partner, domaintest.Customer, p, domaintest.Subscription, domaintest.Buyer.User)
	require.NoError(t, err)
	return v
}

func TestS1EveryPermissionIsOffUntilItIsGranted(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	b.Given(domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Owner))
	for _, p := range domain.Products() {
		v := verdict(t, b, p)
		require.False(t, v.Allowed)
		require.Equal(t, domain.CodePermissionOff, v.Reasons[0].Code)
		require.Len(t, v.Reasons, 1)
	}
}

func TestS2OnlyAnAdminAgentTurnsAPermissionOnOrOff(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	for _, actor := range []domain.Actor{domaintest.Sales, domaintest.Helpdesk, domaintest.Auditor, domaintest.Buyer} {
		b.Refused(actor, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
		b.Refused(actor, domaintest.Revoke(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	}
	b.Refused(domaintest.App, domaintest.Grant(domain.AzureReservedInstances), domain.CodeUserRequired, "S2")
	granted := domaintest.One[domain.PurchasePermissionGranted](t, b.Accepted(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances)))
	require.Equal(t, domain.AzureReservedInstances, granted.Product)
	revoked := domaintest.One[domain.PurchasePermissionRevoked](t, b.Accepted(domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances)))
	require.Equal(t, domain.AzureReservedInstances, revoked.Product)
}

func TestS3AnyCustomerIsChosenByItself(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	other := domain.TenantID{UUID: domaintest.ID("northwind")}
	second := domain.SubscriptionID{UUID: domaintest.ID("northwind prod")}
	b.Given(domaintest.Admin,
		domain.RegisterCustomer{CustomerID: other, CompanyName: "Northwind", Domain: "northwind.example"},
		domain.RecordSubscription{CustomerID: other, SubscriptionID: second, Kind: domain.AzureGlobal, Name: "Main"},
	)
	v, err := b.Check(domaintest.Partner, other, domain.AzureReservedInstances, second, domaintest.Buyer.User)
	require.NoError(t, err)
	require.Equal(t, domain.CodePermissionOff, v.Reasons[0].Code, "one customer's permission is nobody else's")
	b.Given(domaintest.Admin, domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: other, Product: domain.AzureReservedInstances}})
	require.True(t, verdict(t, b, domain.AzureReservedInstances).Allowed)
}

func TestS5AGrantNeedsAnActiveEligibleSubscription(t *testing.T) {
	t.Parallel()
	b := domaintest.Registered(t)
	refusal := b.Refused(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances), domain.CodeNoEligible, "S5")
	require.Contains(t, refusal.Detail, "Buy one")

	b.Given(domaintest.Admin, domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Kind: domain.AzureGlobal, Name: "Main"})
	status := domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription}
	for _, inactive := range []domain.SubscriptionStatus{domain.Suspended, domain.Disabled} {
		status.Status = inactive
		b.Given(domaintest.Admin, status)
		b.Refused(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan), domain.CodeNoEligible, "S5")
	}
	status.Status = domain.Active
	b.Given(domaintest.Admin, status, domaintest.Grant(domain.AzureSavingsPlan))
}

func TestSavingsPlanAndReservationPermissionsAreSeparate(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	require.True(t, verdict(t, b, domain.AzureReservedInstances).Allowed)
	require.False(t, verdict(t, b, domain.AzureSavingsPlan).Allowed)
	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan), domaintest.Revoke(domain.AzureReservedInstances))
	require.False(t, verdict(t, b, domain.AzureReservedInstances).Allowed)
	require.True(t, verdict(t, b, domain.AzureSavingsPlan).Allowed)
}

func TestL2WhatIsAlreadySoIsSuccessWithoutAnEvent(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	off := domaintest.Revoke(domain.AzureSavingsPlan)
	for _, c := range []domain.Command{
		domaintest.Grant(domain.AzureReservedInstances), off,
		domaintest.Assign(domaintest.Buyer, domain.Owner), domaintest.Remove(domaintest.Buyer, domain.Reader),
		domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"},
		domain.RegisterCustomer{CustomerID: domaintest.Customer, CompanyName: "Contoso", Domain: "contoso.example"},
		domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Kind: domain.AzurePlan, Name: "Prod"},
		domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Active},
		domaintest.Price(domaintest.Offer, "500.00", "519.00"),
	} {
		require.Empty(t, b.Accepted(domaintest.Admin, c), c.CommandName())
	}
}

func TestAnExpectedPositionThatIsNoLongerTheNewestIsRefused(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	seen := uint64(len(b.Facts))
	request := func(name string, expected uint64) domain.Request {
		r, err := domain.NewRequest(domain.CommandID{UUID: domaintest.ID(name)}, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
		require.NoError(t, err)
		return r.IfUnchangedSince(expected)
	}
	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan))
	_, err := b.SendRequest(request("stale", seen))
	require.ErrorIs(t, err, &domain.Error{Code: domain.CodeChanged})
	events, err := b.SendRequest(request("fresh", seen+1))
	require.NoError(t, err)
	require.Len(t, events, 1)
}

func TestL8AnotherPartnersCustomerLooksExactlyLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	nobody := domain.TenantID{UUID: uuid.MustParse("00000000-0000-4000-8000-00000000dead")}
	for _, c := range everyCommandFor(domaintest.Customer) {
		foreign := b.Refused(domaintest.Stranger, c, domain.CodeNotFound, "L8")
		require.NotContains(t, foreign.Detail, "Contoso")
	}
	for _, c := range everyCommandFor(nobody) {
		b.Refused(domaintest.Stranger, c, domain.CodeNotFound, "L8")
	}
	_, foreign := b.Check(domaintest.Rival, domaintest.Customer, domain.AzureReservedInstances, domaintest.Subscription, domaintest.Buyer.User)
	_, missing := b.Check(domaintest.Rival, nobody, domain.AzureReservedInstances, domaintest.Subscription, domaintest.Buyer.User)
	require.ErrorIs(t, foreign, &domain.Error{Code: domain.CodeNotFound})
	require.ErrorIs(t, missing, &domain.Error{Code: domain.CodeNotFound})
}

// everyCommandFor lists every command about a customer that exists already.
func everyCommandFor(id domain.TenantID) []domain.Command {
	reservation := domain.ReservationID{UUID: domaintest.ID("reservation")}
	on := true
	role := domain.RoleAssignment{CustomerID: id, SubscriptionID: domaintest.Subscription, UserID: domaintest.Buyer.User, UserPrincipalName: "yijun@contoso.example", Role: domain.Owner}
	change := domain.PermissionChange{CustomerID: id, Product: domain.AzureReservedInstances}
	return []domain.Command{
		domain.RecordSubscription{CustomerID: id, SubscriptionID: domain.SubscriptionID{UUID: domaintest.ID("another")}, Kind: domain.AzurePlan, Name: "Another"},
		domain.ChangeSubscriptionStatus{CustomerID: id, SubscriptionID: domaintest.Subscription, Status: domain.Suspended},
		domain.AssignSubscriptionRole{RoleAssignment: role},
		domain.RemoveSubscriptionRole{RoleAssignment: role},
		domain.SetReservationPrice{CustomerID: id, Offer: domaintest.Offer, CustomerPrice: domaintest.USD("1.00"), WebDirectPrice: domaintest.USD("1.00")},
		domain.GrantPurchasePermission{PermissionChange: change},
		domain.RevokePurchasePermission{PermissionChange: change},
		domain.SetPurchasePermissions{CustomerID: id},
		domain.PurchaseReservation{CustomerID: id, Wanted: domaintest.Want(domaintest.Offer, 1)},
		domain.ReportCustomerPurchase{CustomerID: id, Wanted: domaintest.Want(domaintest.Offer, 1), UserID: domaintest.Buyer.User, UserPrincipalName: "yijun@contoso.example", PurchasedAt: domaintest.Start},
		domain.PurchaseSavingsPlan{CustomerID: id, WantedSavingsPlan: domaintest.SavingsPlan("1.50").WantedSavingsPlan},
		domain.ReportCustomerSavingsPlan{CustomerID: id, WantedSavingsPlan: domaintest.SavingsPlan("1.50").WantedSavingsPlan, UserID: domaintest.Buyer.User, UserPrincipalName: "yijun@contoso.example", PurchasedAt: domaintest.Start},
		domain.ExchangeReservation{CustomerID: id, ReservationID: reservation, Quantity: 1, To: []domain.Wanted{domaintest.Want(domaintest.Offer, 1)}},
		domain.ReturnReservation{CustomerID: id, ReservationID: reservation, Quantity: 1},
		domain.RenewReservation{CustomerID: id, ReservationID: reservation, Enabled: &on},
		domain.ChangeReservationScope{CustomerID: id, ReservationID: reservation, Scope: domain.Scope{Type: domain.Shared}},
		domain.RenameReservation{CustomerID: id, ReservationID: reservation, DisplayName: "Web servers"},
		domain.SplitReservation{CustomerID: id, ReservationID: reservation, Quantities: []int64{1, 1}},
		domain.MergeReservations{CustomerID: id, ReservationIDs: []domain.ReservationID{reservation, {UUID: domaintest.ID("other reservation")}}},
	}
}
