package dedup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// Source is the log whose ids are kept. *eventstore.Log is one.
type Source interface {
	// Ledger names the ledger, false while it has no record.
	Ledger() (id uuid.UUID, genesis eventstore.Hash, ok bool)
	// Get gives one record.
	Get(ctx context.Context, sequence uint64) (eventstore.Stored, error)
	// Read gives the records after a cursor up to the head.
	Read(ctx context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error]
}

var _ Source = (*eventstore.Log)(nil)

// Options tune a Store. The zero value is good.
type Options struct {
	// Gather is how many ids are gathered in memory before they are written,
	// DefaultGather when zero.
	Gather int
	// Logger gets what an operator should know; nothing is logged when nil.
	Logger *slog.Logger
}

// Store knows the id of every command in the log up to Through. One goroutine,
// the writer's, takes records in and asks Newer; the rest may be called from any.
//
// The invariant: every id recorded up to Through is in a segment of the newest
// view or in one of its tables, in at least one of them at any moment. Three
// things keep it. Take puts the ids of a record into the newest table before
// anybody is answered about that record, and the writer takes the records in one
// by one, without gaps: first whatever the segments lack, before it takes any
// command. A table leaves the view in the same step that brings the segment
// written from it, and a segment in the same step that brings those that replace
// it. And a segment answers only with blocks that it has checked: what it cannot
// check is an error, never a "no".
//
// A command is therefore new if Find, with everything in the view, does not
// know it, and the tables that took in records since then do not either. The
// newest table of the view and those chained behind it are exactly these, even
// when they have become segments meanwhile. That is what Newer looks through, at
// the moment of the decision.
type Store struct {
	dir     string
	source  Source
	options Options

	tags tags // of the goroutine that takes in

	mu   sync.Mutex // held while the view is replaced
	view atomic.Pointer[view]

	wake   chan struct{} // for the keeper: something may have to be written
	stop   context.CancelFunc
	done   sync.WaitGroup
	closed sync.Once
	failed atomic.Pointer[failure]
}

// failure is why the keeper could not do its work the last time.
type failure struct{ err error }

// view is where all ids are. It never changes; a new one replaces it.
type view struct {
	segments []*segment // in the order of the log
	tables   []*table   // in that order, after the segments; the last one takes in
}

func (v *view) newest() *table { return v.tables[len(v.tables)-1] }

// Open opens the ids in a directory, which is made where there is none, and
// checks every byte there. What is damaged, missing or of another ledger is
// thrown away: the ids after Through are those that have to be taken in from the
// log. It returns an *eventstore.IntegrityError when the log does not hold a
// record that a segment was made from: it was cut short or replaced.
func Open(ctx context.Context, dir string, source Source, options Options) (*Store, error) {
	if options.Gather <= 0 {
		options.Gather = DefaultGather
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the command ids: %w", err)
	}
	s := &Store{dir: dir, source: source, options: options, wake: make(chan struct{}, 1)}
	segments, err := s.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the command ids: %w", err)
	}
	through := throughOf(segments)
	first := newTable(through.Sequence + 1)
	first.through = through
	s.view.Store(&view{segments, []*table{first}})
	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.keep(running) })
	s.rouse() // there may be something to merge
	return s, nil
}

func throughOf(segments []*segment) eventstore.Cursor {
	if len(segments) == 0 {
		return eventstore.Cursor{}
	}
	return segments[len(segments)-1].through
}

// Through is the last record whose ids are known. It belongs to the goroutine
// that takes records in.
func (s *Store) Through() eventstore.Cursor { return s.view.Load().newest().through }

// Take takes in the commands of the record after Through.
func (s *Store) Take(through eventstore.Cursor, commands []eventstore.CommandKey) {
	t := s.view.Load().newest()
	t.take(through, commands, &s.tags)
	if len(t.at) < s.options.Gather {
		return
	}
	next := newTable(through.Sequence + 1)
	next.through = through
	t.next = next
	s.replace(func(v *view) { v.tables = append(slices.Clip(v.tables), next) })
	s.rouse()
}

// replace puts a changed copy in the place of the view. change must not change
// what the slices share with others.
func (s *Store) replace(change func(v *view)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.view.Load()
	change(&next)
	s.view.Store(&next)
}

// errClosed says that nobody can look any more.
var errClosed = errors.New("the command ids are closed")

// Find gives the sequences of the records that may hold a command, the oldest
// first: all that hold it, and rarely one with the same id of a tenant with the
// same tag. seen is for Newer. It returns a *DamageError when that is not known.
func (s *Store) Find(key eventstore.CommandKey) (records []uint64, seen eventstore.Seen, err error) {
	hits, newest, err := s.search(key.ID)
	if err != nil || len(hits) == 0 {
		return nil, newest, err
	}
	return recordsOf(hits, tagOf(key.Tenant)), newest, nil
}

