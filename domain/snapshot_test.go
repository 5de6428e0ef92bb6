package domain_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func written(t require.TestingT, b *domain.Book) []byte {
	var buffer bytes.Buffer
	n, err := b.Snapshot().WriteTo(&buffer)
	require.NoError(t, err)
	require.Equal(t, int64(buffer.Len()), n)
	return buffer.Bytes()
}

func TestARestoredBookDecidesLikeTheOneThatWasSaved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := domaintest.NewBook(t)
		domaintest.Play(rt, b, 60, func(domaintest.Step, []domain.Event, error) {})
		saved := written(rt, b.Book)
		restored := domain.NewBook()
		require.NoError(rt, restored.Restore(bytes.NewReader(saved)))
		require.Equal(rt, b.Head(), restored.Head())
		require.Equal(rt, saved, written(rt, restored), "the same state has the same bytes")
		later := b.Now.AddDate(0, 0, 1)
		for _, user := range []string{"one", "two"} {
			id := domain.UserID{UUID: domaintest.ID(user)}
			require.Equal(rt, b.IsOwner(domaintest.Customer, id), restored.IsOwner(domaintest.Customer, id))
		}
		require.ElementsMatch(rt, b.DueRenewals(later.AddDate(10, 0, 0)), restored.DueRenewals(later.AddDate(10, 0, 0)))
		for _, c := range everyCommandFor(domaintest.Customer) {
			for _, actor := range []domain.Actor{domaintest.Admin, domaintest.Sales, domaintest.Buyer} {
				request, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, actor, c)
				require.NoError(rt, err)
				facts, refusal := b.Decide(request, 1, later)
				again, sameRefusal := restored.Decide(request, 1, later)
				require.Equal(rt, facts, again)
				require.Equal(rt, refusal, sameRefusal)
			}
		}
	})
}

func TestASnapshotLeavesOutWhatIsPending(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	before := written(t, b.Book)
	b.Evolve(domain.Fact{Position: b.Head() + 1, Time: b.Now, Partner: domaintest.Partner, Customer: domaintest.Customer, Event: domain.PurchasePermissionRevoked{Product: domain.AzureReservedInstances}})
	require.Equal(t, before, written(t, b.Book))
	b.Commit(b.Head() + 1)
	require.NotEqual(t, before, written(t, b.Book))
}

func TestADamagedSnapshotIsRefusedAndNeverRunsAway(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Bought(domaintest.Offer, 2)
	saved := written(t, b.Book)
	for n := range saved {
		require.ErrorIs(t, domain.NewBook().Restore(bytes.NewReader(saved[:n])), domain.ErrSnapshot, "cut after %d bytes", n)
	}
	require.ErrorIs(t, domain.NewBook().Restore(bytes.NewReader(append(bytes.Clone(saved), 0))), domain.ErrSnapshot)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 { // what a flip leaves readable is for the checksum around it to find
		damaged := bytes.Clone(saved)
		damaged[random.IntN(len(damaged))] ^= 1 << random.IntN(8)
		if err := domain.NewBook().Restore(bytes.NewReader(damaged)); err != nil {
			require.ErrorIs(t, err, domain.ErrSnapshot)
		}
	}
}

func TestASnapshotKeepsEverythingADecisionMayNeed(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Admin, domaintest.Price(domaintest.ThreeYears(domaintest.Offer), "30000.00", "30000.00"))
	purchase := domaintest.Purchase(1)
	purchase.OrderID = domain.OrderID{UUID: domaintest.ID("order")}
	b.Given(domaintest.Buyer, purchase)
	first, second := b.Bought(domaintest.ThreeYears(domaintest.Offer), 1), b.Bought(domaintest.ThreeYears(domaintest.Offer), 1)
	b.Given(domaintest.Admin, returned(first.ReservationID, 1))
	for range 100 {
		b.Refused(domaintest.Sales, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	}

	saved := written(t, b.Book)
	b.Book = domain.NewBook()
	require.NoError(t, b.Restore(bytes.NewReader(saved)))
	b.Refused(domaintest.Buyer, purchase, domain.CodeOrderExists, "")
	b.Refused(domaintest.Admin, returned(second.ReservationID, 1), domain.CodeRefundLimit, "")
	recorded := len(b.Facts)
	b.Refused(domaintest.Sales, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	require.Len(t, b.Facts, recorded, "the hour's limit of denied attempts is used up")
}
