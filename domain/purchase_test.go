package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func TestS6ABuyerWithoutOwnerIsRefusedAndToldHowToFixIt(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances))
	for _, role := range []domain.SubscriptionRole{domain.Contributor, domain.Reader, domain.ReservationPurchaser} {
		b.Given(domaintest.Admin, domaintest.Assign(domaintest.Buyer, role))
		refusal := b.Refused(domaintest.Buyer, domaintest.Purchase(1), domain.CodeOwnerMissing, "S6")
		require.Contains(t, refusal.Detail, "AssignSubscriptionRole")
		require.Contains(t, refusal.Detail, "Fabrikam")
	}
	b.Given(domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Owner))
	b.Accepted(domaintest.Buyer, domaintest.Purchase(1))
	b.Given(domaintest.Admin, domaintest.Remove(domaintest.Buyer, domain.Owner))
	b.Refused(domaintest.Buyer, domaintest.Purchase(1), domain.CodeOwnerMissing, "S6")
}

func TestS6OwnerOfAnotherSubscriptionIsNotEnough(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	second := domain.SubscriptionID{UUID: domaintest.ID("test")}
	b.Given(domaintest.Admin, domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: second, Kind: domain.AzurePlan, Name: "Test"})
	purchase := domaintest.Purchase(1)
	purchase.SubscriptionID = second
	b.Refused(domaintest.Buyer, purchase, domain.CodeOwnerMissing, "S6")
}

func TestS7EveryCombinationOfConditionsIsJudged(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		permission, active, owner := i&1 != 0, i&2 != 0, i&4 != 0
		b := domaintest.Subscribed(t)
		b.Given(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances), domaintest.Assign(domaintest.Buyer, domain.Owner))
		var want []domain.Code
		if !permission {
			b.Given(domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
			want = append(want, domain.CodePermissionOff)
		}
		if !active {
			b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Suspended})
			want = append(want, domain.CodeBillingInactive)
		}
		if !owner {
			b.Given(domaintest.Admin, domaintest.Remove(domaintest.Buyer, domain.Owner))
			want = append(want, domain.CodeOwnerMissing)
		}
		v := verdict(t, b, domain.AzureReservedInstances)
		var got []domain.Code
		for _, r := range v.Reasons {
			got = append(got, r.Code)
		}
		require.Equal(t, want, got)
		require.Equal(t, len(want) == 0, v.Allowed)
		require.Equal(t, uint64(len(b.Facts)), v.Position)

		_, err := b.Send(domaintest.Buyer, domaintest.Purchase(1))
		require.Equal(t, v.Allowed, err == nil, "the check says what the purchase does")
	}
}

func TestS7ASubscriptionOfAnotherCustomerCannotBeBilled(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	purchase := domaintest.Purchase(1)
	purchase.SubscriptionID = domain.SubscriptionID{UUID: domaintest.ID("somebody else's")}
	b.Refused(domaintest.Buyer, purchase, domain.CodeBillingInactive, "S7")
}

func TestS8S13ACustomersPurchaseIsBilledToThePartnerAtThePartnersPrice(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, domaintest.Purchase(3)))
	require.Equal(t, domaintest.Partner, bought.BilledTo)
	require.Equal(t, domaintest.Buyer.User, bought.UserID)
	require.Equal(t, "500.00 USD", bought.UnitPrice.String())
	require.Equal(t, "1500.00 USD", bought.Total.String())
	require.Equal(t, "519.00 USD", bought.WebDirectPrice.String())
	require.True(t, bought.Authorised)
	require.False(t, bought.Reported)
	require.Equal(t, domaintest.Start, bought.StartsAt)
	require.Equal(t, domaintest.Start.AddDate(1, 0, 0), bought.ExpiresAt)
}

func TestS13WithoutAPriceNothingIsBought(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	purchase := domaintest.Purchase(1)
	purchase.Region = "westeurope"
	b.Refused(domaintest.Buyer, purchase, domain.CodePriceNotSet, "S13")
	b.Refused(domaintest.Admin, purchase, domain.CodePriceNotSet, "S13")
}

func TestS13OnlyTheNewestPriceCounts(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Sales, domaintest.Price(domaintest.Offer, "480.00", "519.00"))
	bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, domaintest.Purchase(1)))
	require.Equal(t, "480.00 USD", bought.UnitPrice.String())
	b.Refused(domaintest.Helpdesk, domaintest.Price(domaintest.Offer, "1.00", "519.00"), domain.CodeRoleNotAllowed, "S13")
}

func TestS15AgentsBuyOnBehalfWithoutAnyPermission(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	for _, actor := range []domain.Actor{domaintest.Admin, domaintest.Sales} {
		bought := domaintest.One[domain.PartnerPurchasedReservation](t, b.Accepted(actor, domaintest.Purchase(1)))
		require.Equal(t, actor.User, bought.UserID)
		require.Equal(t, domaintest.Partner, bought.BilledTo)
	}
	b.Refused(domaintest.Helpdesk, domaintest.Purchase(1), domain.CodeRoleNotAllowed, "S15")
	b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Disabled})
	b.Refused(domaintest.Sales, domaintest.Purchase(1), domain.CodeSubscriptionInactive, "S15")
}

