package domain_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func TestAQuotesPaymentsSumToItsTotal(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, time.January, 31, 10, 0, 0, 0, time.UTC)
	for term, months := range map[domain.Term]int{domain.OneYear: 12, domain.ThreeYears: 36, domain.FiveYears: 60} {
		for plan, payments := range map[domain.BillingPlan]int{domain.Upfront: 1, domain.Monthly: months} {
			unit, err := domain.NewMoney(519_01, "USD")
			require.NoError(t, err)
			q, err := domain.NewQuote(unit, 7, term, plan, start)
			require.NoError(t, err)
			require.Equal(t, int64(7*519_01), q.Total.Minor())
			require.Len(t, q.Payments, payments)
			var sum int64
			for _, p := range q.Payments {
				sum += p.Amount.Minor()
			}
			require.Equal(t, q.Total.Minor(), sum)
			require.Equal(t, start, q.Payments[0].Due)
		}
	}
}

func TestAQuoteSaysHowManyPaymentsAReturnHasSeenAlready(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	monthly := domaintest.Offer
	monthly.BillingPlan = domain.Monthly
	b.Accepted(domaintest.Admin, domaintest.Price(monthly, "12.01", "13.00"))
	purchase := domaintest.Purchase(3)
	purchase.Offer = monthly
	bought := domaintest.One[domain.PartnerPurchasedReservation](t, b.Accepted(domaintest.Admin, purchase))
	q, err := domain.NewQuote(bought.UnitPrice, 3, monthly.Term, monthly.BillingPlan, bought.StartsAt)
	require.NoError(t, err)
	require.Equal(t, bought.Total, q.Total)
	for _, days := range []int{0, 27, 40} {
		b.LaterDate(0, 0, days)
		units := domaintest.One[domain.ReservationReturned](t, b.Accepted(domaintest.Admin, returned(bought.ReservationID, 1)))
		one, err := domain.NewQuote(bought.UnitPrice, 1, monthly.Term, monthly.BillingPlan, bought.StartsAt)
		require.NoError(t, err)
		var due int64
		for _, p := range one.Payments[:one.DueBy(b.Now)] {
			due += p.Amount.Minor()
		}
		require.Equal(t, one.Total.Minor()-units.Unpaid.Minor(), due)
	}
}

func TestAQuoteIsNotMoreThanTheLedgerCanHold(t *testing.T) {
	t.Parallel()
	unit, err := domain.NewMoney(math.MaxInt64/2, "USD")
	require.NoError(t, err)
	for _, quantity := range []int64{3, -1} {
		_, err = domain.NewQuote(unit, quantity, domain.OneYear, domain.Monthly, domaintest.Start)
		require.ErrorIs(t, err, &domain.Error{Code: domain.CodeAmountTooLarge})
	}
}
