package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// WriterOptions tune a Writer. The zero value is good.
type WriterOptions struct {
	// Queue is how many submissions wait at most, DefaultQueue when zero.
	Queue int
	// Group is how many submissions one group takes at most, DefaultGroup when
	// zero.
	Group int
	// From is where the decider already stands: it holds the fold of the log up
	// to there. Start checks that the log still holds the very record, and folds
	// what comes after.
	From Cursor
	// Progress, when given, is told while Start folds the log how many of how
	// many records are done.
	Progress func(done, total uint64)
	// Logger gets what an operator should know; nothing is logged when nil.
	Logger *slog.Logger
}

// Writer decides commands one after the other and stores them in groups: while
// one record is being stored, the submissions that come are decided as the next
// group, on top of the one in flight. One group is in flight at any time, and the
// next one is sent when it has landed. There is no timer: a single client gets
// the latency of one append, a thousand share it.
//
// A group is judged on the fold of the log up to the record it is stored
// behind. When the fence refuses the record because another node was faster,
// the writer takes in what it missed and judges that group and the one formed on
// top of it again. Nobody is answered before that has ended.
type Writer[C, E any] struct {
	log     *Log
	decider Decider[C, E] // called by Start, then by the loop alone
	codec   Codec[E]
	index   Index
	opts    WriterOptions

	queue chan *request[C, E]
	quit  chan struct{}
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu      sync.Mutex
	started bool
	closed  bool

	head  atomic.Pointer[Cursor]
	state atomic.Pointer[writerState]
	stats counters

	// The rest belongs to the loop.
	carry     []*request[C, E] // taken, but not in a group yet
	forming   *group[C, E]     // being decided; nil when nothing has come
	flight    *group[C, E]     // being stored; nil when none is
	landed    chan landing     // tells how the flight ended
	now       time.Time        // for the next group to begin
	doubted   bool             // the clock was, when it was looked at last
	launched  time.Time        // when the flight began
	contested time.Time        // since when the fence has refused every flight; zero after one that was stored
	turns     turns            // on a shared log
	spare     *group[C, E]     // kept for its memory
	chunks    [][]byte         // what other goroutines encoded, kept for its memory
}

// writerState says why a writer does not write.
type writerState struct {
	err        error
	final      bool
	unresolved map[CommandKey]int // commands of an append whose outcome is unknown; it never changes
}

// NewWriter returns a writer that does nothing until Start. idx may be nil:
// then all command ids are kept in memory, for which the whole log is folded.
func NewWriter[C, E any](log *Log, d Decider[C, E], c Codec[E], idx Index, opts WriterOptions) *Writer[C, E] {
	if opts.Queue <= 0 {
		opts.Queue = DefaultQueue
	}
	if opts.Group <= 0 {
		opts.Group = DefaultGroup
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if idx == nil {
		idx = &memoryIndex{}
	}
	w := &Writer[C, E]{
		log: log, decider: d, codec: c, index: idx, opts: opts,
		queue: make(chan *request[C, E], opts.Queue),
		quit:  make(chan struct{}), landed: make(chan landing, 1),
	}
	w.head.Store(&opts.From)
	w.state.Store(&writerState{err: fmt.Errorf("the writer is not started: %w", ErrUnavailable)})
	return w
}

// Start gives a new ledger its first record, folds the log into the decider and
// the index, and then serves until Close. ctx bounds the fold alone. It returns an
// *IntegrityError when the log is damaged, or does not hold what decider and
// index were made from. A writer whose Start failed is of no more use: its decider
// has folded part of the log.
func (w *Writer[C, E]) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started || w.closed {
		return errors.New("the writer was started before")
	}
	if err := w.log.EnsureGenesis(ctx); err != nil {
		return w.fail(fmt.Errorf("start the writer: %w", err))
	}
	if err := w.recall(ctx, w.opts.From, "the state was saved"); err != nil {
		return w.fail(fmt.Errorf("start the writer: %w", err))
	}
	if err := w.recall(ctx, w.index.Through(), "the index of commands was made"); err != nil {
		return w.fail(fmt.Errorf("start the writer: %w", err))
	}
	if err := w.foldFirmly(ctx); err != nil {
		return w.fail(fmt.Errorf("start the writer: %w", err))
	}
	run, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	w.stop, w.started = stop, true
	w.state.Store(&writerState{})
	w.log.startWatch()
	w.done.Go(func() { w.loop(run) })
	return nil
}

// recall checks that the log still holds the record up to which something was
// folded before.
func (w *Writer[C, E]) recall(ctx context.Context, from Cursor, what string) error {
	if from == (Cursor{}) {
		return nil
	}
	holds := func(ctx context.Context, log *Log) (bool, error) {
		stored, err := log.Get(ctx, from.Sequence)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return stored.Hash == from.Hash, err
	}
	fits, err := holds(ctx, w.log)
	if _, doubted := errors.AsType[*DoubtError](err); doubted {
		if err = w.log.Settled(ctx); err == nil {
			fits, err = holds(ctx, w.log)
		}
	}
	if err != nil || fits {
		return err
	}
	return w.suspect(ctx, &IntegrityError{Position: from.Position, Sequence: from.Sequence, Reason: "the record is not the one up to which " + what}, holds)
}

