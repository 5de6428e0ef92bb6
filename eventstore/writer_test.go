package eventstore_test

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

type toy = eventstoretest.Transfer

// embeddedStore is a store of its own for one test.
func embeddedStore(t *testing.T) eventstoretest.Store {
	js := eventstoretest.Embedded(t, t.TempDir()).JetStream()
	return eventstoretest.Store{Replicas: 1, JetStream: func(testing.TB) jetstream.JetStream { return js }}
}

// eventually waits for something that has no signal of its own.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 30*time.Second, 5*time.Millisecond, what)
}

// TestAnUnknownOutcomeIsResolvedByTheSameID cuts a node off its server in the
// ways a network can, while a command is on its way.
func TestAnUnknownOutcomeIsResolvedByTheSameID(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]struct {
		toServer, toClient, lose bool
		stored                   bool // known to be stored, else either may be
	}{
		"the acknowledgement is late": {toClient: true, stored: true},
		"the acknowledgement is lost": {toClient: true, lose: true, stored: true},
		"the record arrives late":     {toServer: true},
		"the record is lost":          {toServer: true, toClient: true, lose: true},
		"everything is late":          {toServer: true, toClient: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := url.Parse(eventstoretest.External(t).ClientURL())
			require.NoError(t, err)
			proxy := eventstoretest.NewProxy(t, server.Host)
			store := eventstoretest.Store{Replicas: 1, JetStream: func(tb testing.TB) jetstream.JetStream { return eventstoretest.Connect(tb, proxy.URL()) }}
			opts := store.Options(t, eventstoretest.Stream())
			opts.AppendTimeout, opts.Timeout = 500*time.Millisecond, 300*time.Millisecond
			n := store.Node(t, opts, nil)
			recorded := eventstoretest.Submit("a", 1)
			_, err = n.Writer.Submit(t.Context(), recorded)
			require.NoError(t, err)

			proxy.Hold(cut.toServer, cut.toClient)
			s := eventstoretest.SubmitAs(uuid.New(), toy{Account: "a", Amount: 10})
			twice := make(chan error)
			for range 2 {
				go func() {
					_, err := n.Writer.Submit(context.Background(), s)
					twice <- err
				}()
			}
			require.ErrorIs(t, <-twice, eventstore.ErrOutcomeUnknown)
			require.ErrorIs(t, <-twice, eventstore.ErrOutcomeUnknown, "whichever is decided, and whenever")
			eventually(t, "the writer pauses", func() bool { return n.Writer.Err() != nil })
			_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
			require.ErrorIs(t, err, eventstore.ErrUnavailable)
			require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
			_, err = n.Writer.Submit(t.Context(), s)
			require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "it may be recorded")
			_, err = n.Writer.Submit(t.Context(), recorded)
			require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "it is, but with what outcome cannot be read")

			if cut.lose {
				proxy.Cut()
			}
			proxy.Hold(false, false)
			eventually(t, "the outcome is resolved", func() bool { return n.Writer.Err() == nil })
			o, err := n.Writer.Submit(t.Context(), s)
			require.NoError(t, err)
			require.Equal(t, uint64(2), o.Position)
			if cut.stored {
				require.True(t, o.Replayed)
			}
			report, err := n.Log.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, uint64(2), report.Events, "one effect")
			require.Equal(t, uint64(1), n.Writer.Stats().Resolved)
			require.Equal(t, uint64(2), n.Book.Position)
		})
	}
}

// gate is a decider's door: it lets one decision through each time.
type gate struct {
	entered chan toy
	open    chan struct{}
}

func gated(n *eventstoretest.Node) *gate {
	g := &gate{entered: make(chan toy), open: make(chan struct{})}
	n.Book.Judged = func(t toy) {
		if t.Pad == "gate" {
			g.entered <- t
			<-g.open
		}
	}
	return g
}

// hold sends a command that keeps the writer busy until the gate opens.
func (g *gate) hold(t *testing.T, n *eventstoretest.Node, wg *sync.WaitGroup) {
	t.Helper()
	wg.Go(func() {
		_, err := n.Writer.Submit(context.Background(), eventstoretest.SubmitAs(uuid.New(), toy{Account: "gate", Amount: 1, Pad: "gate"}))
		if err != nil {
			t.Errorf("the command at the gate: %v", err)
		}
	})
	<-g.entered
}

