package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"permledger/eventstore"
)

const (
	// batchEvents is from how many events on a transaction is committed while catching up. A record is
	// never divided, so that a transaction may hold one record more.
	batchEvents = 4000
	// decodedAhead is how many decoded records wait for the transaction before.
	decodedAhead = 256
	// rebuildFrom is from how many missing records on an empty database is filled by a rebuild.
	rebuildFrom = 1000
)

// Source is the log as read models need it. *eventstore.Log is one.
type Source interface {
	// Head says where the log ends.
	Head(ctx context.Context) (eventstore.Cursor, error)
	// Get gives the record with a sequence.
	Get(ctx context.Context, sequence uint64) (eventstore.Stored, error)
	// Read gives the records after a cursor up to the head.
	Read(ctx context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error]
	// Follow gives the records after a cursor, then each new one, until ctx ends.
	Follow(ctx context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error]
}

var _ Source = (*eventstore.Log)(nil)

// Run follows the log until ctx ends, and then returns nil. Any other end is an error, after which
// nothing is folded until Run is called again: a log that is not the one from which the rows were made is
// an eventstore.IntegrityError, never a reason to make them anew.
func (m *Models) Run(ctx context.Context, source Source) error {
	m.fail(nil)
	err := m.run(ctx, source)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to stop
	}
	m.fail(err)
	return err
}

func (m *Models) run(ctx context.Context, source Source) error {
	head, err := m.verify(ctx, source)
	if err != nil {
		return err
	}
	if m.Checkpoint().Sequence == 0 && head.Sequence >= rebuildFrom {
		if err := m.Rebuild(ctx, source, m.options.Progress); err != nil {
			return err
		}
	}
	from := m.Checkpoint()
	f := newFeed(ctx, source.Follow, from)
	defer f.stop()
	meter := newMeter(from.Position, head.Position, m.options.Progress)
	caughtUp := false
	for {
		if !caughtUp && m.Checkpoint().Sequence >= head.Sequence {
			caughtUp = true
			if err := removeOthers(m.dir, fingerprintOf(m.models)); err != nil {
				return err
			}
		}
		records, err := f.batch(ctx, head.Sequence)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return errors.New("the log ended: it is followed no further")
		}
		position, err := m.apply(ctx, records)
		if err != nil {
			return err
		}
		if !caughtUp {
			meter.report(position)
		}
	}
}

// Fits checks that a log still holds the record at which the rows stand. It returns an
// eventstore.IntegrityError when it does not.
func (m *Models) Fits(ctx context.Context, source Source) error {
	_, err := m.verify(ctx, source)
	return err
}

// verify checks that the log still holds the record at which the rows stand, and gives the log's head.
func (m *Models) verify(ctx context.Context, source Source) (eventstore.Cursor, error) {
	head, err := source.Head(ctx)
	if err != nil {
		return eventstore.Cursor{}, fmt.Errorf("find the head of the log: %w", err)
	}
	at := m.Checkpoint()
	if at.Sequence < m.witness.Sequence {
		at = m.witness
	}
	if at.Sequence > head.Sequence {
		return head, &eventstore.IntegrityError{
			Position: head.Position + 1, Sequence: head.Sequence + 1,
			Reason: fmt.Sprintf("the read models hold %d records and the log %d: the log was cut short or replaced", at.Sequence, head.Sequence),
		}
	}
	if at.Sequence == 0 {
		return head, nil
	}
	stored, err := source.Get(ctx, at.Sequence)
	if err != nil {
		return head, fmt.Errorf("read record %d: %w", at.Sequence, err)
	}
	if stored.Hash != at.Hash {
		return head, &eventstore.IntegrityError{
			Position: stored.Record.First, Sequence: at.Sequence,
			Reason: "it is not the record from which the read models were made: the log was changed or replaced",
		}
	}
	return head, nil
}

// apply commits a batch to whatever store is current and gives the position reached.
func (m *Models) apply(ctx context.Context, records []delivery) (uint64, error) {
	m.applying.Lock()
	defer m.applying.Unlock()
	m.mu.RLock()
	st := m.current
	m.mu.RUnlock()
	if err := st.apply(ctx, records, 0); err != nil {
		return 0, err
	}
	m.advance(st.cursor)
	return st.cursor.Position, nil
}

// feed decodes records on a goroutine of its own, so that decoding and writing share two processors.
type feed struct {
	records chan arrival
	cancel  context.CancelFunc
}

// arrival is a decoded record, or why there are no more.
type arrival struct {
	record delivery
	err    error
}

// reading is Source.Read or Source.Follow.
type reading func(ctx context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error]

func newFeed(ctx context.Context, read reading, from eventstore.Cursor) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{records: make(chan arrival, decodedAhead), cancel: cancel}
	go func() {
		defer close(f.records)
		for stored, err := range read(ctx, from) {
			var a arrival
			if a.err = err; err == nil {
				a.record, a.err = decode(&stored)
			}
			select {
			case f.records <- a:
			case <-ctx.Done():
				return
			}
			if a.err != nil {
				return
			}
		}
	}()
	return f
}

// stop ends the goroutine and waits for it.
func (f *feed) stop() {
	f.cancel()
	for range f.records {
		// What was decoded ahead is not needed any more.
	}
}

// batch waits for a record and adds those that need no waiting, up to batchEvents. Up to the sequence of a
// head that is known to be there it waits for them as well. It gives none when the log ends.
func (f *feed) batch(ctx context.Context, head uint64) ([]delivery, error) {
	var records []delivery
	events := uint64(0)
	for events < batchEvents {
		a, open, ready := f.next(ctx, len(records) == 0 || records[len(records)-1].cursor.Sequence < head)
		switch {
		case !ready:
			return records, nil
		case !open:
			return records, ctx.Err()
		case a.err != nil:
			return nil, fmt.Errorf("read the log: %w", a.err)
		}
		records = append(records, a.record)
		events += a.record.cursor.Position + 1 - a.record.first
	}
	return records, nil
}

// next takes the next arrival; ready is false when there is none yet and nobody wants to wait. open is
// false when the log has ended.
func (f *feed) next(ctx context.Context, wait bool) (a arrival, open, ready bool) {
	select {
	case a, open = <-f.records:
		return a, open, true
	default:
	}
	if !wait {
		return arrival{}, true, false
	}
	select {
	case a, open = <-f.records:
		return a, open, true
	case <-ctx.Done():
		return arrival{}, false, true
	}
}

// Progress says how far a rebuild, or the first catching up, has come.
type Progress struct {
	Position        uint64        // of the last event taken in
	Head            uint64        // of the last event there is
	EventsPerSecond float64       // since it began
	ETA             time.Duration // until Position reaches Head at that rate
}

// meter tells a caller about progress.
type meter struct {
	began time.Time
	from  uint64
	head  uint64
	tell  func(Progress) // may be nil
}

func newMeter(from, head uint64, tell func(Progress)) *meter {
	return &meter{began: time.Now(), from: from, head: head, tell: tell}
}

func (p *meter) report(position uint64) {
	if p.tell == nil {
		return
	}
	now := Progress{Position: position, Head: max(p.head, position)}
	if elapsed := time.Since(p.began).Seconds(); elapsed > 0 {
		now.EventsPerSecond = float64(position-min(p.from, position)) / elapsed
	}
	if now.EventsPerSecond > 0 {
		now.ETA = time.Duration(float64(now.Head-now.Position) / now.EventsPerSecond * float64(time.Second))
	}
	p.tell(now)
}
