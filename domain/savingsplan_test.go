package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

// readyForPlans is a book in which every condition of S7 holds for savings plans, and none for reservations.
func readyForPlans(t *testing.T) *domaintest.Book {
	t.Helper()
	b := domaintest.Subscribed(t)
	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan), domaintest.Assign(domaintest.Buyer, domain.Owner))
	return b
}

func TestS7ASavingsPlanNeedsThePermissionForSavingsPlans(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t) // the permission for reservations alone
	b.Refused(domaintest.Buyer, domaintest.SavingsPlan("1.50"), domain.CodePermissionOff, "S7")
	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan), domaintest.Revoke(domain.AzureReservedInstances))
	b.Accepted(domaintest.Buyer, domaintest.SavingsPlan("1.50"))
	b.Refused(domaintest.Buyer, domaintest.Purchase(1), domain.CodePermissionOff, "S7")
	b.Given(domaintest.Admin, domaintest.Revoke(domain.AzureSavingsPlan))
	b.Refused(domaintest.Buyer, domaintest.SavingsPlan("1.50"), domain.CodePermissionOff, "S7")
}

func TestS6S7EveryRuleAgainstASavingsPlanIsNamed(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Suspended})
	refusal := b.Refused(domaintest.Buyer, domaintest.SavingsPlan("1.50"), domain.CodePermissionOff, "S7")
	require.Equal(t, []domain.Code{domain.CodeBillingInactive, domain.CodeOwnerMissing}, []domain.Code{refusal.Also[0].Code, refusal.Also[1].Code})
	require.Contains(t, refusal.Detail, "AzureSavingsPlan")
	require.IsType(t, domain.AttemptDenied{}, b.Facts[len(b.Facts)-1].Event, "auditors see it (L7)")
}

func TestS8ACustomersSavingsPlanIsBilledToThePartner(t *testing.T) {
	t.Parallel()
	b := readyForPlans(t)
	plan := domaintest.One[domain.CustomerPurchasedSavingsPlan](t, b.Accepted(domaintest.Buyer, domaintest.SavingsPlan("1.50")))
	require.Equal(t, domaintest.Partner, plan.BilledTo)
	require.Equal(t, domaintest.Buyer.User, plan.UserID)
	require.True(t, plan.Authorised)
	require.False(t, plan.Reported)
	require.Equal(t, domaintest.Start, plan.StartsAt)
	require.Equal(t, domaintest.Start.AddDate(1, 0, 0), plan.ExpiresAt)
	require.Equal(t, "Savings plan", plan.DisplayName)
}

func TestTheTotalOfASavingsPlanIsItsCommitmentForEveryHourOfTheTerm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at         time.Time
		term       domain.Term
		commitment string
		total      string
	}{
		{time.Date(2026, time.March, 2, 9, 30, 0, 5, time.UTC), domain.OneYear, "1.50", "13140.00 USD"},            // 365 days
		{time.Date(2027, time.March, 2, 9, 30, 0, 0, time.UTC), domain.OneYear, "1.50", "13176.00 USD"},            // 366, over 29 February 2028
		{time.Date(2028, time.February, 29, 0, 0, 0, 0, time.UTC), domain.OneYear, "1.00", "8784.00 USD"},          // to 1 March 2029
		{time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC), domain.ThreeYears, "0.01", "263.04 USD"},            // 1096 days
		{time.Date(2026, time.March, 2, 23, 59, 59, 0, time.UTC), domain.FiveYears, "2.00", "87648.00 USD"},        // 1826 days
		{time.Date(2026, time.March, 2, 9, 0, 0, 0, time.FixedZone("", 3600)), domain.OneYear, "1", "8760.00 USD"}, // by UTC
	} {
		b := readyForPlans(t)
		b.Now = c.at
		wanted := domaintest.SavingsPlan(c.commitment)
		wanted.Term = c.term
		plan := domaintest.One[domain.PartnerPurchasedSavingsPlan](t, b.Accepted(domaintest.Sales, wanted))
		require.Equal(t, c.total, plan.Total.String(), "%s from %s", c.term, c.at)
		require.Equal(t, wanted.Commitment, plan.Commitment)
	}
}

func TestL4ASavingsPlanWhoseTotalDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	b := readyForPlans(t)
	b.Refused(domaintest.Buyer, domaintest.SavingsPlan("10528963512391.30"), domain.CodeAmountTooLarge, "L4")
	b.Accepted(domaintest.Buyer, domaintest.SavingsPlan("10528963512391.29")) // × 8760 hours is just below 2⁶³ cents
}

