package eventstore_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// settable is a clock that can be set while a node runs.
type settable struct{ off atomic.Int64 }

func (c *settable) set(off time.Duration) { c.off.Store(int64(off)) }

func (c *settable) now() time.Time { return time.Now().Add(time.Duration(c.off.Load())) }

// TestACommandWithAWrongClockStampsNothing sets the clock of a running node 400
// days ahead, and right again.
func TestACommandWithAWrongClockStampsNothing(t *testing.T) {
	t.Parallel()
	var clock settable
	opts := embeddedStore(t).Options(t, eventstoretest.Stream())
	opts.Clock.Now = clock.now
	n := embeddedNode(t, opts)
	first := eventstoretest.Submit("a", 1)
	_, err := n.Writer.Submit(t.Context(), first)
	require.NoError(t, err)
	head := n.Writer.Head()

	clock.set(400 * 24 * time.Hour)
	require.ErrorIs(t, n.Writer.Err(), eventstore.ErrClock)
	require.NoError(t, n.Writer.Failure())
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrClock)
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	dry := eventstoretest.Submit("a", 1)
	dry.DryRun = true
	_, err = n.Writer.Submit(t.Context(), dry)
	require.ErrorIs(t, err, eventstore.ErrClock, "a dry run would answer with a time that is wrong")
	require.Equal(t, head, n.Writer.Head())

	clock.set(0)
	require.NoError(t, n.Writer.Err())
	before := time.Now()
	o, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.NoError(t, err)
	require.WithinDuration(t, before, o.Time, time.Minute)
}

func embeddedNode(t *testing.T, opts eventstore.Options) *eventstoretest.Node {
	t.Helper()
	opts.Shared = false
	return embeddedStore(t).Node(t, opts, nil)
}

// TestANodeAheadOfTheServersClockWritesNothing is of a cluster, whose servers say
// what time it is: not even the first record gets a time far ahead of theirs.
func TestANodeAheadOfTheServersClockWritesNothing(t *testing.T) {
	t.Parallel()
	var clock settable
	clock.set(time.Hour)
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	opts.Clock.Now = clock.now
	log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.NoError(t, err)
	require.ErrorIs(t, log.EnsureGenesis(t.Context()), eventstore.ErrClock)
	clock.set(0)
	require.NoError(t, log.EnsureGenesis(t.Context()))
	require.NoError(t, log.Close())
}

// TestAnUnknownOutcomeIsSettledWhateverTheClockSays ends the doubt about a record
// that was lost on its way with a record of the last one's time.
func TestAnUnknownOutcomeIsSettledWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	var clock settable
	store := embeddedStore(t)
	js := store.JetStream(t)
	opts := store.Options(t, eventstoretest.Stream())
	opts.Shared, opts.Clock.Now = false, clock.now
	log, err := eventstore.Open(t.Context(), js, opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	require.NoError(t, log.EnsureGenesis(t.Context()))
	genesis, err := log.Head(t.Context())
	require.NoError(t, err)
	clock.set(400 * 24 * time.Hour)
	stored, err := log.Settle(t.Context(), genesis, []byte("a record that never arrived"))
	require.NoError(t, err)
	require.False(t, stored)
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(2), head.Sequence)
	require.Equal(t, genesis.Time, head.Time)
}
