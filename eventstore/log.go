package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// Options say where a ledger lives.
type Options struct {
	// Stream is the name of the JetStream stream, Subject the one subject of
	// its records. Nobody else may publish there.
	Stream, Subject string
	// Dir is the node's own directory. The identity of the ledger and the head
	// mark are kept in it; it is created with mode 0700. One process at a time
	// may use it.
	Dir string
	// Shared says that the server is not this process's own: other nodes may
	// append to the same ledger. New records of others are watched for, and a
	// refusal is answered only after the head has been asked for. With false,
	// a stream found without an identity file is an integrity failure.
	Shared bool
	// Found allows a ledger to begin here, by EnsureGenesis or Import, and a
	// beginning that was interrupted to be gone on with. A ledger that is
	// there already is just opened. Without it nothing ever makes a ledger of
	// an empty directory or an empty stream.
	Found bool
	// Join is the ledger that a directory without an identity becomes a node
	// of. It needs Shared, and excludes Found. A directory that has an
	// identity needs no Join; one that is given must agree with it.
	Join uuid.UUID
	// Replicas is the number of replicas the stream must have. With zero a
	// stream is taken as it is, and a new one has 1.
	Replicas int
	// Confirm is how long an answer of a shared server that speaks against the
	// ledger must last before the ledger counts as damaged, DefaultConfirm when
	// zero. It must be longer than an election.
	Confirm time.Duration
	// Timeout is how long one request to the server may take, DefaultTimeout
	// when zero. Every read ends within a small multiple of it.
	Timeout time.Duration
	// AppendTimeout is how long Append tries to have a record stored,
	// DefaultAppendTimeout when zero.
	AppendTimeout time.Duration
	// Clock says how far this machine's clock is believed.
	Clock ClockOptions
	// Line is the connection to a cluster, by which a silent server is left for
	// another one. With nil the connection stays where it is.
	Line Line
	// Reread, when given, looks in the files of a server of one's own for a record
	// that it does not give. An error says that the record may well be there: that
	// is no damage, but a server that cannot be asked now.
	Reread func(sequence uint64) error
	// Logger gets what an operator should know; nothing is logged when nil.
	Logger *slog.Logger
}

// Log is a ledger: an append-only, hash-chained sequence of records in one
// JetStream stream. Its methods may be called from several goroutines at once.
//
// The first integrity failure any of them finds is kept: from then on Append
// refuses to write until the log has proved sound, which is looked at in the
// background. On a shared log a failure is a *DoubtError until it is confirmed.
type Log struct {
	js     jetstream.JetStream
	opts   Options
	prefix string // of the JetStream API's subjects
	log    *slog.Logger
	mark   *headMark
	clock  *clock

	known   atomic.Uint64 // highest sequence known to be stored
	largest int           // bytes of one record

	line            Line
	writing, asking silence // of the server, about records and about anything
	hung            hung

	appendMu sync.Mutex // held while a record is appended

	inspecting bool // what it finds is only for its caller
	life       context.Context
	die        context.CancelFunc
	examiner   sync.WaitGroup // of doubt.go

	mu      sync.Mutex
	id      *identity     // nil until the ledger has, or finds, its first record
	head    Cursor        // last record known to be stored, lower bound
	created time.Time     // of the stream, zero until it has been asked for
	bell    chan struct{} // closed and replaced whenever known grows or failure changes
	failure error         // why the log is not trusted; see doubt.go
	again   []Recheck     // what must pass besides before it is
	watch   *watcher      // nil until somebody follows
	closed  bool
}

