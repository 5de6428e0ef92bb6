package eventstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/dedup"
	"permledger/eventstore/eventstoretest"
)

// indexThrough is an index that has taken in a log up to a record, and is asked
// nothing.
type indexThrough struct {
	eventstore.Index
	through eventstore.Cursor
}

func (x indexThrough) Through() eventstore.Cursor { return x.through }

// keeping opens real ids in a directory, written a few at a time.
func keeping(tb testing.TB, dir string) func(*eventstore.Log) eventstore.Index {
	return func(log *eventstore.Log) eventstore.Index { return kept(tb, dir, log) }
}

func kept(tb testing.TB, dir string, log *eventstore.Log) *dedup.Store {
	tb.Helper()
	ids, err := dedup.Open(context.Background(), filepath.Join(dir, "ids"), log, dedup.Options{Gather: 5})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, ids.Close()) })
	return ids
}

// blurred is an index that can not tell tenants apart, as if all had one tag.
type blurred struct{ eventstore.Index }

func (x blurred) Take(through eventstore.Cursor, commands []eventstore.CommandKey) {
	alike := make([]eventstore.CommandKey, len(commands))
	for i := range commands {
		alike[i].ID = commands[i].ID
	}
	x.Index.Take(through, alike)
}

func (x blurred) Find(key eventstore.CommandKey) ([]uint64, eventstore.Seen, error) {
	return x.Index.Find(eventstore.CommandKey{ID: key.ID})
}

func (x blurred) Newer(seen eventstore.Seen, key eventstore.CommandKey) []uint64 {
	return x.Index.Newer(seen, eventstore.CommandKey{ID: key.ID})
}

// failing is an index that does not know while it is broken.
type failing struct {
	eventstore.Index
	broken atomic.Bool
}

func (x *failing) Find(key eventstore.CommandKey) ([]uint64, eventstore.Seen, error) {
	if x.broken.Load() {
		return nil, nil, errors.New("the index is broken")
	}
	return x.Index.Find(key)
}

func (x *failing) FindAll(id uuid.UUID) ([]uint64, error) {
	if x.broken.Load() {
		return nil, errors.New("the index is broken")
	}
	return x.Index.FindAll(id)
}

func TestG4DuplicatesAreFoundWhereverTheirIDsAre(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, keeping(t, opts.Dir))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var sent []eventstore.Submission[toy]
	var first []eventstore.Outcome[eventstoretest.Changed]
	replayAll := func() {
		t.Helper()
		var wg sync.WaitGroup
		for i := range sent {
			for range 3 {
				wg.Go(func() {
					o, err := n.Writer.Submit(ctx, sent[i])
					if err != nil || !o.Replayed || o.Sequence != first[i].Sequence || o.Position != first[i].Position {
						t.Errorf("duplicate %d: %+v, %v", i, o, err)
					}
				})
			}
		}
		wg.Wait()
	}
	for round := range 3 {
		var wg sync.WaitGroup
		wg.Go(func() { // tables become segments while duplicates come in
			for range 40 {
				_, err := n.Writer.Submit(ctx, eventstoretest.Submit("other", 1))
				if err != nil {
					t.Error(err)
				}
			}
		})
		for range 20 {
			s := eventstoretest.Submit("a", 1)
			o, err := n.Writer.Submit(ctx, s)
			require.NoError(t, err)
			sent, first = append(sent, s), append(first, o)
		}
		replayAll()
		wg.Wait()
		require.Equal(t, int64(20*(round+1)), n.Book.Balances["a"])
	}
	n.Close()
	n = store.Node(t, opts, nil) // all from the fold
	replayAll()
	require.Equal(t, int64(60), n.Book.Balances["a"])
}