// FindAll gives the sequences of the records that hold a command with an id,
// whoever sent it, the oldest first of each tenant. It fails as Find does.
func (s *Store) FindAll(id uuid.UUID) ([]uint64, error) {
	hits, _, err := s.search(id)
	records := make([]uint64, len(hits))
	for i, h := range hits {
		records[i] = h.sequence
	}
	return records, err
}

// Newer gives what Find would find among the records taken in since a Find, or
// a little before. It belongs to the goroutine that takes records in.
func (s *Store) Newer(seen eventstore.Seen, key eventstore.CommandKey) []uint64 {
	var hits []hit
	for t := seen.(*table); t != nil; t = t.next { //nolint:forcetypeassert // as Find gave it
		hits = t.find(key.ID, hits)
	}
	if len(hits) == 0 {
		return nil
	}
	return recordsOf(hits, tagOf(key.Tenant))
}

func recordsOf(hits []hit, t tag) (records []uint64) {
	for _, h := range hits {
		if h.tag == t {
			records = append(records, h.sequence)
		}
	}
	return records
}

// search looks through a view, and says which table was its newest.
func (s *Store) search(id uuid.UUID) ([]hit, *table, error) {
	for {
		v := s.view.Load()
		hits, err := v.search(id)
		if errors.Is(err, errRetired) {
			if s.view.Load() != v {
				continue // the newest view has what replaced it
			}
			return nil, v.newest(), errClosed
		}
		if err != nil {
			s.rouse()
			return nil, v.newest(), fmt.Errorf("%w; they are being built again from the log: send the command again later", err)
		}
		return hits, v.newest(), nil
	}
}

func (v *view) search(id uuid.UUID) (hits []hit, err error) {
	hash := hashOf(id)
	for _, g := range v.segments {
		if g.filter.mayHold(hash) {
			if hits, err = g.find(id, hits); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range v.tables {
		hits = t.look(id, hits)
	}
	return hits, nil
}

// Status says how the ids are kept.
type Status struct {
	// Segments is how many files there are, and IDs how many ids they hold.
	Segments int
	IDs      uint64
	// Gathered is how many ids are in memory alone.
	Gathered int
	// Damaged is how many files were found damaged and are being made again.
	Damaged int
	// Err is why nothing can be written for now. The ids stay in memory.
	Err error
}

// Status says how the ids are kept now.
func (s *Store) Status() Status {
	v := s.view.Load()
	st := Status{Segments: len(v.segments)}
	for _, g := range v.segments {
		st.IDs += g.count
		if g.damaged.Load() {
			st.Damaged++
		}
	}
	for _, t := range v.tables {
		st.Gathered += t.count()
	}
	if f := s.failed.Load(); f != nil {
		st.Err = f.err
	}
	return st
}

// Check reads every segment from the disk and checks every block. each, when
// given, is called before each read with the number of bytes and may wait, or
// end the check with an error. A segment found damaged is a *DamageError, joined
// with others', and is made again from the log in the background.
func (s *Store) Check(ctx context.Context, each func(bytes int) error) error {
	var damages []error
	for _, g := range s.view.Load().segments {
		err := g.check(func(bytes int) error {
			if err := ctx.Err(); err != nil || each == nil {
				return err
			}
			return each(bytes)
		})
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			damages = append(damages, err)
			s.rouse()
		case errors.Is(err, errRetired): // what replaced it was checked when it was written
		case err != nil:
			return err
		}
	}
	return errors.Join(damages...)
}

// Close writes what is in memory alone and closes the files. Nobody may take in
// or look any more. An error says that the next start folds more of the log.
func (s *Store) Close() (err error) {
	s.closed.Do(func() { err = s.close() })
	return err
}

func (s *Store) close() error {
	s.stop()
	s.done.Wait()
	v := s.view.Load()
	var errs []error
	if h, entries, some := gathered(v.tables, s.ledger()); some {
		g, err := writeSegment(s.dir, h, listed(entries))
		if errs = append(errs, err); err == nil {
			errs = append(errs, g.retire())
		}
	}
	for _, g := range v.segments {
		errs = append(errs, g.retire())
	}
	return errors.Join(errs...)
}

func (s *Store) ledger() uuid.UUID {
	id, _, _ := s.source.Ledger()
	return id
}

// gathered gives what a segment of some tables holds, and false when there is
// no id.
func gathered(tables []*table, ledger uuid.UUID) (h header, entries []entry, some bool) {
	if len(tables) == 0 {
		return h, nil, false
	}
	entries = entriesOf(tables)
	return header{
		ledger: ledger, first: tables[0].first, through: tables[len(tables)-1].through, count: uint64(len(entries)),
	}, entries, len(entries) > 0
}

// rouse tells the keeper that there may be something to do.
func (s *Store) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// after is a timer that never fires when nothing failed.
func after(err error) <-chan time.Time {
	if err == nil {
		return nil
	}
	return time.After(retryEvery)
}
