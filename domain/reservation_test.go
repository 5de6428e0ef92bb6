package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func returned(id domain.ReservationID, quantity int64) domain.ReturnReservation {
	return domain.ReturnReservation{CustomerID: domaintest.Customer, ReservationID: id, Quantity: quantity}
}

func exchanged(id domain.ReservationID, quantity int64, to ...domain.Wanted) domain.ExchangeReservation {
	return domain.ExchangeReservation{CustomerID: domaintest.Customer, ReservationID: id, Quantity: quantity, To: to}
}

func TestS9ACustomerMayNeverChangeAReservationAndIsToldToAskThePartner(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, domaintest.Purchase(2)))
	for _, c := range partnerOnly(bought.ReservationID) {
		refusal := b.Refused(domaintest.Buyer, c, domain.CodePartnerOnly, "S9")
		require.Contains(t, refusal.Detail, "Ask Fabrikam")
		for _, agent := range []domain.Actor{domaintest.Sales, domaintest.Helpdesk, domaintest.Auditor} {
			b.Refused(agent, c, domain.CodeRoleNotAllowed, "S9")
		}
	}
}

// partnerOnly lists every command of S9 about one reservation of two units.
func partnerOnly(id domain.ReservationID) []domain.Command {
	on := true
	return []domain.Command{
		exchanged(id, 1, domaintest.Want(domaintest.ThreeYears(domaintest.Offer), 1)),
		returned(id, 1),
		domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: id, Enabled: &on},
		domain.ChangeReservationScope{CustomerID: domaintest.Customer, ReservationID: id, Scope: domain.Scope{Type: domain.Single}},
		renamed(id, "Web servers"),
		domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: id, Quantities: []int64{1, 1}},
		domain.MergeReservations{CustomerID: domaintest.Customer, ReservationIDs: []domain.ReservationID{id, {UUID: domaintest.ID("other")}}},
	}
}

func TestAnAdminAgentDoesForTheCustomerWhatTheCustomerMayNot(t *testing.T) {
	t.Parallel()
	for _, c := range partnerOnly(domain.ReservationID{})[:6] {
		b := domaintest.Ready(t)
		bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, domaintest.Purchase(2)))
		for _, mine := range partnerOnly(bought.ReservationID) {
			if mine.CommandName() == c.CommandName() {
				require.Len(t, b.Accepted(domaintest.Admin, mine), 1, mine.CommandName())
			}
		}
	}
}

func TestARefundIsProRataByRemainingUTCDays(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 2)
	b.LaterDate(0, 0, 73) // 292 of 365 days remain: four fifths
	e := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(bought.ReservationID, 1)))
	require.Equal(t, "400.00 USD", e.CommitmentCancelled.String())
	require.Equal(t, "400.00 USD", e.Refund.String())
	require.Equal(t, "0.00 USD", e.Fee.String())
	require.Equal(t, "0.00 USD", e.Unpaid.String())
	require.Equal(t, bought.OrderID, e.OrderID)

	b.Refused(domaintest.Admin, returned(bought.ReservationID, 2), domain.CodeQuantityExceeded, "")
	b.Given(domaintest.Admin, returned(bought.ReservationID, 1))
	b.Refused(domaintest.Admin, returned(bought.ReservationID, 1), domain.CodeReservationNotActive, "")
}

func TestReturningAMonthlyPaidReservationCancelsInstalmentsNotYetDue(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	monthly := domaintest.Offer
	monthly.BillingPlan = domain.Monthly
	b.Given(domaintest.Admin, domaintest.Price(monthly, "1200.00", "1300.00"))
	bought := b.Bought(monthly, 1)
	b.LaterDate(0, 0, 73) // due so far: 2 March, 2 April, 2 May
	e := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(bought.ReservationID, 1)))
	require.Equal(t, "960.00 USD", e.CommitmentCancelled.String())
	require.Equal(t, "900.00 USD", e.Unpaid.String(), "nine of twelve instalments")
	require.Equal(t, "60.00 USD", e.Refund.String(), "300 paid, 240 used")
}

func TestCancellationsOfACustomerMayNotPassTheLimitInTwelveMonths(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Admin, domaintest.Price(domaintest.ThreeYears(domaintest.Offer), "30000.00", "30000.00"))
	first, second := b.Bought(domaintest.ThreeYears(domaintest.Offer), 1), b.Bought(domaintest.ThreeYears(domaintest.Offer), 1)
	b.Given(domaintest.Admin, returned(first.ReservationID, 1))
	refusal := b.Refused(domaintest.Admin, returned(second.ReservationID, 1), domain.CodeRefundLimit, "")
	require.Contains(t, refusal.Detail, "20000.00 USD are left")

	b.LaterDate(1, 0, 1) // the first one left the window
	e := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(second.ReservationID, 1)))
	require.Less(t, e.CommitmentCancelled.Minor(), int64(20_000_00))
}

