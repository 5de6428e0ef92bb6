package projections

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
	"permledger/eventstore"
)

// start is the recorded time of the first command of every test.
var start = time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)

// ledger is a log in memory: commands judged by a real book, recorded with a real hash chain. Like the
// store's own log it is a Source.
type ledger struct {
	t    require.TestingT
	book *domain.Book
	id   uuid.UUID
	ids  func() uuid.UUID
	now  time.Time

	mu      sync.Mutex
	records []eventstore.Stored
	grown   chan struct{}
}

func newLedger(t require.TestingT) *ledger {
	n := uint64(0)
	return newLedgerWith(t, func() uuid.UUID {
		n++
		return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%d", n))
	})
}

func newLedgerWith(t require.TestingT, ids func() uuid.UUID) *ledger {
	l := &ledger{t: t, book: domain.NewBook(), ids: ids, now: start, grown: make(chan struct{})}
	l.id = ids()
	l.record() // the genesis
	return l
}

// judged is a command with its actor; sent together they are stored in one record.
type judged struct {
	actor   domain.Actor
	command domain.Command
}

// send records a command and gives its facts; a refusal is the test's failure unless it is recorded.
func (l *ledger) send(actor domain.Actor, command domain.Command) []domain.Fact {
	facts, err := l.try(actor, command)
	require.NoError(l.t, err, "%T", command)
	return facts
}

func (l *ledger) try(actor domain.Actor, command domain.Command) ([]domain.Fact, error) {
	facts, errs := l.group(judged{actor, command})
	return facts, errs[0]
}

// group records commands together, a second after the record before.
func (l *ledger) group(commands ...judged) ([]domain.Fact, []error) {
	l.now = l.now.Add(time.Second)
	next := l.head().Position + 1
	var stored []eventstore.Command
	var all []domain.Fact
	errs := make([]error, len(commands))
	for i, c := range commands {
		id := domain.CommandID{UUID: l.ids()}
		request, err := domain.NewRequest(id, c.actor, c.command)
		require.NoError(l.t, err, "%+v", c.command)
		facts, err := l.book.Decide(request, next, l.now)
		if errs[i] = err; err != nil {
			continue
		}
		command := eventstore.Command{
			ID: id.UUID, Name: c.command.CommandName(), Actor: EncodeActor(c.actor), Reason: request.Reason(),
			CorrelationID: "trace-" + id.String()[:8], Events: []eventstore.Event{},
		}
		for _, f := range facts {
			e, err := Codec{}.Encode(f)
			require.NoError(l.t, err)
			command.Events = append(command.Events, e)
			l.book.Evolve(f)
			next++
		}
		all = append(all, facts...)
		stored = append(stored, command)
	}
	l.book.Commit(next - 1)
	if len(stored) > 0 {
		l.record(stored...)
	}
	return all, errs
}

func (l *ledger) record(commands ...eventstore.Command) {
	head := l.head()
	r := eventstore.Record{
		Version: eventstore.RecordVersion, Ledger: l.id, First: head.Position + 1, Time: l.now, Previous: head.Hash,
		Commands: append([]eventstore.Command{}, commands...),
	}
	content := eventstore.AppendRecord(nil, &r)
	decoded, err := eventstore.DecodeRecord(content)
	require.NoError(l.t, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, eventstore.Stored{
		Sequence: head.Sequence + 1, Hash: eventstore.HashOf(content), Bytes: content, Record: decoded,
	})
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *ledger) head() eventstore.Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) == 0 {
		return eventstore.Cursor{}
	}
	return l.records[len(l.records)-1].Cursor()
}

func (l *ledger) since(sequence uint64) ([]eventstore.Stored, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records[min(sequence, uint64(len(l.records))):]), l.grown
}

// prefix is the ledger as it was when it had n records.
func (l *ledger) prefix(n int) *ledger {
	return &ledger{t: l.t, records: l.records[:n:n], grown: make(chan struct{})}
}

func (l *ledger) Head(context.Context) (eventstore.Cursor, error) { return l.head(), nil }

func (l *ledger) Get(_ context.Context, sequence uint64) (eventstore.Stored, error) {
	records, _ := l.since(sequence - 1)
	if len(records) == 0 {
		return eventstore.Stored{}, eventstore.ErrNotFound
	}
	return records[0], nil
}

func (l *ledger) Read(ctx context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		records, _ := l.since(from.Sequence)
		for _, r := range records {
			if ctx.Err() != nil || !yield(r, nil) {
				return
			}
		}
	}
}

func (l *ledger) Follow(ctx context.Context, from eventstore.Cursor) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for sequence := from.Sequence; ; {
			records, grown := l.since(sequence)
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
			sequence += uint64(len(records))
			select {
			case <-grown:
			case <-ctx.Done():
				yield(eventstore.Stored{}, ctx.Err())
				return
			}
		}
	}
}

// openModels opens read models in a directory of the test's and closes them at its end.
func openModels(t *testing.T, dir string) *Models {
	t.Helper()
	m, err := Open(t.Context(), dir, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// running follows a ledger until stop is called or the test ends, and gives what Run returned.
func running(t *testing.T, m *Models, source Source) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, source) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// folded opens read models that have taken in a whole ledger and follow it.
func folded(t *testing.T, l *ledger) *Models {
	t.Helper()
	m := openModels(t, t.TempDir())
	running(t, m, l)
	caughtUp(t, m, l)
	return m
}

// caughtUp waits until queries see everything in the ledger.
func caughtUp(t *testing.T, m *Models, l *ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	head := l.head()
	require.NoError(t, m.WaitFor(ctx, head.Position))
	for m.Checkpoint().Sequence < head.Sequence { // a record without events moves no position
		_, changed := m.Advanced()
		if m.Checkpoint().Sequence >= head.Sequence {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.NoError(t, ctx.Err())
		}
	}
}

// The two partners of every history.
var (
	partnerA = cast.Partner
	partnerB = cast.Rival
)
