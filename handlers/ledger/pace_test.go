package ledger

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
)

func TestReadModelsNeverFallBehindWithoutBound(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	require.NoError(t, l.models.WaitFor(t.Context(), l.Head().Position))
	l.stop() // nothing follows the log any more
	var busy atomic.Bool
	var buyers sync.WaitGroup
	for range 64 {
		buyers.Go(func() {
			for !busy.Load() {
				_, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
				if err != nil {
					busy.Store(true)
					if !errors.Is(err, eventstore.ErrBusy) {
						t.Errorf("want busy, got %v", err)
					}
				}
			}
		})
	}
	buyers.Wait()
	require.LessOrEqual(t, l.Head().Position, l.models.Checkpoint().Position+maxLag+64)
	require.False(t, l.Health().Ready)
}
