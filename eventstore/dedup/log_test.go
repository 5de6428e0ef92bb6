package dedup

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written is a log in memory.
type written struct {
	mu      sync.Mutex
	ledger  uuid.UUID
	records []eventstore.Stored
	at      map[eventstore.CommandKey][]uint64 // records that hold a command
	keys    []eventstore.CommandKey            // of all commands, in order
	broken  error                              // of every read
}

func newLog() *written {
	l := &written{ledger: uuid.New(), at: make(map[eventstore.CommandKey][]uint64)}
	l.record() // its genesis
	return l
}

func (l *written) Ledger() (uuid.UUID, eventstore.Hash, bool) {
	return l.ledger, eventstore.Hash{}, true
}

func (l *written) Get(_ context.Context, sequence uint64) (eventstore.Stored, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sequence == 0 || sequence > uint64(len(l.records)) {
		return eventstore.Stored{}, fmt.Errorf("record %d: %w", sequence, eventstore.ErrNotFound)
	}
	return l.records[sequence-1], nil
}

func (l *written) Read(_ context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for at := from.Sequence; ; at++ {
			l.mu.Lock()
			broken := l.broken
			if at >= uint64(len(l.records)) {
				l.mu.Unlock()
				return
			}
			s := l.records[at]
			l.mu.Unlock()
			if broken != nil {
				yield(eventstore.Stored{}, broken)
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (l *written) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

func (l *written) head() eventstore.Cursor { return l.records[len(l.records)-1].Cursor() }

// record adds a record with these commands, each with one event.
func (l *written) record(keys ...eventstore.CommandKey) eventstore.Stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := eventstore.Record{Version: 1, Ledger: l.ledger, First: 1, Time: time.Unix(1_800_000_000, 0).UTC(), Commands: []eventstore.Command{}}
	if n := len(l.records); n > 0 {
		at := l.records[n-1].Cursor()
		r.First, r.Previous = at.Position+1, at.Hash
	}
	for _, k := range keys {
		r.Commands = append(r.Commands, eventstore.Command{
			ID: k.ID, Name: "Do", Actor: eventstore.Actor{Tenant: k.Tenant, Roles: []string{}},
			Events: []eventstore.Event{{Type: "Done", Version: 1, Partner: "p", Data: []byte("{}")}},
		})
	}
	b := eventstore.AppendRecord(nil, &r)
	s := eventstore.Stored{Sequence: uint64(len(l.records) + 1), Hash: eventstore.HashOf(b), Bytes: b, Record: r}
	l.records = append(l.records, s)
	for _, k := range keys {
		l.at[k] = append(l.at[k], s.Sequence)
	}
	l.keys = append(l.keys, keys...)
	return s
}

// opened opens the ids of a log and takes in what they lack.
func opened(t *testing.T, dir string, l *written, gather int) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, l, Options{Gather: gather})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	follow(s, l)
	return s
}

func follow(s *Store, l *written) {
	for stored, err := range l.Read(context.Background(), s.Through()) {
		if err != nil {
			panic(err)
		}
		s.Take(stored.Cursor(), stored.CommandKeys())
	}
}

// grow adds records with random commands; now and then one that is there already,
// or an id of another tenant.
func (l *written) grow(random *rand.Rand, records int) {
	for range records {
		keys := make([]eventstore.CommandKey, random.IntN(9))
		for i := range keys {
			keys[i] = eventstore.CommandKey{Tenant: fmt.Sprint("tenant ", random.IntN(5)), ID: randomID(random)}
			if len(l.keys) > 0 && random.IntN(20) == 0 {
				keys[i].ID = l.keys[random.IntN(len(l.keys))].ID
			}
		}
		l.record(keys...)
	}
}

func randomID(random *rand.Rand) (id uuid.UUID) {
	for i := range id {
		id[i] = byte(random.Uint32())
	}
	return id
}

// settled waits until nothing is left to be written, mended or merged.
func settled(t *testing.T, s *Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		v := s.view.Load()
		from, to := s.mergeable(v.segments)
		st := s.Status()
		return len(v.tables) == 1 && from == to && st.Damaged == 0 && st.Err == nil
	}, time.Minute, time.Millisecond)
}

// files lists the segments of a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	require.NoError(t, err)
	return names
}

// flip changes one bit of a file in place.
func flip(t *testing.T, path string, bit int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], bit/8)
	require.NoError(t, err)
	b[0] ^= 1 << (bit % 8)
	_, err = f.WriteAt(b[:], bit/8)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
