package board

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// candidate is an office of a node with a clock of its own, which gives signs of life only when it is told to.
type candidate struct {
	*Office
	faults *eventstoretest.Faults
	at     time.Time
}

func candidates(t *testing.T, n int) (list []*candidate) {
	t.Helper()
	js := eventstoretest.Connect(t, eventstoretest.External(t).ClientURL())
	for range n {
		faults := &eventstoretest.Faults{JetStream: js}
		c := &candidate{Office: NewOffice(New(faults, Options{Stream: "NOTES", Prefix: "notes"}), "holder"), faults: faults, at: time.Now()}
		c.now = func() time.Time { return c.at }
		c.wait = func(ctx context.Context, _ time.Duration) error {
			<-ctx.Done()
			return ctx.Err()
		}
		list = append(list, c)
	}
	return list
}

// takes tries once and expects the office.
func (c *candidate) takes(t *testing.T) *Term {
	t.Helper()
	term, err := c.try(t.Context())
	require.NoError(t, err)
	require.NotNil(t, term)
	t.Cleanup(func() {
		term.stop()
		term.done.Wait()
	})
	return term
}

func (c *candidate) waits(t *testing.T) {
	t.Helper()
	term, err := c.try(t.Context())
	require.NoError(t, err)
	require.Nil(t, term)
}

func over(t *Term) bool {
	select {
	case <-t.Over():
		return true
	default:
		return false
	}
}

func TestAnotherNodeTakesOverOnceTheHolderIsSilent(t *testing.T) {
	t.Parallel()
	c := candidates(t, 2)
	first := c[0].takes(t)
	require.Equal(t, uint64(1), first.Number)
	until, err := first.Confirm(t.Context())
	require.NoError(t, err)
	require.Equal(t, c[0].at.Add(Valid), until)

	for range 5 { // as long as there are signs of life it is the first one's, however long that is
		c[1].waits(t)
		c[1].at = c[1].at.Add(Vacant / 2)
		require.NoError(t, first.renew(t.Context()))
	}
	c[1].waits(t)
	c[1].at = c[1].at.Add(Vacant - 1)
	c[1].waits(t)
	c[1].at = c[1].at.Add(1)
	second := c[1].takes(t)
	require.Equal(t, uint64(2), second.Number)

	// The first one has slept, and is told so before it acts.
	c[0].at = c[0].at.Add(fresh)
	require.False(t, over(first))
	_, err = first.Confirm(t.Context())
	require.ErrorIs(t, err, ErrDeposed)
	require.True(t, over(first))
	_, err = second.Confirm(t.Context())
	require.NoError(t, err)
	c[0].waits(t)

	second.Leave(t.Context())
	require.Equal(t, uint64(3), c[0].takes(t).Number, "nobody waits for one that has left")
}

func TestAHolderActsNoLongerThanOthersWait(t *testing.T) {
	t.Parallel()
	require.Less(t, Valid, Vacant-looked)
	require.Less(t, 3*Renewed+requestTimeout, Valid, "some signs may be lost")
}

func TestASignOfLifeWhoseAnswerIsLostCounts(t *testing.T) {
	t.Parallel()
	c := candidates(t, 2)
	c[0].waitsForStream(t)
	c[0].faults.Plan(eventstoretest.LoseAck)
	first := c[0].takes(t)
	c[0].faults.Plan(eventstoretest.LoseAck, eventstoretest.Lose)
	require.NoError(t, first.renew(t.Context()))
	require.ErrorIs(t, first.renew(t.Context()), eventstore.ErrUnavailable, "one that is lost itself does not")
	require.NoError(t, first.renew(t.Context()))

	// What was sent to take the office came later than whoever sent it believed.
	first.Leave(t.Context())
	late := &Term{office: c[1].Office, Number: 2, over: make(chan struct{})}
	note, err := c[1].board.Read(t.Context(), "holder")
	require.NoError(t, err)
	late.revision = note.Revision
	require.NoError(t, late.renew(t.Context()))
	require.Equal(t, uint64(3), c[1].takes(t).Number)
}

// waitsForStream makes the stream, so that planned faults meet what they are meant for.
func (c *candidate) waitsForStream(t *testing.T) {
	t.Helper()
	_, err := c.board.Read(t.Context(), "nothing")
	require.NoError(t, err)
}

func TestANoteIsReplacedOnlyByWhoKnowsIt(t *testing.T) {
	t.Parallel()
	js := eventstoretest.Connect(t, eventstoretest.External(t).ClientURL())
	b := New(js, Options{Stream: "NOTES", Prefix: "notes"})
	note, err := b.Read(t.Context(), "a")
	require.NoError(t, err)
	require.Zero(t, note)
	first, err := b.Write(t.Context(), "a", []byte("one"), 0)
	require.NoError(t, err)
	_, err = b.Write(t.Context(), "a", []byte("blind"), 0)
	require.ErrorIs(t, err, eventstore.ErrConflict)
	_, err = b.Write(t.Context(), "b", []byte("other"), 0)
	require.NoError(t, err)
	second, err := b.Write(t.Context(), "a", []byte("two"), first)
	require.NoError(t, err)
	note, err = b.Read(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, Note{[]byte("two"), second}, note)
	_, err = b.Write(t.Context(), "a", make([]byte, MaxNote+1), second)
	require.ErrorIs(t, err, eventstore.ErrTooLarge)

	require.NoError(t, js.DeleteStream(t.Context(), "NOTES"))
	note, err = b.Read(t.Context(), "a")
	require.NoError(t, err)
	require.Zero(t, note, "a board that was removed is made anew")
	s, err := js.Stream(t.Context(), "NOTES")
	require.NoError(t, err)
	require.Equal(t, jetstream.FileStorage, s.CachedInfo().Config.Storage)
}