func TestG4AnIDIsUsedUpForItsOwnTenantAlone(t *testing.T) {
	t.Parallel()
	for name, index := range map[string]func(*eventstore.Log) eventstore.Index{
		"in memory":              nil,
		"in segments":            keeping(t, t.TempDir()),
		"with tags that collide": func(log *eventstore.Log) eventstore.Index { return blurred{kept(t, t.TempDir(), log)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := embeddedStore(t)
			n := store.Node(t, store.Options(t, eventstoretest.Stream()), index)
			of := func(tenant string, id uuid.UUID, amount int64) eventstore.Submission[toy] {
				s := eventstoretest.SubmitAs(id, toy{Account: tenant, Amount: amount})
				s.Actor.Tenant = tenant
				return s
			}
			id, wanted := uuid.New(), map[string]int64{}
			for i, tenant := range []string{"a", "b", "c", "d", "e", "f", "g"} {
				o, err := n.Writer.Submit(t.Context(), of(tenant, id, int64(i+1)))
				require.NoError(t, err)
				require.False(t, o.Replayed, tenant)
				wanted[tenant] = int64(i + 1)
			}
			for tenant, amount := range wanted {
				o, err := n.Writer.Submit(t.Context(), of(tenant, id, amount))
				require.NoError(t, err)
				require.True(t, o.Replayed, tenant)
				_, err = n.Writer.Submit(t.Context(), of(tenant, id, amount+1))
				require.ErrorIs(t, err, eventstore.ErrCommandIDReused)
				r, err := n.Writer.Outcome(t.Context(), eventstore.CommandKey{Tenant: tenant, ID: id})
				require.NoError(t, err)
				require.Equal(t, o.Sequence, r.Sequence)
				require.Equal(t, amount, n.Book.Balances[tenant])
			}
			all, err := n.Writer.Outcomes(t.Context(), id)
			require.NoError(t, err)
			require.Len(t, all, len(wanted))
			require.Equal(t, "a", all[0].Command.Actor.Tenant)
			_, err = n.Writer.Outcome(t.Context(), eventstore.CommandKey{Tenant: "h", ID: id})
			require.ErrorIs(t, err, eventstore.ErrNotFound)
		})
	}
}

func TestG4TenantsShareAnIDWithinAGroupAndAFlight(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), func(log *eventstore.Log) eventstore.Index { return blurred{kept(t, t.TempDir(), log)} })
	id := uuid.New()
	as := func(tenant string) eventstore.Submission[toy] {
		s := eventstoretest.SubmitAs(id, toy{Account: tenant, Amount: 5})
		s.Actor.Tenant = tenant
		return s
	}
	f, flying := depart(t, n, as("a"))
	answers := map[string]chan sent{"a again": f.submit(as("a")), "b": f.submit(as("b")), "b again": f.submit(as("b")), "c": f.submit(as("c"))}
	eventually(t, "all are taken", func() bool { return n.Writer.Stats().Queued == 0 })
	close(f.land)
	require.NoError(t, (<-flying).err)
	for name, answer := range answers {
		require.NoError(t, (<-answer).err, name)
	}
	for _, tenant := range []string{"a", "b", "c"} {
		require.Equal(t, int64(5), n.Book.Balances[tenant], tenant)
	}
}

func TestAnIndexThatDoesNotKnowRefuses(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	index := &failing{}
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), func(log *eventstore.Log) eventstore.Index {
		index.Index = kept(t, t.TempDir(), log)
		return index
	})
	index.broken.Store(true)
	s := eventstoretest.Submit("a", 1)
	_, err := n.Writer.Submit(t.Context(), s)
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	_, err = n.Writer.Outcome(t.Context(), eventstore.CommandKey{Tenant: eventstoretest.Tenant, ID: s.ID})
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	_, err = n.Writer.Outcomes(t.Context(), s.ID)
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.Zero(t, n.Book.Balances["a"])
	index.broken.Store(false)
	_, err = n.Writer.Submit(t.Context(), s)
	require.NoError(t, err)
}

// TestG4TheFirstRecordOfAnIDCounts folds a log that no writer would have written.
func TestG4TheFirstRecordOfAnIDCounts(t *testing.T) {
	t.Parallel()
	for name, index := range map[string]func(*eventstore.Log) eventstore.Index{"in memory": nil, "in segments": keeping(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := embeddedStore(t)
			opts := store.Options(t, eventstoretest.Stream())
			n := store.Node(t, opts, nil)
			s := eventstoretest.Submit("a", 1)
			first, err := n.Writer.Submit(t.Context(), s)
			require.NoError(t, err)
			repeatRecord(t, n.Log, first.Sequence)
			n.Close()
			n = store.Node(t, opts, index)
			require.Equal(t, int64(2), n.Book.Balances["a"], "what is recorded happened")
			again, err := n.Writer.Submit(t.Context(), s)
			require.NoError(t, err)
			require.Equal(t, first.Sequence, again.Sequence)
			all, err := n.Writer.Outcomes(t.Context(), s.ID)
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Equal(t, first.Sequence, all[0].Sequence)
		})
	}
}

// repeatRecord stores the commands of a record a second time.
func repeatRecord(t *testing.T, log *eventstore.Log, sequence uint64) {
	t.Helper()
	s, err := log.Get(t.Context(), sequence)
	require.NoError(t, err)
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	again := s.Record
	again.First, again.Previous, again.Time = head.Position+1, head.Hash, head.Time
	_, err = log.Append(t.Context(), head, eventstore.AppendRecord(nil, &again))
	require.NoError(t, err)
}
