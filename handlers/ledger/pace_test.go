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
				switch {
				case err == nil, errors.Is(err, eventstore.ErrOutcomeUnknown), errors.Is(err, eventstore.ErrUnavailable): // a slow disk
				case errors.Is(err, eventstore.ErrBusy):
					busy.Store(true)
				default:
					t.Errorf("want busy, got %v", err)
					busy.Store(true)
				}
			}
		})
	}
	buyers.Wait()
	require.LessOrEqual(t, l.Head().Position, l.models.Checkpoint().Position+maxLag+64)
	require.False(t, l.Health().Ready)
}
