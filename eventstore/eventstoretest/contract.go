package eventstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// Store is a server to test with.
type Store struct {
	// JetStream returns the connection of a new node.
	JetStream func(tb testing.TB) jetstream.JetStream
	// Replicas of the streams.
	Replicas int
}

// Node is one node: a log in a directory of its own, and a writer on it.
type Node struct {
	Log    *eventstore.Log
	Writer *eventstore.Writer[Transfer, Changed]
	Book   *Book
	Faults *Faults
	dir    string
}

// patience is how long a submission is sent again.
const patience = 90 * time.Second

// Submit sends a submission again until its outcome is known: a busy machine may
// leave one without an answer.
func (n *Node) Submit(ctx context.Context, s eventstore.Submission[Transfer]) (eventstore.Outcome[Changed], error) {
	for began := time.Now(); ; {
		o, err := n.Writer.Submit(ctx, s)
		unsure := errors.Is(err, eventstore.ErrOutcomeUnknown) || errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, eventstore.ErrIntegrity)
		if !unsure || ctx.Err() != nil || time.Since(began) > patience {
			return o, err
		}
		time.Sleep(20 * time.Millisecond) // as a client that is told to try again
	}
}

// Options returns options that found a ledger, in a directory that ends with the
// test.
func (s Store) Options(tb testing.TB, stream string) eventstore.Options {
	return eventstore.Options{
		Stream: stream, Subject: "toy." + stream, Dir: tb.TempDir(), Shared: true, Replicas: s.Replicas,
		AppendTimeout: 20 * time.Second, Confirm: 50 * time.Millisecond, Found: true,
	}
}

// Joining returns options for one more node of a ledger, in a directory that
// ends with the test.
func (s Store) Joining(tb testing.TB, stream string, ledger uuid.UUID) eventstore.Options {
	opts := s.Options(tb, stream)
	opts.Found, opts.Join = false, ledger
	return opts
}

// Stream returns a stream name of its own.
func Stream() string { return "T" + uuid.NewString()[:13] }

// Node starts a node. index, when given, opens the index of its commands. Options
// that found a ledger join the one that the stream holds already.
func (s Store) Node(tb testing.TB, opts eventstore.Options, index func(*eventstore.Log) eventstore.Index) *Node {
	tb.Helper()
	n := &Node{Book: NewBook(), Faults: &Faults{JetStream: s.JetStream(tb)}, dir: opts.Dir}
	var err error
	n.Log, err = eventstore.Open(tb.Context(), n.Faults, opts)
	if other, ok := errors.AsType[*eventstore.JoinError](err); ok && opts.Found {
		opts.Found, opts.Join = false, other.Ledger
		n.Log, err = eventstore.Open(tb.Context(), n.Faults, opts)
	}
	require.NoError(tb, err)
	var idx eventstore.Index
	if index != nil {
		idx = index(n.Log)
	}
	n.Writer = eventstore.NewWriter(n.Log, n.Book, Codec{}, idx, eventstore.WriterOptions{})
	tb.Cleanup(n.Close)
	require.NoError(tb, n.Writer.Start(tb.Context()))
	return n
}

// Close stops the node.
func (n *Node) Close() {
	_ = n.Writer.Close()
	_ = n.Log.Close()
}

// Contract runs what every store has to keep.
func Contract(t *testing.T, store Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"of nodes that found a ledger at once one does":    oneGenesis,
		"what is recorded can be read, followed and found": readBack,
		"G3 two writers never decide on a stale state":     twoWriters,
		"a lost acknowledgement is resolved both ways":     lostAck,
		"G4 parallel duplicates have one effect":           parallelDuplicates,
		"G4 an id is not taken for other content":          reusedID,
		"a dry run leaves no trace":                        dryRun,
		"a refusal leaves no trace":                        refusal,
		"already so is recorded":                           alreadySo,
		"an append behind an old head is refused":          fence,
		"a group larger than a record is split":            largeGroups,
		"an export imports to the same head":               exportImport,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, store)
		})
	}
}