func TestTheEarlyTerminationFeeIsThatOfThePolicyInForce(t *testing.T) {
	t.Parallel()
	free := domain.Policy{CancellationMonths: 12}
	fee := domain.Policy{From: domaintest.Start.AddDate(0, 1, 0), FeePercent: 12, FeeFreeDays: 5, CancellationMonths: 12}
	b := domaintest.Ready(t, free, fee)
	early := b.Bought(domaintest.Offer, 2)
	e := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(early.ReservationID, 1)))
	require.Zero(t, e.Fee.Minor())
	b.LaterDate(0, 2, 0)
	late := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(early.ReservationID, 1)))
	require.Equal(t, late.CommitmentCancelled.Minor()*12/100, late.Fee.Minor())
	require.Equal(t, late.CommitmentCancelled.Minor()-late.Fee.Minor(), late.Refund.Minor())
	fresh := b.Bought(domaintest.Offer, 1)
	b.LaterDate(0, 0, 5)
	within := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(fresh.ReservationID, 1)))
	require.Zero(t, within.Fee.Minor(), "the first five days are free")
}

func TestAnExchangeStartsANewTermAndIsWorthAtLeastWhatRemains(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.ThreeYears(domaintest.Offer), 2)
	b.LaterDate(1, 0, 0)
	b.Refused(domaintest.Admin, exchanged(bought.ReservationID, 1, domaintest.Want(domaintest.Offer, 1)), domain.CodeExchangeTooSmall, "")
	e := domaintest.One[domain.ReservationExchanged](t, b.Accepted(domaintest.Admin, exchanged(bought.ReservationID, 1, domaintest.Want(domaintest.Offer, 2))))
	require.GreaterOrEqual(t, e.NewCommitment.Minor(), e.RemainingCommitment.Minor())
	require.Equal(t, "1000.00 USD", e.NewCommitment.String())
	require.Equal(t, b.Now, e.To[0].StartsAt)
	require.Equal(t, b.Now.AddDate(1, 0, 0), e.To[0].ExpiresAt)
	require.NotEqual(t, bought.OrderID, e.To[0].OrderID)
	b.Accepted(domaintest.Admin, returned(e.To[0].ReservationID, 2))
	b.Accepted(domaintest.Admin, returned(bought.ReservationID, 1))
}

func TestExchangesDoNotCountTowardsTheCancellationLimit(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Admin, domaintest.Price(domaintest.Offer, "45000.00", "45000.00"))
	first := b.Bought(domaintest.Offer, 1)
	e := domaintest.One[domain.ReservationExchanged](t, b.Accepted(domaintest.Admin, exchanged(first.ReservationID, 1, domaintest.Want(domaintest.Offer, 1))))
	b.Accepted(domaintest.Admin, returned(e.To[0].ReservationID, 1))
}

func TestAnExchangeStaysWithinTheProductFamily(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	database := domain.Offer{SKU: "SQLDB_GP_Gen5", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront}
	price := domaintest.Price(database, "9000.00", "9000.00")
	price.Family = "SqlDatabases"
	b.Given(domaintest.Admin, price)
	bought := b.Bought(domaintest.Offer, 1)
	b.Refused(domaintest.Admin, exchanged(bought.ReservationID, 1, domaintest.Want(database, 1)), domain.CodeExchangeFamily, "")
}

func TestFromFebruary2027NewComputeReservationsCannotBeExchanged(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	old := b.Bought(domaintest.ThreeYears(domaintest.Offer), 1)
	b.Now = time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC)
	young := b.Bought(domaintest.ThreeYears(domaintest.Offer), 1)
	b.Refused(domaintest.Admin, exchanged(young.ReservationID, 1, domaintest.Want(domaintest.ThreeYears(domaintest.Offer), 1)), domain.CodeExchangeClosed, "")
	b.Accepted(domaintest.Admin, exchanged(old.ReservationID, 1, domaintest.Want(domaintest.ThreeYears(domaintest.Offer), 1)))
}

func TestRenewalIsOffByDefaultAndMakesANewReservationAtExpiry(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 4)
	on, off := true, false
	set := domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Enabled: &off}
	require.Empty(t, b.Accepted(domaintest.Admin, set), "off already")
	set.Enabled = &on
	require.Len(t, b.Accepted(domaintest.Admin, set), 1)
	require.Empty(t, b.Accepted(domaintest.Admin, set))

	now := domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID}
	b.Refused(domaintest.Admin, now, domain.CodeRenewalTooEarly, "")
	b.Now = bought.ExpiresAt.AddDate(0, 0, -30)
	b.Given(domaintest.Admin, domaintest.Price(domaintest.Offer, "510.00", "530.00"))
	e := domaintest.One[domain.ReservationRenewed](t, b.Accepted(domaintest.Admin, now))
	require.Equal(t, bought.ExpiresAt, e.Successor.StartsAt)
	require.Equal(t, bought.ExpiresAt.AddDate(1, 0, 0), e.Successor.ExpiresAt)
	require.EqualValues(t, 4, e.Successor.Quantity)
	require.Equal(t, "510.00 USD", e.Successor.UnitPrice.String(), "at the price of the day")
	b.Refused(domaintest.Admin, now, domain.CodeAlreadyRenewed, "")
}