// suspect tells the log what it does not fit, and waits until that is settled.
func (w *Writer[C, E]) suspect(ctx context.Context, finding *IntegrityError, fits func(context.Context, *Log) (bool, error)) error {
	err := w.log.Suspect(finding, unless(finding, fits))
	if _, doubted := errors.AsType[*DoubtError](err); doubted {
		return w.log.Settled(ctx)
	}
	return err
}

// unless is the recheck of a finding that stands unless something fits.
func unless(finding *IntegrityError, fits func(context.Context, *Log) (bool, error)) Recheck {
	return func(ctx context.Context, log *Log) error {
		fit, err := fits(ctx, log)
		if err != nil || fit {
			return err
		}
		return finding
	}
}

// Head returns where the writer's state stands: everything up to there has been
// folded into the decider.
func (w *Writer[C, E]) Head() Cursor { return *w.head.Load() }

// Err returns nil while the writer writes, else why it does not. One that matches
// ErrUnavailable passes, one that matches ErrIntegrity once the log is put right,
// one that matches ErrClock once the clock is right; anything else is for good.
func (w *Writer[C, E]) Err() error {
	if err := w.stopped(); err != nil {
		return err
	}
	_, err := w.Time()
	return err
}

// Failure returns the integrity failure that stopped the writer for good, nil
// while there is none. Unlike Err it looks at nothing but what was found before.
func (w *Writer[C, E]) Failure() error {
	if err := w.stopped(); errors.Is(err, ErrIntegrity) {
		return err
	}
	return nil
}

// stopped says why the writer takes nothing, whatever the clock says.
func (w *Writer[C, E]) stopped() error {
	if err := w.log.Err(); err != nil {
		return err
	}
	return w.state.Load().err
}

// Close ends the group in flight, answers what waits with ErrUnavailable and
// returns. It does not close the log.
func (w *Writer[C, E]) Close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if !closed {
		close(w.quit)
		if w.stop != nil {
			w.stop()
		}
	}
	w.done.Wait()
	return nil
}

// fail stops the writer for good.
func (w *Writer[C, E]) fail(err error) error {
	if state := w.state.Load(); !state.final {
		w.state.Store(&writerState{err: err, final: true, unresolved: state.unresolved})
		w.opts.Logger.Error("the writer stopped for good", "error", err)
	}
	return err
}

// pause says why nothing is written for a while; nil ends the pause.
func (w *Writer[C, E]) pause(err error) {
	state := w.state.Load()
	switch {
	case state.final:
	case err == nil:
		w.state.Store(&writerState{})
	default:
		w.state.Store(&writerState{err: err, unresolved: state.unresolved})
	}
}

// loop is the one goroutine that decides.
func (w *Writer[C, E]) loop(ctx context.Context) {
	defer func() {
		w.pause(fmt.Errorf("the writer is closed: %w", ErrUnavailable))
		w.refuseWaiting()
	}()
	for {
		bell := w.log.waiting()
		if w.flight == nil && w.forming == nil {
			w.rest(ctx)
		}
		for len(w.carry) > 0 && w.forming == nil {
			w.take(nil)
		}
		var turn <-chan time.Time // when it is this writer's again
		if w.flight == nil && w.forming != nil {
			wait := w.turns.wait(time.Now())
			if wait <= 0 {
				w.launch(w.Head())
				continue
			}
			turn = time.After(wait)
		}
		queue := w.queue
		if w.full() {
			queue = nil
		}
		select {
		case <-w.quit:
			w.shelve()
			if w.flight != nil {
				w.land(ctx, <-w.landed)
			}
			return
		case first := <-queue:
			w.take(first)
		case l := <-w.landed:
			w.land(ctx, l)
		case <-bell:
		case <-turn:
		}
	}
}

// rest does what can not be done on top of a group: it takes in what others have stored.
func (w *Writer[C, E]) rest(ctx context.Context) {
	if w.log.known.Load() > w.Head().Sequence && w.log.Err() == nil {
		w.catchUp(ctx)
	}
}

// full reports whether nothing more can be taken into the group being formed.
func (w *Writer[C, E]) full() bool {
	return len(w.carry) > 0 || w.forming != nil && len(w.forming.items) >= w.opts.Group
}

// take lets the group being formed grow by what waits.
func (w *Writer[C, E]) take(first *request[C, E]) {
	requests := w.gather(first)
	if len(requests) == 0 {
		return
	}
	err := w.refusal()
	if err == nil && w.forming == nil {
		err = w.readClock()
	}
	if err != nil {
		w.refuse(requests, err)
		return
	}
	w.judge(requests)
}