// Open opens a ledger. It writes no record: a new ledger, which Options.Found
// allows, gets its first one from EnsureGenesis, or by Import.
//
// Where there is no ledger it returns ErrNoLedger, where one was not finished
// ErrFoundingUnfinished or ErrImportUnfinished, and a *JoinError where a
// directory without an identity meets the ledger of others; none of these
// changes the directory or the server. It returns an *IntegrityError when
// stream, identity and head mark do not belong together: a missing, emptied,
// foreign or shortened stream, or a stream whose identity file is missing.
func Open(ctx context.Context, js jetstream.JetStream, opts Options) (*Log, error) {
	if opts.Stream == "" || opts.Subject == "" || opts.Dir == "" {
		return nil, errors.New("open the ledger: stream, subject and directory are required")
	}
	if opts.Confirm <= 0 {
		opts.Confirm = DefaultConfirm
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.AppendTimeout <= 0 {
		opts.AppendTimeout = DefaultAppendTimeout
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Join != uuid.Nil && (opts.Found || !opts.Shared) {
		return nil, errors.New("open the ledger: only a shared ledger can be joined, and it is not founded then")
	}
	l := &Log{
		js: js, opts: opts, prefix: APIPrefix(js), log: opts.Logger,
		clock:      newClock(opts.Clock),
		line:       ownLine{},
		bell:       make(chan struct{}),
		largest:    min(MaxRecordBytes, int(js.Conn().MaxPayload())-headerRoom),
		inspecting: true, // nobody else uses it yet
	}
	l.life, l.die = context.WithCancel(context.Background())
	if opts.Line != nil {
		l.line = opts.Line
	}
	if err := l.admit(ctx); err != nil {
		l.die()
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		l.die()
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	var damaged bool
	var err error
	if l.mark, damaged, err = openHeadMark(opts.Dir); err != nil {
		return nil, err
	}
	if damaged {
		l.log.Warn("the head mark is damaged; a new one is started at the head of the stream", "file", HeadMarkFile)
	}
	if _, err = l.directory(); err == nil { // what is wrong there no server has to confirm
		err = l.firmly(ctx, l.establish)
	}
	if err == nil {
		err = l.firmly(ctx, l.checkReplicas)
	}
	if err != nil {
		l.die()
		_ = l.mark.close()
		return nil, err
	}
	l.inspecting = false
	return l, nil
}

// directory returns the identity and checks that it fits the head mark.
func (l *Log) directory() (*identity, error) {
	id, err := readIdentity(l.opts.Dir)
	if err != nil {
		return nil, err
	}
	if id != nil && id.Stream != l.opts.Stream {
		return nil, &IntegrityError{Reason: fmt.Sprintf("this directory belongs to stream %s, not %s", id.Stream, l.opts.Stream)}
	}
	if mark := l.mark.get(); id == nil && mark.Sequence > 0 {
		return nil, &IntegrityError{Reason: fmt.Sprintf("the identity file %s is missing, but the head mark knows a ledger of %d records", IdentityFile, mark.Sequence)}
	}
	return id, nil
}

// establish brings stream, identity and head mark together. It may be repeated.
func (l *Log) establish(ctx context.Context) error {
	id, err := l.directory()
	if err != nil {
		return err
	}
	mark := l.mark.get()
	established := id != nil && id.Stage != stageCreating
	state, err := l.state(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if established {
			return &IntegrityError{Reason: fmt.Sprintf("stream %s is missing, but it held ledger %s", l.opts.Stream, id.Ledger)}
		}
		if !l.opts.Found {
			return l.nothing("missing")
		}
		if err := l.createStream(ctx); err != nil {
			return err
		}
		state, err = l.state(ctx)
	}
	if err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	l.known.Store(max(state.LastSeq, mark.Sequence))
	l.head = mark
	if state.LastSeq == 0 {
		if established && id.Stage != stageImporting || mark.Sequence > 0 {
			return &IntegrityError{Position: 1, Sequence: 1, Reason: fmt.Sprintf("stream %s is empty, but it held ledger %s", l.opts.Stream, id.Ledger)}
		}
		if !l.opts.Found {
			return l.nothing("empty")
		}
		if id != nil && id.Stage == stageImporting {
			l.id = id
		}
		return nil
	}
	return l.recognise(ctx, id)
}

// recognise compares a stream that holds records with the identity and the
// head mark.
func (l *Log) recognise(ctx context.Context, id *identity) error {
	if id == nil && !l.opts.Shared {
		return &IntegrityError{Reason: fmt.Sprintf("stream %s holds records, but the identity file %s is missing", l.opts.Stream, IdentityFile)}
	}
	if id != nil && (id.Stage != stageCreating || !l.opts.Shared) {
		l.id = id
	}
	genesis, err := l.genesis(ctx)
	if err != nil {
		return err
	}
	if l.id == nil {
		if err := l.may(&genesis, id); err != nil {
			return err
		}
	}
	if l.id == nil || l.id.Stage == stageCreating {
		if err := l.identify(&genesis, stageCreated); err != nil {
			return err
		}
	}
	mark := l.mark.get()
	if mark.Sequence == 0 {
		return l.note(genesis.Cursor())
	}
	if _, err := l.last(ctx); err != nil { // the stream is shorter than the mark
		return err
	}
	b, err := l.message(ctx, mark.Sequence)
	if err != nil {
		return locate(&chain{at: Cursor{Position: max(mark.Position, 1) - 1}}, err)
	}
	if HashOf(b) != mark.Hash {
		return &IntegrityError{
			Position: max(mark.Position, 1), Sequence: mark.Sequence,
			Reason: fmt.Sprintf("the record has hash %s, the head mark says %s", HashOf(b), mark.Hash),
		}
	}
	return nil
}

// genesis reads the first record and compares it with the identity.
func (l *Log) genesis(ctx context.Context) (Stored, error) {
	c := l.chain(Cursor{})
	b, err := l.message(ctx, 1)
	if err != nil {
		return Stored{}, locate(&c, err)
	}
	return c.next(1, b)
}

// identify makes the ledger that begins with this record the directory's own, at
// a stage of identity.go.
func (l *Log) identify(genesis *Stored, stage string) error {
	id := &identity{Version: 1, Stream: l.opts.Stream, Ledger: genesis.Record.Ledger, Genesis: genesis.Hash, Stage: stage}
	if err := id.write(l.opts.Dir); err != nil {
		return err
	}
	l.mu.Lock()
	l.id = id
	l.mu.Unlock()
	return nil
}

// Ledger returns the id of the ledger and the hash of its first record, false
// while it has none.
func (l *Log) Ledger() (id uuid.UUID, genesis Hash, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == nil {
		return uuid.Nil, Hash{}, false
	}
	return l.id.Ledger, l.id.Genesis, true
}

// Err returns nil while the log is sound, a *DoubtError while it is in doubt, and
// an error that matches ErrIntegrity while it is damaged.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// Head returns where the ledger ends now: a reader that stands there has taken
// everything. It asks the server. The zero Cursor is the head of a ledger
// without records.
func (l *Log) Head(ctx context.Context) (Cursor, error) {
	last, err := l.last(ctx)
	if err != nil || last == 0 {
		return Cursor{}, err
	}
	l.mu.Lock()
	head := l.head
	l.mu.Unlock()
	if head.Sequence == last {
		return head, nil
	}
	s, err := l.Get(ctx, last)
	if err != nil {
		return Cursor{}, err
	}
	return s.Cursor(), nil
}

// Get returns one record. It checks that the record belongs to this ledger; its
// links are checked by Read, Follow and Verify. A sequence beyond the head is
// ErrNotFound.
func (l *Log) Get(ctx context.Context, sequence uint64) (Stored, error) {
	if sequence == 0 {
		return Stored{}, fmt.Errorf("record 0: %w", ErrNotFound)
	}
	b, err := l.direct(ctx, sequence)
	if err != nil {
		if sequence > l.known.Load() {
			last, err := l.last(ctx)
			if err != nil {
				return Stored{}, err
			}
			if sequence > last {
				return Stored{}, fmt.Errorf("record %d: %w", sequence, ErrNotFound)
			}
		}
		if b, err = l.message(ctx, sequence); err != nil {
			return Stored{}, l.fail(err)
		}
	}
	s := Stored{Sequence: sequence, Hash: HashOf(b), Bytes: b}
	if s.Record, err = DecodeRecord(b); err != nil {
		return Stored{}, l.fail(&IntegrityError{Sequence: sequence, Reason: err.Error()})
	}
	if id, _, ok := l.Ledger(); ok && s.Record.Ledger != id {
		return Stored{}, l.fail(&IntegrityError{
			Position: s.Record.First, Sequence: sequence,
			Reason: fmt.Sprintf("it belongs to ledger %s, this is ledger %s", s.Record.Ledger, id),
		})
	}
	return s, nil
}

// Close stops what follows the ledger and releases its files. It does not close
// the connection.
func (l *Log) Close() error {
	l.appendMu.Lock() // an append under way ends first
	defer l.appendMu.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	w := l.watch
	l.mu.Unlock()
	l.die()
	l.examiner.Wait()
	if w != nil {
		w.stop()
	}
	return l.mark.close()
}

// chain returns the checker of the records after a cursor.
func (l *Log) chain(from Cursor) chain {
	c := chain{at: from}
	c.ledger, c.genesis, _ = l.Ledger()
	return c
}

// note takes a record as stored: the head mark moves and followers wake up.
func (l *Log) note(c Cursor) error {
	l.mu.Lock()
	if c.Sequence > l.head.Sequence {
		l.head = c
	}
	l.mu.Unlock()
	l.ring(c.Sequence)
	return l.mark.note(c)
}

// ring tells followers that records up to sequence are stored.
func (l *Log) ring(sequence uint64) {
	for {
		known := l.known.Load()
		if sequence <= known {
			return
		}
		if l.known.CompareAndSwap(known, sequence) {
			break
		}
	}
	l.mu.Lock()
	l.stir()
	l.mu.Unlock()
}

// waiting returns the channel that is closed when known next grows.
func (l *Log) waiting() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bell
}