func TestARenewalIsDueOnceTheReservationHasEnded(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	on, off := true, false
	first, second, third := b.Bought(domaintest.Offer, 1), b.Bought(domaintest.Offer, 1), b.Bought(domaintest.Offer, 2)
	for _, bought := range []domain.Bought{first, second, third} {
		b.Given(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Enabled: &on})
	}
	b.Given(domaintest.Admin,
		domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: second.ReservationID, Enabled: &off},
		domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: third.ReservationID, Quantities: []int64{1, 1}},
	)
	require.Empty(t, b.DueRenewals(first.ExpiresAt.Add(-time.Second)))
	require.Equal(t, []domain.DueRenewal{{Partner: domaintest.Partner, Customer: domaintest.Customer, Reservation: first.ReservationID}}, b.DueRenewals(first.ExpiresAt))
	b.Now = first.ExpiresAt
	b.Given(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: first.ReservationID})
	require.Empty(t, b.DueRenewals(first.ExpiresAt))
}

func TestAnExpiredReservationIsRenewedFromNowOn(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 1)
	b.Now = bought.ExpiresAt.AddDate(0, 0, 3)
	b.Refused(domaintest.Admin, returned(bought.ReservationID, 1), domain.CodeReservationNotActive, "")
	e := domaintest.One[domain.ReservationRenewed](t, b.Accepted(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID}))
	require.Equal(t, b.Now, e.Successor.StartsAt)
}

func TestAScopeChangeKeepsTheTermAndTheSameScopeIsNoChange(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 1)
	change := domain.ChangeReservationScope{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Scope: domain.Scope{Type: domain.Single}}
	e := domaintest.One[domain.ReservationScopeChanged](t, b.Accepted(domaintest.Admin, change))
	require.Equal(t, domain.Shared, e.Before.Type)
	require.Equal(t, domaintest.Subscription, e.Scope.SubscriptionID)
	require.Empty(t, b.Accepted(domaintest.Admin, change))
}

func TestASplitMakesTwoThatSumToTheWholeAndAMergeReversesIt(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 5)
	on := true
	b.Given(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Enabled: &on})
	split := domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Quantities: []int64{2, 2}}
	b.Refused(domaintest.Admin, split, domain.CodeSplitSum, "")
	split.Quantities = []int64{2, 3}
	parts := domaintest.One[domain.ReservationSplit](t, b.Accepted(domaintest.Admin, split))
	require.Equal(t, bought.OrderID, parts.OrderID)
	b.Refused(domaintest.Admin, split, domain.CodeReservationNotActive, "")
	require.Len(t, b.Accepted(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: parts.Into[0].ReservationID, Enabled: &on}), 1, "a split cancels a pending renewal")

	merge := domain.MergeReservations{CustomerID: domaintest.Customer, ReservationIDs: []domain.ReservationID{parts.Into[0].ReservationID, parts.Into[1].ReservationID}}
	whole := domaintest.One[domain.ReservationsMerged](t, b.Accepted(domaintest.Admin, merge))
	require.EqualValues(t, 5, whole.Into.Quantity)
	b.Refused(domaintest.Admin, merge, domain.CodeReservationNotActive, "")

	b.LaterDate(0, 0, 73)
	e := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(whole.Into.ReservationID, 5)))
	require.Equal(t, "2000.00 USD", e.Refund.String(), "the end date and the price have stayed")
}

func TestOnlyReservationsThatDifferInQuantityAloneMerge(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	first, second := b.Bought(domaintest.Offer, 1), b.Bought(domaintest.Offer, 1)
	b.Refused(domaintest.Admin, domain.MergeReservations{CustomerID: domaintest.Customer, ReservationIDs: []domain.ReservationID{first.ReservationID, second.ReservationID}}, domain.CodeMergeDiffers, "")
}

func TestAReservationOfAnotherCustomerIsUnknown(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 2)
	other := domain.TenantID{UUID: domaintest.ID("northwind")}
	b.Given(domaintest.Admin, domain.RegisterCustomer{CustomerID: other, CompanyName: "Northwind", Domain: "northwind.example"})
	b.Refused(domaintest.Admin, domain.ReturnReservation{CustomerID: other, ReservationID: bought.ReservationID, Quantity: 1}, domain.CodeNotFound, "L8")
}