func oneGenesis(t *testing.T, store Store) {
	stream := Stream()
	logs, dirs := make([]*eventstore.Log, 3), make([]string, 3)
	for i := range logs {
		opts := store.Options(t, stream)
		log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
		require.NoError(t, err)
		defer func() { _ = log.Close() }()
		logs[i], dirs[i] = log, opts.Dir
	}
	errs := make([]error, len(logs))
	var wg sync.WaitGroup
	for i, log := range logs {
		wg.Go(func() { errs[i] = log.EnsureGenesis(t.Context()) })
	}
	wg.Wait()
	won := slices.Index(errs, nil)
	require.NotEqual(t, -1, won, "%v", errs)
	ledger, genesis, ok := logs[won].Ledger()
	require.True(t, ok)
	for i, log := range logs {
		if i != won {
			var join *eventstore.JoinError
			require.ErrorAs(t, errs[i], &join, "one ledger, and one founder")
			require.Equal(t, ledger, join.Ledger)
			require.NoError(t, log.Close())
			opts := store.Joining(t, stream, ledger)
			opts.Dir = dirs[i]
			var err error
			log, err = eventstore.Open(t.Context(), store.JetStream(t), opts)
			require.NoError(t, err)
			defer func() { _ = log.Close() }()
		}
		id, g, _ := log.Ledger()
		require.Equal(t, ledger, id)
		require.Equal(t, genesis, g)
		head, err := log.Head(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(1), head.Sequence)
		require.Equal(t, uint64(0), head.Position)
	}
}

func readBack(t *testing.T, store Store) {
	opts := store.Options(t, Stream())
	n := store.Node(t, opts, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	followed := make(chan eventstore.Stored, 100)
	var wg sync.WaitGroup
	follow, stop := context.WithCancel(ctx)
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for s, err := range n.Log.Follow(follow, eventstore.Cursor{}) {
			if err != nil {
				return
			}
			followed <- s
		}
	})
	var outcomes []eventstore.Outcome[Changed]
	for i := range 20 {
		o, err := n.Submit(ctx, Submit("a", int64(i+1)))
		require.NoError(t, err)
		require.Equal(t, uint64(i+1), o.Position)
		require.Equal(t, o.Position, o.FirstPosition)
		require.False(t, o.Replayed)
		outcomes = append(outcomes, o)
	}
	require.Equal(t, uint64(1), (<-followed).Sequence)
	for _, o := range outcomes {
		s := <-followed
		require.Equal(t, o.Sequence, s.Sequence)
		got, err := n.Log.Get(ctx, o.Sequence)
		require.NoError(t, err)
		require.Equal(t, s, got)
		again, err := n.Writer.Outcome(ctx, eventstore.CommandKey{Tenant: Tenant, ID: o.ID})
		require.NoError(t, err)
		require.Equal(t, "because", again.Command.Reason)
		require.True(t, again.Replayed)
		again.Replayed = false
		require.Equal(t, o, again.Outcome)
	}
	_, err := n.Writer.Outcome(ctx, eventstore.CommandKey{Tenant: Tenant, ID: uuid.New()})
	require.ErrorIs(t, err, eventstore.ErrNotFound)
	_, err = n.Log.Get(ctx, 1000)
	require.ErrorIs(t, err, eventstore.ErrNotFound)
	report, err := n.Log.Verify(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, uint64(20), report.Events)
	require.Equal(t, n.Writer.Head(), report.Head)

	n.Close()
	n = store.Node(t, opts, nil)
	require.Equal(t, int64(210), n.Book.Balances["a"])
	require.Equal(t, report.Head, n.Writer.Head())
}

