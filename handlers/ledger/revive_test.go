package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
)

func TestG5AServerThatStopsAnsweringIsRestartedAndTheSameCommandResolved(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, l.store.Restart(dead), "stopped, and not started again")

	call := Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)}
	_, err := l.Execute(t.Context(), call)
	require.Error(t, err, "never a false success")
	require.True(t, errors.Is(err, eventstore.ErrOutcomeUnknown) || errors.Is(err, eventstore.ErrUnavailable), "%v", err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := l.Execute(t.Context(), call)
		require.NoError(c, err)
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, l.Fault())
	require.NoError(t, l.models.WaitFor(t.Context(), l.Head().Position), "the read models follow again")
	report, err := l.store.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, l.Head().Hash, report.Head.Hash)
}