// gather takes what waits, at most one group. Whoever gave up meanwhile is left
// out; nothing is written for them.
func (w *Writer[C, E]) gather(first *request[C, E]) []*request[C, E] {
	room := w.opts.Group
	if w.forming != nil {
		room -= len(w.forming.items)
	}
	n := min(len(w.carry), room)
	requests := w.carry[:n:n]
	w.carry = w.carry[n:]
	if first != nil && first.take() {
		requests = append(requests, first)
	}
	for len(requests) < room {
		select {
		case r := <-w.queue:
			if r.take() {
				requests = append(requests, r)
			}
			continue
		default:
		}
		break
	}
	return requests
}

// refuseWaiting answers everything that waits with the reason why nothing is
// written.
func (w *Writer[C, E]) refuseWaiting() {
	err := w.refusal()
	w.refuse(w.carry, err)
	w.carry = nil
	for {
		select {
		case r := <-w.queue:
			if r.take() {
				w.refuse([]*request[C, E]{r}, err)
			}
		default:
			return
		}
	}
}

// refuse answers requests with the reason why nothing is written.
func (w *Writer[C, E]) refuse(requests []*request[C, E], err error) {
	for _, r := range requests {
		if unsure := w.unresolved(&r.Submission); unsure != nil {
			r.answer(result[E]{err: unsure})
			continue
		}
		r.answer(result[E]{err: err})
	}
}

// unresolved returns the error for a submission of a command that may be recorded
// already, by an append whose outcome is unknown. Nobody may tell it that nothing
// is.
func (w *Writer[C, E]) unresolved(s *Submission[C]) error {
	if _, unsure := w.state.Load().unresolved[s.key()]; !unsure || s.DryRun {
		return nil
	}
	return fmt.Errorf("%w: it was sent before, and that is not resolved", ErrOutcomeUnknown)
}

// refusal returns the error for a submission that comes while nothing is
// written, nil when it is welcome.
func (w *Writer[C, E]) refusal() error {
	err := w.stopped()
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// catchUp folds what others have stored. A server that can not be asked is
// asked again when the next group comes, a damaged log once it proved sound; a
// record that cannot be understood stops the writer.
func (w *Writer[C, E]) catchUp(ctx context.Context) {
	if w.state.Load().final {
		return
	}
	if err := w.fold(ctx); err != nil && !passing(err) {
		_ = w.fail(err)
	}
}

// transient tells an error that may pass from one that will not.
func transient(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// passing tells an error that may pass, or be put right, from one that will not.
func passing(err error) bool { return transient(err) || errors.Is(err, ErrIntegrity) }

// foldFirmly folds, and waits while the log is in doubt. A shared server that
// does not answer, because it elects a leader say, is waited for as long as Open
// does, counted anew whenever it has answered.
func (w *Writer[C, E]) foldFirmly(ctx context.Context) error {
	at, since := w.Head(), time.Now()
	for {
		err := w.fold(ctx)
		if w.Head() != at {
			at, since = w.Head(), time.Now()
		}
		_, doubted := errors.AsType[*DoubtError](err)
		switch {
		case doubted:
			err = w.log.Settled(ctx)
			since = time.Now()
		case errors.Is(err, ErrUnavailable) && w.log.opts.Shared && time.Since(since) < openWait:
			err = sleep(ctx, confirmWait)
		default:
			return err
		}
		if err != nil {
			return err
		}
	}
}

// fold brings decider and index to the head of the log, in one pass.
func (w *Writer[C, E]) fold(ctx context.Context) error {
	total, head := w.log.known.Load(), w.Head()
	defer func() {
		if w.Head().Sequence > head.Sequence {
			w.turns.met(time.Now())
		}
		w.log.took(w.Head()) // what others have stored counts as seen
	}()
	from := head
	if through := w.index.Through(); through.Sequence < from.Sequence {
		from = through
	}
	for s, err := range w.log.Read(ctx, from) {
		if err != nil {
			return err
		}
		if err := w.foldRecord(&s); err != nil {
			w.decider.Discard()
			return err
		}
		if w.opts.Progress != nil && !w.started {
			w.opts.Progress(s.Sequence, max(total, s.Sequence))
		}
	}
	return nil
}

// foldRecord takes one record into whichever of decider and index does not have
// it yet.
func (w *Writer[C, E]) foldRecord(s *Stored) error {
	cursor := s.Cursor()
	if s.Sequence > w.index.Through().Sequence {
		w.index.Take(cursor, s.CommandKeys())
	}
	if s.Sequence <= w.Head().Sequence {
		return nil
	}
	position := s.Record.First
	for i := range s.Record.Commands {
		for _, stored := range s.Record.Commands[i].Events {
			e, err := w.codec.Decode(stored, position, s.Record.Time)
			if err != nil {
				return fmt.Errorf("record %d, position %d cannot be understood: %w", s.Sequence, position, err)
			}
			w.decider.Evolve(e)
			position++
		}
	}
	w.decider.Commit(s.Record.Last())
	if w.log.opts.Shared {
		w.log.clock.vouch(s.Record.Time)
	}
	w.head.Store(&cursor)
	return nil
}
