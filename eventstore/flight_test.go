package eventstore_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// flight is a command whose record is held on its way to the server.
type flight struct {
	*eventstoretest.Node
	land chan struct{} // closed to let it arrive
}

// sent is a submission under way.
type sent struct {
	outcome eventstore.Outcome[eventstoretest.Changed]
	err     error
}

func (f *flight) submit(s eventstore.Submission[toy]) chan sent {
	answer := make(chan sent, 1)
	go func() {
		o, err := f.Writer.Submit(context.Background(), s)
		answer <- sent{o, err}
	}()
	return answer
}

// depart submits a command and returns when its record is about to be sent.
func depart(t *testing.T, n *eventstoretest.Node, s eventstore.Submission[toy]) (*flight, chan sent) {
	t.Helper()
	f := &flight{Node: n, land: make(chan struct{})}
	departed := make(chan struct{})
	n.Faults.Before(func() { close(departed); <-f.land })
	answer := f.submit(s)
	<-departed
	return f, answer
}

func TestTheNextGroupIsDecidedWhileOneIsBeingStored(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	judged := make(chan toy, 2)
	n.Book.Judged = func(c toy) { judged <- c }
	f, deposit := depart(t, n, eventstoretest.Submit("a", 5))
	<-judged
	withdrawal := f.submit(eventstoretest.Submit("a", -5))
	require.Equal(t, int64(-5), (<-judged).Amount, "judged although the deposit is not stored")
	require.Empty(t, withdrawal, "and not answered before it is")
	close(f.land)
	first, second := <-deposit, <-withdrawal
	require.NoError(t, first.err)
	require.NoError(t, second.err, "the deposit counts")
	require.Equal(t, first.outcome.Sequence+1, second.outcome.Sequence)
	require.Equal(t, first.outcome.Position+1, second.outcome.Position)
	report, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(2), report.Events)
}

func TestWhatWasDecidedOnAGroupThatIsNotStoredIsDecidedAgain(t *testing.T) {
	t.Parallel()
	store, stream := embeddedStore(t), eventstoretest.Stream()
	n, other := store.Node(t, store.Options(t, stream), nil), store.Node(t, store.Options(t, stream), nil)
	_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 5))
	require.NoError(t, err)
	judged := make(chan toy, 4)
	n.Book.Judged = func(c toy) { judged <- c }
	f, deposit := depart(t, n, eventstoretest.Submit("b", 1))
	<-judged
	withdrawal := f.submit(eventstoretest.Submit("a", -5))
	<-judged // accepted for now
	_, err = other.Writer.Submit(t.Context(), eventstoretest.Submit("a", -5))
	require.NoError(t, err)
	close(f.land)
	require.NoError(t, (<-deposit).err)
	require.ErrorIs(t, (<-withdrawal).err, eventstoretest.ErrOverdrawn, "the other node was faster")
	require.Zero(t, n.Book.Balances["a"])
	require.Equal(t, uint64(1), n.Writer.Stats().Conflicts)
}

func TestACommandSentAgainWhileItIsBeingStoredHasOneEffect(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	id := uuid.New()
	f, answer := depart(t, n, eventstoretest.SubmitAs(id, toy{Account: "a", Amount: 5}))
	again := f.submit(eventstoretest.SubmitAs(id, toy{Account: "a", Amount: 5}))
	other := f.submit(eventstoretest.SubmitAs(id, toy{Account: "a", Amount: 7}))
	eventually(t, "both are taken", func() bool { return n.Writer.Stats().Queued == 0 })
	close(f.land)
	first := <-answer
	require.NoError(t, first.err)
	second := <-again
	require.NoError(t, second.err)
	require.True(t, second.outcome.Replayed)
	require.Equal(t, first.outcome.Position, second.outcome.Position)
	require.ErrorIs(t, (<-other).err, eventstore.ErrCommandIDReused)
	require.Equal(t, int64(5), n.Book.Balances["a"])
}

func TestWhatIsBeingDecidedWhenTheWriterClosesIsNotWritten(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	judged := make(chan toy, 2)
	n.Book.Judged = func(c toy) { judged <- c }
	f, flying := depart(t, n, eventstoretest.Submit("a", 5))
	<-judged
	forming := f.submit(eventstoretest.Submit("a", 1))
	<-judged
	closed := make(chan error, 1)
	go func() { closed <- n.Writer.Close() }()
	close(f.land)
	require.NoError(t, <-closed)
	require.NoError(t, (<-flying).err, "the group in flight is brought to its end")
	late := <-forming
	if late.err == nil { // the flight landed before the writer saw that it closes
		require.Equal(t, uint64(2), late.outcome.Position)
		return
	}
	require.ErrorIs(t, late.err, eventstore.ErrUnavailable)
	report, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(1), report.Events)
}
