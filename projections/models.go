// Package projections keeps the read models: what anyone asks about partners, customers, permissions,
// orders, reservations and the activity log is a fold of the log into the tables of one SQLite database.
//
// Each read model has a file of its own with its tables, its rows, its fold and its queries. All of them
// and the checkpoint, which says up to where they are the fold of the log, change in one transaction.
// The database may be removed at any time: the log makes the same rows again, byte for byte.
package projections

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"permledger/eventstore"
	"permledger/projections/sqlite"
)

// ErrClosed says that the read models were closed.
var ErrClosed = errors.New("the read models are closed")

// ErrStopped says that the read models do not follow the log for now; what is waited for will not come
// before they do again.
var ErrStopped = errors.New("the read models do not follow the log")

// Options tune Models.
type Options struct {
	Readers  int            // queries answered at the same time; 4 when 0
	Progress func(Progress) // told while Run catches up; may be nil
}

// Models owns the read models of one ledger. Its methods may be called from any goroutine.
type Models struct {
	dir     string
	options Options
	models  []model
	witness eventstore.Cursor // of a database that was dropped

	rebuilding sync.Mutex // held by the one rebuild
	applying   sync.Mutex // held while rows are written or the store is replaced; before mu

	mu         sync.RWMutex
	current    *store            // guarded by mu; what it points to is not
	generation int               // of current's file; guarded by mu
	cursor     eventstore.Cursor // guarded by mu
	moved      chan struct{}     // closed when cursor or failed changes; guarded by mu
	doubted    bool              // nothing vouches for current; guarded by mu
	failed     error             // why Run stopped for good; guarded by mu
	closed     bool              // guarded by mu
}

// Open opens the read models in a directory and answers from what is there. A directory without a
// database of this program's models gets an empty one; Run fills it.
func Open(ctx context.Context, dir string, o Options) (*Models, error) {
	return open(ctx, dir, o, models)
}

func open(ctx context.Context, dir string, o Options, list []model) (*Models, error) {
	m := &Models{dir: dir, options: o, models: list, moved: make(chan struct{})}
	generation, err := newestGeneration(dir, fingerprintOf(list))
	if err != nil {
		return nil, err
	}
	path := m.path(generation)
	sound, err := unseal(path)
	if err != nil {
		return nil, err
	}
	m.current, err = openStore(ctx, path, list, sqlite.Options{Readers: o.Readers})
	if !sound {
		if m.doubted = err == nil && sizeOf(path) > doubtfulBytes; !m.doubted {
			if err := m.drop(path); err != nil {
				return nil, err
			}
			generation++
			m.current, err = openStore(ctx, m.path(generation), list, sqlite.Options{Readers: o.Readers})
		}
	}
	if err != nil {
		return nil, err
	}
	m.generation, m.cursor = generation, m.current.cursor
	return m, nil
}

// drop removes a database in doubt. What it said of the log is kept as a witness.
func (m *Models) drop(path string) error {
	if m.current != nil {
		m.witness = m.current.cursor
		if err := m.current.db.Close(); err != nil {
			return fmt.Errorf("drop read models in doubt: %w", err)
		}
	}
	return remove(path)
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (m *Models) path(generation int) string {
	return databasePath(m.dir, fingerprintOf(m.models), generation)
}

// Close ends all queries' right to begin, waits for those under way and closes the database. Run and
// Rebuild must have returned.
func (m *Models) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	m.announce()
	st, doubted := m.current, m.doubted
	m.mu.Unlock()
	st.queries.Wait()
	if err := st.db.Close(); err != nil || doubted {
		return err
	}
	return seal(st.db.Path())
}

// acquire gives the store that answers queries now. The caller calls queries.Done on it.
func (m *Models) acquire() (*store, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	m.current.queries.Add(1)
	return m.current, nil
}

// Checkpoint says up to where the rows are the fold of the log.
func (m *Models) Checkpoint() eventstore.Cursor {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.cursor
}

// Err is why the read models stopped following the log; nil while they do, or when Run was asked to stop.
func (m *Models) Err() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.failed
}

// Advanced gives the position of the newest event that queries see, and a channel that is closed once
// that is no longer so. Whoever feeds a stream sends what there is up to position, then waits.
func (m *Models) Advanced() (position uint64, changed <-chan struct{}) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.cursor.Position, m.moved
}

// WaitFor returns once queries see the event at a position: who waits for the position of a write reads
// that write. It fails when ctx ends first, or when the models stopped following the log.
func (m *Models) WaitFor(ctx context.Context, position uint64) error {
	return m.wait(ctx, func(c eventstore.Cursor) bool { return c.Position >= position })
}

// WaitForRecord returns once the models have taken in a record, also one without events. It fails as WaitFor
// does.
func (m *Models) WaitForRecord(ctx context.Context, sequence uint64) error {
	return m.wait(ctx, func(c eventstore.Cursor) bool { return c.Sequence >= sequence })
}

func (m *Models) wait(ctx context.Context, reached func(eventstore.Cursor) bool) error {
	for {
		m.mu.RLock()
		at, moved, failed, closed := m.cursor, m.moved, m.failed, m.closed
		m.mu.RUnlock()
		switch {
		case reached(at):
			return nil
		case closed:
			return ErrClosed
		case failed != nil:
			return fmt.Errorf("at position %d: %w: %w", at.Position, ErrStopped, failed)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for the read models, at position %d now: %w", at.Position, ctx.Err())
		}
	}
}

// announce wakes everybody who waits. The caller holds mu.
func (m *Models) announce() {
	close(m.moved)
	m.moved = make(chan struct{})
}

// advance makes a new checkpoint known.
func (m *Models) advance(cursor eventstore.Cursor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	moved := cursor.Sequence != m.cursor.Sequence
	m.cursor = cursor
	if moved {
		m.announce()
	}
}

// fail notes why Run stopped, nil when it starts anew.
func (m *Models) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = err
	if err != nil {
		m.announce()
	}
}
