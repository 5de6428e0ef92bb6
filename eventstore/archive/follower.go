package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// Options say where an archive lives.
type Options struct {
	// Dir is the archive's own directory; it is created with mode 0700. One
	// process at a time may archive into it.
	Dir string
	// SyncEvery is how long a record waits for others to be archived and synced
	// together, DefaultSyncEvery when zero. Longer is less work, and more that
	// only the log holds.
	SyncEvery time.Duration
	// SegmentBytes is the size from which a segment is sealed,
	// DefaultSegmentBytes when zero.
	SegmentBytes int64
	// RetryEvery is how long after a failure of the disk archiving is tried again,
	// DefaultRetryEvery when zero.
	RetryEvery time.Duration
	// Logger gets what an operator should know; nothing is logged when nil.
	Logger *slog.Logger
}

// Status says how far an archive is.
type Status struct {
	// At is the last record that is archived and synced.
	At eventstore.Cursor
	// Lag is how long the log has held something that is not yet archived and
	// synced, 0 when it holds nothing more.
	Lag time.Duration
	// Err is why nothing is archived for now, or any more; nil while the archive
	// follows.
	Err error
}

// Follower keeps an archive up to date with a log. It reads what is stored
// already, many records at a time, so the writer of the log never waits for it
// and shares little with it. Its methods may be called from several goroutines
// at once.
type Follower struct {
	log  *eventstore.Log
	opts Options

	stop  context.CancelFunc
	done  sync.WaitGroup
	hurry chan struct{} // closed when nothing should wait any longer
	once  sync.Once

	files *writer // of the one goroutine; nil until the archive could be opened

	mu      sync.Mutex
	at      eventstore.Cursor // synced
	since   time.Time         // when the log was seen to hold more, zero when it does not
	failure error
	moved   chan struct{} // closed and replaced whenever at or failure changes
}

// Start compares an archive with its log and begins to follow it.
//
// It returns an *eventstore.IntegrityError when the archive shows that the log
// is not what was written: the archive is longer, or holds another record where
// it ends. Then nothing may be written to the log, which permledger repair can
// restore.
//
// Damage of the archive itself, or an archive of another ledger, is no error:
// the follower's Status says so and nothing is archived or overwritten, because
// the log is sound and a damaged archive still holds most of a second copy. A
// disk that is full or fails is no error either, and is tried again and again.
func Start(ctx context.Context, log *eventstore.Log, opts Options) (*Follower, error) {
	if opts.SyncEvery <= 0 {
		opts.SyncEvery = DefaultSyncEvery
	}
	if opts.SegmentBytes <= 0 {
		opts.SegmentBytes = DefaultSegmentBytes
	}
	if opts.RetryEvery <= 0 {
		opts.RetryEvery = DefaultRetryEvery
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Follower{log: log, opts: opts, hurry: make(chan struct{}), moved: make(chan struct{})}
	err := f.open(ctx)
	if _, ofLog := errors.AsType[*eventstore.IntegrityError](err); ofLog || ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		f.fail(err)
	}
	running, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.done.Go(func() { f.keep(running, err) })
	return f, nil
}

