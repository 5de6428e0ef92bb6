package domain_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func policyOf(t *testing.T, b *domaintest.Book) domain.SelfServePolicy {
	t.Helper()
	p, err := b.SelfServePolicy(domaintest.Partner, domaintest.Customer)
	require.NoError(t, err)
	return p
}

func set(expect domain.Expectation, tag uuid.UUID, products ...domain.Product) domain.SetPurchasePermissions {
	return domain.SetPurchasePermissions{CustomerID: domaintest.Customer, Products: products, Expect: expect, ETag: tag}
}

func TestAPolicyIsAllPurchasePermissionsOfACustomerTogether(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	require.Equal(t, domain.SelfServePolicy{Position: uint64(len(b.Facts))}, policyOf(t, b), "off by default (S1)")

	both := []domain.Product{domain.AzureReservedInstances, domain.AzureSavingsPlan}
	require.Equal(t, []domain.Event{
		domain.PurchasePermissionGranted{Product: domain.AzureReservedInstances}, domain.PurchasePermissionGranted{Product: domain.AzureSavingsPlan},
	}, b.Accepted(domaintest.Admin, set(domain.ExpectNone, uuid.Nil, domain.AzureSavingsPlan, domain.AzureReservedInstances)))
	require.Equal(t, both, policyOf(t, b).Products)

	require.Equal(t, []domain.Event{domain.PurchasePermissionRevoked{Product: domain.AzureReservedInstances}},
		b.Accepted(domaintest.Admin, set(domain.ExpectSome, uuid.Nil, domain.AzureSavingsPlan)), "only the difference is an event")
	require.Empty(t, b.Accepted(domaintest.Admin, set("", uuid.Nil, domain.AzureSavingsPlan)), "already so (L2)")
	b.Given(domaintest.Admin, set(domain.ExpectSome, uuid.Nil))
	require.Empty(t, policyOf(t, b).Products)
}

func TestAPolicyIsChangedAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Suspended})
	before := policyOf(t, b)
	b.Refused(domaintest.Admin, set("", uuid.Nil, domain.AzureSavingsPlan), domain.CodeNoEligible, "S5")
	require.Equal(t, before, policyOf(t, b), "the reservation permission that was to go is still there")
}

func TestAPolicyIsRefusedWhenItIsNotAsExpected(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	seen := policyOf(t, b)
	b.Refused(domaintest.Admin, set(domain.ExpectNone, uuid.Nil, domain.AzureReservedInstances), domain.CodePolicyExists, "")
	b.Given(domaintest.Admin, set(domain.ExpectSome, seen.ETag, domain.AzureReservedInstances, domain.AzureSavingsPlan))
	require.NotEqual(t, seen.ETag, policyOf(t, b).ETag, "a change gives a new tag")
	b.Refused(domaintest.Admin, set("", seen.ETag), domain.CodePolicyChanged, "")

	seen = policyOf(t, b)
	b.Given(domaintest.Admin, domaintest.Price(domaintest.Offer, "1.00", "2.00"))
	require.Equal(t, seen.ETag, policyOf(t, b).ETag, "nothing but a permission changes the tag")
	b.Given(domaintest.Admin, domaintest.Revoke(domain.AzureSavingsPlan))
	require.NotEqual(t, seen.ETag, policyOf(t, b).ETag, "a single permission is part of the policy")

	b.Given(domaintest.Admin, set(domain.ExpectSome, uuid.Nil))
	b.Refused(domaintest.Admin, set(domain.ExpectSome, uuid.Nil), domain.CodePolicyMissing, "")
}

func TestS2OnlyAnAdminAgentChangesAPolicy(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	for _, actor := range []domain.Actor{domaintest.Sales, domaintest.Helpdesk, domaintest.Auditor, domaintest.Buyer} {
		b.Refused(actor, set("", uuid.Nil), domain.CodeRoleNotAllowed, "S2")
	}
	b.Refused(domaintest.App, set("", uuid.Nil), domain.CodeUserRequired, "S2")
	_, err := b.SelfServePolicy(domaintest.Rival, domaintest.Customer)
	require.ErrorIs(t, err, &domain.Error{Code: domain.CodeNotFound}, "another partner's customer looks like an unknown one (L8)")
}

func TestAPolicyNamesEveryFieldAtFault(t *testing.T) {
	t.Parallel()
	faults := domain.Faults(domain.SetPurchasePermissions{Products: []domain.Product{domain.AzureSavingsPlan, "Oil", domain.AzureSavingsPlan}, Expect: "Any"})
	fields := make([]string, len(faults))
	for i, f := range faults {
		fields[i] = f.Field
	}
	require.Equal(t, []string{"customerId", "products[1]", "products[2]", "expect"}, fields)
}