func twoWriters(t *testing.T, store Store) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	stream := Stream()
	nodes := []*Node{store.Node(t, store.Options(t, stream), nil), store.Node(t, store.Options(t, stream), nil)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const clients, rounds = 8, 25
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(c)))
			for range rounds {
				amount := int64(random.IntN(20)) - 12 // more is wanted than is there
				_, err := nodes[random.IntN(2)].Submit(ctx, Submit(fmt.Sprint("account ", random.IntN(3)), amount))
				if err != nil && !errors.Is(err, ErrOverdrawn) {
					t.Errorf("submit: %v", err)
				}
			}
		})
	}
	wg.Wait()
	balances := map[string]int64{}
	for s, err := range nodes[0].Log.Read(ctx, eventstore.Cursor{}) {
		require.NoError(t, err)
		for _, c := range s.Record.Commands {
			for _, e := range c.Events {
				d, err := Codec{}.Decode(e, 0, s.Record.Time)
				require.NoError(t, err)
				balances[d.Account] += d.Amount
				require.GreaterOrEqual(t, balances[d.Account], int64(0), "record %d was decided on a stale state", s.Sequence)
			}
		}
	}
	t.Logf("conflicts %d and %d", nodes[0].Writer.Stats().Conflicts, nodes[1].Writer.Stats().Conflicts)
}

func lostAck(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	for _, plan := range [][]Fault{{Lose}, {LoseAck}, {Lose, LoseAck}, {Lose, Lose, Pass}} {
		n.Faults.Plan(plan...)
		before := n.Writer.Head()
		o, err := n.Submit(t.Context(), Submit("a", 1))
		require.NoError(t, err)
		require.Equal(t, before.Position+1, o.Position, "stored once, plan %v", plan)
	}
	report, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(4), report.Events)
}

func parallelDuplicates(t *testing.T, store Store) {
	opts := store.Options(t, Stream())
	n := store.Node(t, opts, nil)
	s := SubmitAs(uuid.New(), Transfer{Account: "a", Amount: 7})
	const clients = 50
	all := func(n *Node) (first eventstore.Outcome[Changed], fresh int) {
		outcomes, errs := make([]eventstore.Outcome[Changed], clients), make([]error, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() { outcomes[i], errs[i] = n.Submit(t.Context(), s) })
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		for i := range outcomes {
			if !outcomes[i].Replayed {
				fresh++
			}
			outcomes[i].Replayed = false
			require.Equal(t, outcomes[0], outcomes[i])
		}
		return outcomes[0], fresh
	}
	first, fresh := all(n)
	require.Equal(t, 1, fresh)
	n.Close()
	n = store.Node(t, opts, nil)
	again, fresh := all(n)
	require.Equal(t, 0, fresh)
	require.Equal(t, first, again)
	require.Equal(t, int64(7), n.Book.Balances["a"])
}

func reusedID(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	s := SubmitAs(uuid.New(), Transfer{Account: "a", Amount: 7})
	_, err := n.Submit(t.Context(), s)
	require.NoError(t, err)
	_, err = n.Submit(t.Context(), SubmitAs(s.ID, Transfer{Account: "a", Amount: 8}))
	require.ErrorIs(t, err, eventstore.ErrCommandIDReused)
	// Two of them in parallel: one is recorded, the other refused.
	id := uuid.New()
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = n.Submit(t.Context(), SubmitAs(id, Transfer{Account: "a", Amount: int64(i + 1)}))
		})
	}
	wg.Wait()
	require.NotEqual(t, errs[0] == nil, errs[1] == nil, "%v", errs)
	require.ErrorIs(t, errors.Join(errs...), eventstore.ErrCommandIDReused)
}

