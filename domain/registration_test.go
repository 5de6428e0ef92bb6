package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func TestNobodyActsBeforeTheirTenantIsRegistered(t *testing.T) {
	t.Parallel()
	b := domaintest.NewBook(t)
	b.Refused(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances), domain.CodeTenantNotRegistered, "L8")
	b.Refused(domaintest.Buyer, domaintest.Purchase(1), domain.CodeTenantNotRegistered, "L8")
	b.Refused(domaintest.Sales, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"}, domain.CodeRoleNotAllowed, "")
	require.Empty(t, b.Facts, "attempts of unregistered tenants leave no trace")
}

func TestACustomerBelongsToExactlyOnePartner(t *testing.T) {
	t.Parallel()
	b := domaintest.Registered(t)
	take := domain.RegisterCustomer{CustomerID: domaintest.Customer, CompanyName: "Contoso", Domain: "contoso.example"}
	b.Refused(domaintest.Stranger, take, domain.CodeCustomerDiffers, "")
	take.CustomerID = domaintest.Rival
	b.Refused(domaintest.Admin, take, domain.CodeCustomerDiffers, "")
	asPartner := domaintest.Admin
	asPartner.Tenant = domaintest.Customer
	b.Refused(asPartner, domain.RegisterPartner{Name: "Contoso", Country: "TW", Currency: "USD"}, domain.CodePartnerDiffers, "")
}

func TestRegisteringAgainWithOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	b.Refused(domaintest.Admin, domain.RegisterPartner{Name: "Fabrikam Ltd", Country: "TW", Currency: "USD"}, domain.CodePartnerDiffers, "")
	b.Refused(domaintest.Admin, domain.RegisterCustomer{CustomerID: domaintest.Customer, CompanyName: "Contoso Ltd", Domain: "contoso.example"}, domain.CodeCustomerDiffers, "")
	b.Refused(domaintest.Admin, domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Kind: domain.AzureGlobal, Name: "Prod"}, domain.CodeSubscriptionDiffers, "")
}

func TestASubscriptionBelongsToOneCustomer(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	other := domain.TenantID{UUID: domaintest.ID("northwind")}
	b.Given(domaintest.Sales, domain.RegisterCustomer{CustomerID: other, CompanyName: "Northwind", Domain: "northwind.example"})
	b.Refused(domaintest.Sales, domain.RecordSubscription{CustomerID: other, SubscriptionID: domaintest.Subscription, Kind: domain.AzurePlan, Name: "Prod"}, domain.CodeSubscriptionDiffers, "")
	b.Refused(domaintest.Helpdesk, domain.RecordSubscription{CustomerID: other, SubscriptionID: domaintest.Subscription, Kind: domain.AzurePlan, Name: "Prod"}, domain.CodeRoleNotAllowed, "")
}

func TestDeletedIsFinal(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	change := domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Deleted}
	e := domaintest.One[domain.SubscriptionStatusChanged](t, b.Accepted(domaintest.Admin, change))
	require.Equal(t, domain.Active, e.Before)
	change.Status = domain.Active
	b.Refused(domaintest.Admin, change, domain.CodeSubscriptionDeleted, "")
	b.Refused(domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Owner), domain.CodeSubscriptionDeleted, "")
	b.Refused(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances), domain.CodeNoEligible, "S5")
}

func TestOnlyAnAdminAgentAssignsRoles(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	b.Refused(domaintest.Sales, domaintest.Assign(domaintest.Buyer, domain.Owner), domain.CodeRoleNotAllowed, "")
	e := domaintest.One[domain.SubscriptionRoleAssigned](t, b.Accepted(domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Owner)))
	require.Equal(t, domain.Owner, e.Role)
	gone := domaintest.One[domain.SubscriptionRoleRemoved](t, b.Accepted(domaintest.Admin, domaintest.Remove(domaintest.Buyer, domain.Owner)))
	require.Equal(t, domaintest.Buyer.User, gone.UserID)
}

func TestAUserIsOwnerWhileAnySubscriptionIsHeld(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	second := domain.SubscriptionID{UUID: domaintest.ID("test")}
	b.Given(domaintest.Admin, domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: second, Kind: domain.AzurePlan, Name: "Test"})
	onSecond := domaintest.Assign(domaintest.Buyer, domain.Owner).RoleAssignment
	onSecond.SubscriptionID = second
	is := func() bool { return b.IsOwner(domaintest.Customer, domaintest.Buyer.User) }
	b.Given(domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Reader))
	require.False(t, is())
	b.Given(domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Owner), domain.AssignSubscriptionRole{RoleAssignment: onSecond})
	b.Given(domaintest.Admin, domaintest.Remove(domaintest.Buyer, domain.Owner))
	require.True(t, is())
	b.Given(domaintest.Admin, domain.RemoveSubscriptionRole{RoleAssignment: onSecond})
	require.False(t, is())
}