func TestL4ACommitmentIsInTheCurrencyOfThePriceListOrElseThePartners(t *testing.T) {
	t.Parallel()
	euros, err := domain.ParseMoney("1.50", "EUR")
	require.NoError(t, err)
	inEuros := domaintest.SavingsPlan("1.50")
	inEuros.Commitment = euros
	b := domaintest.Registered(t)
	b.Given(domaintest.Admin, domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Kind: domain.AzurePlan, Name: "Prod"})
	b.Refused(domaintest.Admin, inEuros, domain.CodeCurrencyMismatch, "L4")
	b.Accepted(domaintest.Admin, domaintest.SavingsPlan("1.50"))
	b.Given(domaintest.Admin, domain.SetReservationPrice{CustomerID: domaintest.Customer, Offer: domaintest.Offer, CustomerPrice: euros, WebDirectPrice: euros})
	b.Accepted(domaintest.Admin, inEuros)
	b.Refused(domaintest.Admin, domaintest.SavingsPlan("1.50"), domain.CodeCurrencyMismatch, "L4")
}

func TestS15AgentsBuySavingsPlansOnBehalfWithoutAnyPermission(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	for _, actor := range []domain.Actor{domaintest.Admin, domaintest.Sales} {
		plan := domaintest.One[domain.PartnerPurchasedSavingsPlan](t, b.Accepted(actor, domaintest.SavingsPlan("1.50")))
		require.Equal(t, actor.User, plan.UserID)
		require.Equal(t, domaintest.Partner, plan.BilledTo)
	}
	b.Refused(domaintest.Helpdesk, domaintest.SavingsPlan("1.50"), domain.CodeRoleNotAllowed, "S15")
	b.Refused(domaintest.Helpdesk, domaintest.SavingsPlanReport("1.50"), domain.CodeRoleNotAllowed, "S15")
	b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Disabled})
	b.Refused(domaintest.Sales, domaintest.SavingsPlan("1.50"), domain.CodeSubscriptionInactive, "S15")
}

func TestAReportedSavingsPlanIsRecordedEvenWhenItBrokeARule(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	report := domaintest.SavingsPlanReport("1.50")
	report.PurchasedAt = domaintest.Start.Add(-time.Hour)
	broke := domaintest.One[domain.CustomerPurchasedSavingsPlan](t, b.Accepted(domaintest.Admin, report))
	require.True(t, broke.Reported)
	require.False(t, broke.Authorised)
	require.Equal(t, []string{"S7", "S6"}, []string{broke.Broke[0].Rule, broke.Broke[1].Rule})
	require.Equal(t, report.PurchasedAt, broke.StartsAt)

	b.Given(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan), domaintest.Assign(domaintest.Buyer, domain.Owner))
	fine := domaintest.One[domain.CustomerPurchasedSavingsPlan](t, b.Accepted(domaintest.Sales, report))
	require.True(t, fine.Authorised)
	require.Empty(t, fine.Broke)

	report.PurchasedAt = b.Now.Add(time.Second)
	b.Refused(domaintest.Admin, report, domain.CodePurchasedInFuture, "L6")
	report.PurchasedAt, report.SubscriptionID = domaintest.Start, domain.SubscriptionID{UUID: domaintest.ID("foreign")}
	b.Refused(domaintest.Admin, report, domain.CodeNotFound, "L8")
}

func TestSavingsPlansAndReservationsShareTheirOrderIDs(t *testing.T) {
	t.Parallel()
	b := readyForPlans(t)
	plan, purchase := domaintest.SavingsPlan("1.50"), domaintest.Purchase(1)
	plan.OrderID = domain.OrderID{UUID: domaintest.ID("order")}
	purchase.OrderID = plan.OrderID
	b.Accepted(domaintest.Buyer, plan)
	b.Refused(domaintest.Buyer, plan, domain.CodeOrderExists, "")
	b.Refused(domaintest.Admin, purchase, domain.CodeOrderExists, "")
}

func TestS9NothingChangesOrEndsASavingsPlan(t *testing.T) {
	t.Parallel()
	b := readyForPlans(t)
	plan := domaintest.One[domain.CustomerPurchasedSavingsPlan](t, b.Accepted(domaintest.Buyer, domaintest.SavingsPlan("1.50")))
	id := domain.ReservationID{UUID: plan.OrderID.UUID}
	for _, c := range partnerOnly(id) {
		refusal := b.Refused(domaintest.Admin, c, domain.CodeNotFound, "L8")
		require.Contains(t, refusal.Detail, "savings plan")
		b.Refused(domaintest.Buyer, c, domain.CodePartnerOnly, "S9")
	}
}

func TestASavingsPlanKeepsItsScope(t *testing.T) {
	t.Parallel()
	b := readyForPlans(t)
	wanted := domaintest.SavingsPlan("1.50")
	wanted.Scope = domain.Scope{Type: domain.Single}
	plan := domaintest.One[domain.CustomerPurchasedSavingsPlan](t, b.Accepted(domaintest.Buyer, wanted))
	require.Equal(t, domaintest.Subscription, plan.Scope.SubscriptionID, "the billing subscription when none is named")
	wanted.Scope.SubscriptionID = domain.SubscriptionID{UUID: domaintest.ID("foreign")}
	b.Refused(domaintest.Buyer, wanted, domain.CodeNotFound, "L8")
}