func TestS16TurningOffStopsLaterPurchasesOnly(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, domaintest.Purchase(2)))
	b.Given(domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
	b.Refused(domaintest.Buyer, domaintest.Purchase(1), domain.CodePermissionOff, "S7")
	b.Accepted(domaintest.Admin, domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Quantities: []int64{1, 1}})
}

func TestAReportedPurchaseIsRecordedEvenWhenItBrokeARule(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	report := domain.ReportCustomerPurchase{
		CustomerID: domaintest.Customer, Wanted: domaintest.Want(domaintest.Offer, 1),
		UserID: domaintest.Buyer.User, UserPrincipalName: domaintest.Buyer.UPN, PurchasedAt: domaintest.Start.Add(-time.Hour),
	}
	broke := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Admin, report))
	require.True(t, broke.Reported)
	require.False(t, broke.Authorised)
	require.Equal(t, "S7", broke.Broke[0].Rule)
	require.Equal(t, "S6", broke.Broke[1].Rule)
	require.Equal(t, report.PurchasedAt, broke.StartsAt)

	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances), domaintest.Assign(domaintest.Buyer, domain.Owner))
	fine := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Sales, report))
	require.True(t, fine.Authorised)
	require.Empty(t, fine.Broke)

	report.Region = "westeurope"
	unpriced := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Sales, report))
	require.True(t, unpriced.UnitPrice.IsZero())
	b.Refused(domaintest.Admin, domain.ReturnReservation{CustomerID: domaintest.Customer, ReservationID: unpriced.ReservationID, Quantity: 1}, domain.CodePriceNotSet, "S13")

	b.Refused(domaintest.Helpdesk, report, domain.CodeRoleNotAllowed, "S15")
	report.PurchasedAt = b.Now.Add(time.Second)
	b.Refused(domaintest.Admin, report, domain.CodePurchasedInFuture, "L6")
}

func TestAnOrderIDIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	purchase := domaintest.Purchase(1)
	purchase.OrderID = domain.OrderID{UUID: domaintest.ID("order")}
	first := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, purchase))
	require.Equal(t, purchase.OrderID, first.OrderID)
	b.Refused(domaintest.Buyer, purchase, domain.CodeOrderExists, "")
}

func TestL8AnOrderIDTakenInAnotherPartnersBookIsFree(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	purchase := domaintest.Purchase(1)
	purchase.OrderID = domain.OrderID{UUID: domaintest.ID("order")}
	b.Given(domaintest.Buyer, purchase)
	customer := domain.TenantID{UUID: domaintest.ID("fourth coffee")}
	subscription := domain.SubscriptionID{UUID: domaintest.ID("fourth coffee prod")}
	price := domaintest.Price(domaintest.Offer, "1.00", "1.00")
	price.CustomerID = customer
	b.Given(domaintest.Stranger,
		domain.RegisterCustomer{CustomerID: customer, CompanyName: "Fourth Coffee", Domain: "coffee.example"},
		domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Prod"},
		price,
	)
	purchase.CustomerID, purchase.SubscriptionID = customer, subscription
	b.Accepted(domaintest.Stranger, purchase)
}

func TestASingleScopeIsOneOfTheCustomersSubscriptions(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	purchase := domaintest.Purchase(1)
	purchase.Scope = domain.Scope{Type: domain.Single}
	bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, purchase))
	require.Equal(t, domaintest.Subscription, bought.Scope.SubscriptionID, "the billing subscription when none is named")
	purchase.Scope.SubscriptionID = domain.SubscriptionID{UUID: domaintest.ID("foreign")}
	b.Refused(domaintest.Buyer, purchase, domain.CodeNotFound, "L8")
}

func TestL4ATotalThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Admin, domaintest.Price(domaintest.Offer, "92233720368547758.07", "1.00"))
	b.Refused(domaintest.Buyer, domaintest.Purchase(2), domain.CodeAmountTooLarge, "L4")
}

func TestL4OneCurrencyPerPriceList(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	euros, err := domain.ParseMoney("1.00", "EUR")
	require.NoError(t, err)
	b.Refused(domaintest.Admin, domain.SetReservationPrice{CustomerID: domaintest.Customer, Offer: domaintest.Offer, CustomerPrice: euros, WebDirectPrice: euros}, domain.CodeCurrencyMismatch, "L4")
}

func TestACustomerUserActsForItsOwnTenantOnly(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	outsider := domaintest.Buyer
	outsider.Tenant = domain.TenantID{UUID: domaintest.ID("northwind")}
	b.Refused(outsider, domaintest.Purchase(1), domain.CodeTenantNotRegistered, "L8")
	b.Given(domaintest.Admin, domain.RegisterCustomer{CustomerID: outsider.Tenant, CompanyName: "Northwind", Domain: "northwind.example"})
	b.Refused(outsider, domaintest.Purchase(1), domain.CodeNotFound, "L8")
}