// open goes on where the archive ends.
func (f *Follower) open(ctx context.Context) error {
	st, err := inspect(ctx, f.opts.Dir)
	if err == nil {
		err = f.compare(ctx, st)
	}
	if err == nil {
		f.files, err = newWriter(f.opts.Dir, f.opts.SegmentBytes, st)
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.failure = st.at, nil
	f.announce()
	return nil
}

// keep archives until the context ends; err is how the archive was opened. What a
// full or failing disk does not let it write it tries again, from what was synced
// before.
func (f *Follower) keep(ctx context.Context, err error) {
	for {
		if err == nil {
			if err = f.follow(ctx); ctx.Err() != nil {
				return
			}
			f.fail(err)
		}
		if damaged := f.log.Err(); errors.Is(damaged, eventstore.ErrIntegrity) {
			if f.log.Sound(ctx) != nil { // the log may be put right
				return
			}
		} else if lasting(err) {
			return
		}
		if f.closing(ctx, f.opts.RetryEvery) {
			return
		}
		if f.files != nil {
			err = f.files.abandon()
		}
		if f.files == nil || err == nil {
			err = f.open(ctx)
		}
		if err == nil {
			f.opts.Logger.Info("records are archived again")
		} else {
			f.fail(err)
		}
	}
}

// lasting reports whether an error says that the log or the archive is not what it
// should be, which no new attempt changes.
func lasting(err error) bool {
	_, ofLog := errors.AsType[*eventstore.IntegrityError](err)
	_, ofArchive := errors.AsType[*DamageError](err)
	return ofLog || ofArchive || errors.Is(err, eventstore.ErrInvalid)
}

// closing waits, and reports whether there is a hurry to end.
func (f *Follower) closing(ctx context.Context, d time.Duration) bool {
	f.pause(ctx, d)
	select {
	case <-f.hurry:
		return true
	default:
		return ctx.Err() != nil
	}
}

// compare holds the end of the archive against the log, and completes its
// cursor from there.
func (f *Follower) compare(ctx context.Context, st *state) error {
	if st.ledger == uuid.Nil {
		return nil
	}
	id, _, ok := f.log.Ledger()
	if ok && id != st.ledger {
		return &DamageError{Reason: fmt.Sprintf("it belongs to ledger %s, this is ledger %s", st.ledger, id)}
	}
	if st.at.Sequence == 0 {
		return nil
	}
	s, err := f.log.Get(ctx, st.at.Sequence)
	switch {
	case !ok || errors.Is(err, eventstore.ErrNotFound):
		return &eventstore.IntegrityError{
			Position: max(st.at.Position, 1), Sequence: st.at.Sequence,
			Reason: fmt.Sprintf("the log ends before it, but the archive holds it (ledger %s)", st.ledger),
		}
	case err != nil:
		return fmt.Errorf("compare the archive with the log: %w", err)
	case s.Hash != st.at.Hash:
		return &eventstore.IntegrityError{
			Position: max(st.at.Position, 1), Sequence: st.at.Sequence,
			Reason: fmt.Sprintf("the log holds it with hash %s, the archive with hash %s", s.Hash, st.at.Hash),
		}
	}
	st.at = s.Cursor()
	return nil
}

// follow archives whatever the log holds, and returns why it ended.
func (f *Follower) follow(ctx context.Context) error {
	for {
		if err := f.log.Grown(ctx, f.files.at.Sequence); err != nil {
			return err
		}
		f.behind(time.Now())
		f.pause(ctx, f.opts.SyncEvery)
		err := f.take(ctx)
		if errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, eventstore.ErrIntegrity) {
			f.opts.Logger.Warn("the archive waits for the log", "error", err)
			f.pause(ctx, unavailablePause)
			continue
		}
		if err != nil {
			return err
		}
	}
}

// behind notes since when the log has held more than the archive.
func (f *Follower) behind(since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		f.since = since
	}
}

// pause waits, unless there is a hurry.
func (f *Follower) pause(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-f.hurry:
	case <-wait.C:
	}
}

// take archives everything up to the head and syncs it. Where there is much, it
// syncs in between.
func (f *Follower) take(ctx context.Context) error {
	started := time.Now()
	for s, err := range f.log.Outlines(ctx, f.files.at) {
		if err == nil {
			err = f.files.append(&s)
		}
		if err == nil && time.Since(started) >= f.opts.SyncEvery {
			err = f.sync(started)
			started = time.Now()
		}
		if err != nil {
			return err
		}
	}
	return f.sync(time.Time{})
}

// sync makes what was appended durable and says so. The log has held more since
// a time, the zero time when it does not.
func (f *Follower) sync(since time.Time) error {
	if err := f.files.sync(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.since = f.files.at, since
	f.announce()
	return nil
}

// announce wakes whoever waits. The lock is held.
func (f *Follower) announce() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// fail says why nothing is archived.
func (f *Follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		f.opts.Logger.Error("nothing is archived for now; the ledger goes on without its second copy", "error", err)
	}
	f.failure = err
	f.announce()
}

// Status says how far the archive is.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{At: f.at, Err: f.failure}
	if !f.since.IsZero() {
		s.Lag = time.Since(f.since)
	}
	return s
}

// Wait returns once the record with a sequence is archived and synced. It fails
// when ctx ends first, or while nothing is archived.
func (f *Follower) Wait(ctx context.Context, sequence uint64) error {
	for {
		f.mu.Lock()
		at, failure, moved := f.at.Sequence, f.failure, f.moved
		f.mu.Unlock()
		switch {
		case at >= sequence:
			return nil
		case failure != nil:
			return fmt.Errorf("record %d is not archived: %w", sequence, failure)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close archives what the log holds, as long as ctx lives, and stops. Calling it
// again changes nothing. It does not close the log.
func (f *Follower) Close(ctx context.Context) error {
	var err error
	f.once.Do(func() {
		close(f.hurry)
		if head, herr := f.log.Head(ctx); herr == nil {
			_ = f.Wait(ctx, head.Sequence) // the next start catches up otherwise
		}
		f.stop()
		f.done.Wait()
		if f.files != nil {
			err = f.files.close()
		}
	})
	return err
}
