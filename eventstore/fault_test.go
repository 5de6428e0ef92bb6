package eventstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// TestTheContractCatchesAStoreThatAppendsBlindly shows that the history checks
// above bite: a record stored past the fence, as a blind second append would
// be, is found at its place.
func TestTheContractCatchesAStoreThatAppendsBlindly(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	o, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.NoError(t, err)
	s, err := n.Log.Get(t.Context(), o.Sequence)
	require.NoError(t, err)
	_, err = store.JetStream(t).Publish(t.Context(), opts.Subject, s.Bytes)
	require.NoError(t, err)
	_, err = n.Log.Verify(t.Context(), nil)
	var e *eventstore.IntegrityError
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint64(3), e.Sequence)
	require.Equal(t, uint64(2), e.Position)
	// The writer is stopped by what a reader found.
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
	require.ErrorIs(t, n.Writer.Err(), eventstore.ErrIntegrity)
}

// TestSettleClosesThePlaceOfARecordThatMayStillArrive sends the record after
// the settlement, as a network that had held it back would.
func TestSettleClosesThePlaceOfARecordThatMayStillArrive(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	head := n.Writer.Head()
	ledger, _, _ := n.Log.Ledger()
	record := func(reason string) []byte {
		c := eventstore.Command{Name: "Late", Reason: reason, Events: []eventstore.Event{}}
		return eventstore.AppendRecord(nil, &eventstore.Record{Version: 1, Ledger: ledger, First: 1, Time: head.Time, Previous: head.Hash, Commands: []eventstore.Command{c}})
	}
	stored, err := n.Log.Settle(t.Context(), head, record("late"))
	require.NoError(t, err)
	require.False(t, stored)
	_, err = n.Log.Append(t.Context(), head, record("late"))
	require.ErrorIs(t, err, eventstore.ErrConflict, "the fence refuses it for ever")
	stored, err = n.Log.Settle(t.Context(), head, record("late"))
	require.NoError(t, err)
	require.False(t, stored, "and settling again says the same")

	n = store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	head = n.Writer.Head()
	ledger, _, _ = n.Log.Ledger()
	_, err = n.Log.Append(t.Context(), head, record("in time"))
	require.NoError(t, err)
	stored, err = n.Log.Settle(t.Context(), head, record("in time"))
	require.NoError(t, err)
	require.True(t, stored)
	report, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(2), report.Records)

	// A record that does not continue the ledger is the caller's fault.
	_, err = n.Log.Append(t.Context(), head, []byte("{}"))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.NotErrorIs(t, err, eventstore.ErrIntegrity)
}