func dryRun(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	_, err := n.Submit(t.Context(), Submit("a", 5))
	require.NoError(t, err)
	before := n.Writer.Head()
	s := Submit("a", -3)
	s.DryRun = true
	for range 3 { // three times three is more than five
		o, err := n.Submit(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, o.Sequence)
		require.Len(t, o.Events, 1)
		require.Len(t, o.Stored, 1)
		require.Equal(t, uint64(2), o.Position)
	}
	s.Command.Amount = -6
	_, err = n.Submit(t.Context(), s)
	require.ErrorIs(t, err, ErrOverdrawn)
	require.Equal(t, before, n.Writer.Head())
	_, err = n.Writer.Outcome(t.Context(), eventstore.CommandKey{Tenant: Tenant, ID: s.ID})
	require.ErrorIs(t, err, eventstore.ErrNotFound)
	s.Command.Amount, s.DryRun = -3, false
	o, err := n.Submit(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, uint64(2), o.Position)
}

func refusal(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	before := n.Writer.Head()
	s := Submit("a", -1)
	_, err := n.Submit(t.Context(), s)
	require.ErrorIs(t, err, ErrOverdrawn)
	require.Equal(t, before, n.Writer.Head())
	_, err = n.Submit(t.Context(), Submit("a", 1))
	require.NoError(t, err)
	o, err := n.Submit(t.Context(), s) // a refused id is free
	require.NoError(t, err)
	require.False(t, o.Replayed)
}

func alreadySo(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	_, err := n.Submit(t.Context(), Submit("a", 1))
	require.NoError(t, err)
	s := Submit("a", 0)
	first, err := n.Submit(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, uint64(3), first.Sequence)
	require.Equal(t, uint64(1), first.Position)
	require.Zero(t, first.FirstPosition)
	again, err := n.Submit(t.Context(), s)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	again.Replayed = false
	require.Equal(t, first, again)
}

func fence(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	old := n.Writer.Head()
	_, err := n.Submit(t.Context(), Submit("a", 1))
	require.NoError(t, err)
	ledger, _, _ := n.Log.Ledger()
	late := eventstore.Record{Version: 1, Ledger: ledger, First: 1, Time: old.Time, Previous: old.Hash, Commands: []eventstore.Command{}}
	_, err = n.Log.Append(t.Context(), old, eventstore.AppendRecord(nil, &late))
	require.ErrorIs(t, err, eventstore.ErrConflict)
	report, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(2), report.Records)
}

func largeGroups(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	pad := string(bytes.Repeat([]byte("x"), 200_000))
	const clients = 24 // more than one record holds
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() {
			_, errs[i] = n.Submit(t.Context(), SubmitAs(uuid.New(), Transfer{Account: "a", Amount: 1, Pad: pad}))
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	s := Submit("a", 1)
	s.Command.Pad = string(bytes.Repeat([]byte("x"), eventstore.MaxRecordBytes))
	_, err := n.Submit(t.Context(), s)
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
	report, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, uint64(clients), report.Events)
	require.Greater(t, report.Records, uint64(2))
}

func exportImport(t *testing.T, store Store) {
	n := store.Node(t, store.Options(t, Stream()), nil)
	for i := range 30 {
		_, err := n.Submit(t.Context(), Submit("a", int64(i)))
		require.NoError(t, err)
	}
	var file bytes.Buffer
	exported, err := n.Log.Export(t.Context(), &file, nil)
	require.NoError(t, err)

	opts := store.Options(t, Stream())
	log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.NoError(t, err)
	defer func() { _ = log.Close() }()
	imported, err := log.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, exported.Head, imported.Head)
	verified, err := log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, exported.Head, verified.Head)
	require.Equal(t, exported.Ledger, verified.Ledger)
	_, err = log.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.ErrorIs(t, err, eventstore.ErrNotEmpty)
	_, err = n.Log.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.ErrorIs(t, err, eventstore.ErrNotEmpty)
	require.NoError(t, log.Close())

	again := store.Node(t, opts, nil)
	require.Equal(t, n.Book.Balances, again.Book.Balances)
	_, err = again.Submit(t.Context(), Submit("a", 1))
	require.NoError(t, err)
}