func TestAGroupThatLosesAConflictIsDecidedAgain(t *testing.T) {
	t.Parallel()
	store, stream := embeddedStore(t), eventstoretest.Stream()
	n, other := store.Node(t, store.Options(t, stream), nil), store.Node(t, store.Options(t, stream), nil)
	g := gated(n)
	var wg sync.WaitGroup
	g.hold(t, n, &wg)
	// Both wait for the next group: one is acceptable, one only after the
	// other node's deposit.
	errs := make([]error, 2)
	wg.Go(func() { _, errs[0] = n.Writer.Submit(t.Context(), eventstoretest.Submit("b", 1)) })
	wg.Go(func() { _, errs[1] = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", -5)) })
	eventually(t, "both wait", func() bool { return n.Writer.Stats().Queued == 2 })
	// The publish after the one at the gate is theirs.
	n.Faults.Before(func() {
		n.Faults.Before(func() {
			_, err := other.Writer.Submit(context.Background(), eventstoretest.Submit("a", 5))
			if err != nil {
				t.Errorf("the other node: %v", err)
			}
		})
	})
	g.open <- struct{}{}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, uint64(1), n.Writer.Stats().Conflicts)
	require.Equal(t, uint64(2), n.Writer.Stats().Groups)
	require.Zero(t, n.Book.Balances["a"])
	eventually(t, "the other node catches up by itself", func() bool { return other.Writer.Head() == n.Writer.Head() })
}

func TestAFullQueueIsBusyAtOnce(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	log, err := eventstore.Open(t.Context(), store.JetStream(t), store.Options(t, eventstoretest.Stream()))
	require.NoError(t, err)
	n := &eventstoretest.Node{Log: log, Book: eventstoretest.NewBook()}
	n.Writer = eventstore.NewWriter(log, n.Book, eventstoretest.Codec{}, nil, eventstore.WriterOptions{Queue: 2})
	t.Cleanup(n.Close)
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrUnavailable, "not started")
	require.NoError(t, n.Writer.Start(t.Context()))
	g := gated(n)
	var wg sync.WaitGroup
	g.hold(t, n, &wg)
	for range 2 {
		wg.Go(func() {
			if _, err := n.Writer.Submit(context.Background(), eventstoretest.Submit("a", 1)); err != nil {
				t.Errorf("waiting: %v", err)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return n.Writer.Stats().Queued == 2 })
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrBusy)
	g.open <- struct{}{}
	wg.Wait()
	require.Equal(t, uint64(2), n.Writer.Stats().LargestGroup)
}

func TestWhoGivesUpLearnsWhatIsCertain(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	g := gated(n)
	ctx, cancel := context.WithCancel(t.Context())
	taken := eventstoretest.SubmitAs(uuid.New(), toy{Account: "a", Amount: 1, Pad: "gate"})
	waiting := eventstoretest.Submit("a", 2)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { _, errs[0] = n.Writer.Submit(ctx, taken) })
	<-g.entered
	wg.Go(func() { _, errs[1] = n.Writer.Submit(ctx, waiting) })
	eventually(t, "one waits", func() bool { return n.Writer.Stats().Queued == 1 })
	cancel()
	wg.Wait()
	require.ErrorIs(t, errs[0], eventstore.ErrOutcomeUnknown)
	require.ErrorIs(t, errs[1], eventstore.ErrNotWritten)
	require.ErrorIs(t, errs[1], context.Canceled)
	g.open <- struct{}{}
	n.Book.Judged = nil
	o, err := n.Writer.Submit(t.Context(), taken)
	require.NoError(t, err)
	require.True(t, o.Replayed)
	_, err = n.Writer.Outcome(t.Context(), eventstore.CommandKey{Tenant: eventstoretest.Tenant, ID: waiting.ID})
	require.ErrorIs(t, err, eventstore.ErrNotFound)
}

func TestALogShorterThanItsReadersIsFound(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	head := n.Writer.Head()
	n.Close()
	for name, through := range map[string]eventstore.Cursor{
		"an index ahead of the log":       {Sequence: 9, Position: 9, Hash: head.Hash},
		"an index of another last record": {Sequence: 1, Hash: eventstore.HashOf(nil)},
	} {
		log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
		require.NoError(t, err)
		w := eventstore.NewWriter(log, eventstoretest.NewBook(), eventstoretest.Codec{}, indexThrough{through: through}, eventstore.WriterOptions{})
		require.ErrorIs(t, w.Start(t.Context()), eventstore.ErrIntegrity, name)
		require.NoError(t, errors.Join(w.Close(), log.Close()))
	}
	for name, from := range map[string]eventstore.Cursor{
		"a reader ahead of the log":       {Sequence: 9, Position: 9, Hash: head.Hash},
		"a reader of another last record": {Sequence: 1, Hash: eventstore.HashOf(nil)},
	} {
		log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
		require.NoError(t, err)
		for _, err := range log.Follow(t.Context(), from) {
			require.ErrorIs(t, err, eventstore.ErrIntegrity, name)
		}
		require.ErrorIs(t, log.Err(), eventstore.ErrIntegrity, name)
		require.NoError(t, log.Close())
	}
}

func TestAStreamDeletedUnderTheWriterStopsIt(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	opts.Timeout = time.Second
	n := store.Node(t, opts, nil)
	require.NoError(t, store.JetStream(t).DeleteStream(t.Context(), opts.Stream))
	_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.Error(t, err)
	eventually(t, "the writer stops", func() bool { return errors.Is(n.Writer.Err(), eventstore.ErrIntegrity) })
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
}

func TestInvalidSubmissionsAreRefused(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	for name, spoil := range map[string]func(*eventstore.Submission[toy]){
		"no id":           func(s *eventstore.Submission[toy]) { s.ID = uuid.Nil },
		"no name":         func(s *eventstore.Submission[toy]) { s.Name = "" },
		"a long reason":   func(s *eventstore.Submission[toy]) { s.Reason = string(make([]byte, eventstore.MaxReason+1)) },
		"no UTF-8":        func(s *eventstore.Submission[toy]) { s.Reason = "\xff" },
		"no UTF-8 in app": func(s *eventstore.Submission[toy]) { s.Actor.App = "\xff" },
	} {
		s := eventstoretest.Submit("a", 1)
		spoil(&s)
		_, err := n.Writer.Submit(t.Context(), s)
		require.ErrorIs(t, err, eventstore.ErrInvalid, name)
	}
	n.Close()
	_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
}
