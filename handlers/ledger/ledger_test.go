package ledger

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened is a ledger in a directory of its own, closed at the end of the test.
func opened(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), Config{Dir: dir, Found: true})
	require.NoError(t, err)
	require.NoError(t, l.Fault())
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func (l *Ledger) must(t *testing.T, actor domain.Actor, command domain.Command) Answer {
	t.Helper()
	answer, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: actor, Command: command})
	require.NoError(t, err, command.CommandName())
	return answer
}

// ready registers the cast of the domain's tests, so that Buyer may buy.
func ready(t *testing.T, l *Ledger) {
	t.Helper()
	l.must(t, domaintest.Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	l.must(t, domaintest.Admin, domain.RegisterCustomer{CustomerID: domaintest.Customer, CompanyName: "Contoso", Domain: "contoso.example"})
	l.must(t, domaintest.Admin, domain.RecordSubscription{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Kind: domain.AzurePlan, Name: "Prod"})
	l.must(t, domaintest.Admin, domaintest.Price(domaintest.Offer, "500.00", "519.00"))
	l.must(t, domaintest.Admin, domaintest.Assign(domaintest.Buyer, domain.Owner))
	l.must(t, domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances))
}

func TestWhatEndedWithAutomaticRenewalOnIsRenewedOnce(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	lastYear := time.Now().AddDate(-1, 0, -1)
	id := domain.CommandID{UUID: uuid.New()}
	_, err := l.Execute(t.Context(), Call{ID: id, Actor: domaintest.Admin, Command: domain.ReportCustomerPurchase{
		CustomerID: domaintest.Customer, Wanted: domaintest.Want(domaintest.Offer, 3), UserID: domaintest.Buyer.User, UserPrincipalName: domaintest.Buyer.UPN, PurchasedAt: lastYear,
	}})
	require.NoError(t, err)
	l.renewDue(t.Context(), time.Now())
	before := l.Head().Position
	on := true
	l.must(t, domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: id.Reservation(0), Enabled: &on})
	l.renewDue(t.Context(), time.Now())
	l.renewDue(t.Context(), time.Now())
	require.Equal(t, before+2, l.Head().Position, "switched on, renewed, and no more")
	due := domain.DueRenewal{Reservation: id.Reservation(0)}
	answer, err := l.Outcome(t.Context(), domaintest.Admin, due.CommandID())
	require.NoError(t, err)
	require.Equal(t, "ReservationRenewed", answer.Events[0].Type)
}

func TestARecordedRefusalIsTheAnswerForEver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{Dir: dir, Found: true})
	require.NoError(t, err)
	ready(t, l)
	l.must(t, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
	call := Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)}
	_, first := l.Execute(t.Context(), call)
	require.ErrorIs(t, first, &domain.Error{Code: domain.CodePermissionOff})
	l.must(t, domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances))
	_, again := l.Execute(t.Context(), call)
	require.Equal(t, first, again, "the same id gets its first answer (L3)")
	require.NoError(t, l.Close())

	l = opened(t, dir)
	_, later := l.Execute(t.Context(), call)
	require.Equal(t, first, later)
	call.ID = domain.CommandID{UUID: uuid.New()}
	_, err = l.Execute(t.Context(), call)
	require.NoError(t, err, "a new id is judged anew")
}

func TestAnOutcomeIsKnownToTheSendersSideAlone(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	l.must(t, domaintest.Stranger, domain.RegisterPartner{Name: "Rival", Country: "US", Currency: "USD"})
	id := domain.CommandID{UUID: uuid.New()}
	_, err := l.Execute(t.Context(), Call{ID: id, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
	require.NoError(t, err)
	for _, reader := range []domain.Actor{domaintest.Buyer, domaintest.Admin, domaintest.Auditor} {
		answer, err := l.Outcome(t.Context(), reader, id)
		require.NoError(t, err)
		require.Len(t, answer.Events, 1)
	}
	_, err = l.Outcome(t.Context(), domaintest.Stranger, id)
	require.ErrorIs(t, err, eventstore.ErrNotFound)
}

// TestL1NoPurchaseIsAcceptedAfterARevocationWasAnswered races buyers against an admin agent.
func TestL1NoPurchaseIsAcceptedAfterARevocationWasAnswered(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	for range 10 {
		l.must(t, domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances))
		var mu sync.Mutex
		var newest uint64
		racing, stop := context.WithCancel(t.Context())
		var buyers sync.WaitGroup
		for range 8 {
			buyers.Go(func() {
				for racing.Err() == nil {
					answer, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
					if err != nil {
						return
					}
					mu.Lock()
					newest = max(newest, answer.Position)
					mu.Unlock()
				}
			})
		}
		revoked := l.must(t, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
		stop()
		buyers.Wait()
		require.Less(t, newest, revoked.Position)
		verdict, err := l.Book().Check(domaintest.Partner, domaintest.Customer, domain.AzureReservedInstances, domaintest.Subscription, domaintest.Buyer.User)
		require.NoError(t, err)
		require.False(t, verdict.Allowed)
	}
}
