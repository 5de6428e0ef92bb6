// Package ledger is the application behind every door: it opens the log, keeps the book and the read
// models up to date, and executes commands. The doors add authentication and their own words.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/board"
	"permledger/eventstore/dedup"
	"permledger/projections"
)

// archiveAtEnd is how long Close lets the archive take in the last records.
const archiveAtEnd = 5 * time.Second

// Config says where a ledger lives.
type Config struct {
	Dir      string   // data directory, created with mode 0700 when absent
	External External // cluster that holds the log; the embedded server when its URL is empty
	// Found lets a ledger begin where there is none; one that is there is just opened.
	Found bool
	// Join is the ledger of the cluster that a directory without an identity becomes a node of.
	Join   uuid.UUID
	Logger *slog.Logger
	// Clock says how far this machine's clock is believed.
	Clock eventstore.ClockOptions
	// ScrubPeriod is within what time everything on the disk is checked, DefaultScrubPeriod when zero.
	ScrubPeriod time.Duration
	// Progress is told how much of the log has been folded at the start; it may be nil.
	Progress func(done, total uint64)
}

// Ledger is an open ledger. Its methods may be called from any goroutine.
type Ledger struct {
	config Config
	store  *Store
	book   *domain.Book
	writer *eventstore.Writer[domain.Request, domain.Fact]
	models *projections.Models
	ids    *dedup.Store
	// archive is the second copy of a log that has no peer; nil where a cluster holds the log.
	archive *archive.Follower
	// scrubber checks the disk while the ledger serves; nil while it never did.
	scrubber *scrubber
	resnap   chan struct{} // asks for a snapshot now

	stop      context.CancelFunc
	done      sync.WaitGroup
	unfollow  context.CancelFunc // ends the followers; nil while there are none
	followers sync.WaitGroup     // of the read models

	mu     sync.RWMutex
	serves bool  // what is above is set and stays; guarded by mu
	fault  error // why the ledger does not serve; guarded by mu
	// exposures say what others could do to the log on a cluster; guarded by mu
	exposures []string
}

// errNotOpen is the fault of a ledger that has not been opened yet.
var errNotOpen = fmt.Errorf("the ledger is not open: %w", eventstore.ErrUnavailable)

// Open opens a ledger, or founds one where Config.Found allows it, and folds its log. A ledger whose
// integrity is broken opens too: it executes and answers nothing, and Fault says why. On a cluster it serves
// by itself once the log is put right. Other errors mean that it could not be opened, a *RefusedError that
// there is none.
func Open(ctx context.Context, config Config) (*Ledger, error) {
	l := &Ledger{config: config, book: domain.NewBook(), fault: errNotOpen, resnap: make(chan struct{}, 1)}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	err := l.open(ctx, running)
	switch {
	case errors.Is(err, eventstore.ErrIntegrity):
		l.fail(err)
		if config.External.URL != "" {
			if err := l.discard(); err != nil {
				return nil, errors.Join(err, l.Close())
			}
			l.done.Go(func() { l.resume(running) })
		}
	case err != nil:
		return nil, errors.Join(config.explain(err), l.Close())
	}
	return l, nil
}

func (l *Ledger) open(ctx, running context.Context) error {
	var err error
	if l.store, err = OpenStore(ctx, l.config); err != nil {
		return err
	}
	if l.config.External.URL == "" {
		if l.archive, err = archive.Start(ctx, l.store.Log, archive.Options{Dir: ArchiveDir(l.config.Dir), Logger: l.config.Logger}); err != nil {
			return fmt.Errorf("compare the log with its archive: %w", err)
		}
	}
	if l.ids, err = l.openIDs(ctx); err != nil {
		return err
	}
	if l.models, err = projections.Open(ctx, ModelsDir(l.config.Dir), projections.Options{}); err != nil {
		return fmt.Errorf("open read models: %w", err)
	}
	following, stop := context.WithCancel(running)
	l.unfollow = stop
	l.followers.Go(func() { l.follow(following) })
	if l.models.Doubted() {
		models, log := l.models, l.store.Log
		l.followers.Go(func() {
			l.rebuild(following, func(ctx context.Context) error { return models.Rebuild(ctx, log, nil) })
		})
	}
	book, from := l.recall()
	l.setBook(book)
	l.writer = eventstore.NewWriter(l.store.Log, l.book, projections.Codec{}, l.ids, eventstore.WriterOptions{From: from, Logger: l.config.Logger, Progress: l.config.Progress})
	if err := l.writer.Start(ctx); err != nil {
		return fmt.Errorf("fold the log: %w", err)
	}
	l.scrubber = newScrubber(l.config.ScrubPeriod, l.scrubbed(), func() bool { return l.writer.Stats().Queued > 0 }, l.logger())
	l.serve()
	l.done.Go(func() { l.keepRenewing(running) })
	if l.store.Restart != nil {
		l.done.Go(func() { l.keepAnswering(running, l.writer.Err, l.store.Restart) })
	}
	if l.store.cluster != nil {
		l.done.Go(func() { l.checkAccess(running) })
	}
	l.done.Go(func() { l.keepSnapshots(running, from.Position) })
	l.done.Go(func() { l.scrubber.run(running) })
	return nil
}

// openIDs opens the command ids. What does not fit the log is a doubt first where a cluster holds it.
func (l *Ledger) openIDs(ctx context.Context) (*dedup.Store, error) {
	dir := CommandIDsDir(l.config.Dir)
	for {
		ids, err := dedup.Open(ctx, dir, l.store.Log, dedup.Options{Logger: l.config.Logger})
		if err == nil {
			return ids, nil
		}
		err = l.store.Log.Suspect(err, func(ctx context.Context, log *eventstore.Log) error { return dedup.Fits(ctx, dir, log) })
		if _, doubted := errors.AsType[*eventstore.DoubtError](err); !doubted {
			return nil, err
		}
		if err := l.store.Log.Settled(ctx); err != nil {
			return nil, err
		}
	}
}

// followAgain is how long the read models wait before they follow the log again after an error.
const followAgain = 250 * time.Millisecond

// follow keeps the read models up to date until the context ends. It waits while the log is not what was
// written, which stops the ledger, and for anything else, such as a disk that is full or a log that cannot
// be reached.
func (l *Ledger) follow(ctx context.Context) {
	for {
		err := l.models.Run(ctx, l.store.Log)
		if ctx.Err() != nil {
			return
		}
		l.logger().Warn("the read models do not follow the log for now", "error", err)
		if errors.Is(err, eventstore.ErrIntegrity) || l.store.Log.Err() != nil {
			l.waitSound(ctx, err)
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(followAgain):
		}
	}
}

// rebuildAgain is how long after a failure the read models are built anew again; it doubles each time, up to
// longestRebuildAgain.
const (
	rebuildAgain        = 5 * time.Second
	longestRebuildAgain = 10 * time.Minute
)

// rebuild ends the doubt about read models that nothing vouches for, which answer meanwhile. What keeps it
// from that may pass: a cluster that elects a leader, a log in doubt, a disk that is full.
func (l *Ledger) rebuild(ctx context.Context, build func(context.Context) error) {
	for wait := rebuildAgain; ; wait = min(2*wait, longestRebuildAgain) {
		err := build(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		l.logger().Warn("the read models were not built anew; it is tried again", "in", wait, "error", err)
		if pause(ctx, wait) != nil {
			return
		}
	}
}

// ModelsDir is where the read models of a data directory live.
func ModelsDir(dir string) string { return filepath.Join(dir, "readmodels") }

// CommandIDsDir is where the ids of all commands of a data directory live.
func CommandIDsDir(dir string) string { return filepath.Join(dir, "commandids") }

// serve says that the ledger is open.
func (l *Ledger) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serves, l.fault = true, nil
}

// serving reports whether the ledger has been opened: from then on its parts stay as they are.
func (l *Ledger) serving() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.serves
}

func (l *Ledger) setBook(book *domain.Book) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.book = book
}

func (l *Ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil || errors.Is(l.fault, errNotOpen) {
		l.fault = err
		l.logger().Error("the ledger stopped serving", "error", err)
	}
}

func (l *Ledger) logger() *slog.Logger {
	if l.config.Logger != nil {
		return l.config.Logger
	}
	return slog.Default()
}

// Fault is why the ledger neither executes nor answers; nil while it does.
func (l *Ledger) Fault() error {
	l.mu.RLock()
	fault := l.fault
	l.mu.RUnlock()
	if fault != nil {
		return fault
	}
	return l.writer.Failure()
}

// Book answers what a decision would say now.
func (l *Ledger) Book() *domain.Book {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.book
}

// Shared reports whether other nodes may serve the same ledger.
func (l *Ledger) Shared() bool { return l.config.External.URL != "" }

// Board holds what the nodes of a shared ledger have in common besides the log; nil where the ledger is not
// shared, or has not been opened.
func (l *Ledger) Board() *board.Board {
	if !l.serving() {
		return nil
	}
	return l.store.Board
}

// ID is the ledger's; the zero one where it has not been opened.
func (l *Ledger) ID() uuid.UUID {
	if !l.serving() {
		return uuid.Nil
	}
	id, _, _ := l.store.Log.Ledger()
	return id
}

// Models are the read models.
func (l *Ledger) Models() *projections.Models { return l.models }

// Writer gives figures about the writer; zeros while it never served.
func (l *Ledger) Writer() eventstore.WriterStats {
	if !l.serving() {
		return eventstore.WriterStats{}
	}
	return l.writer.Stats()
}

// Close stops serving and releases the data directory. Commands under way get their answers first.
func (l *Ledger) Close() error {
	l.stop()
	var errs []error
	if l.serving() {
		errs = append(errs, l.writer.Close()) // who waits for it gets an answer
	}
	l.done.Wait()
	return errors.Join(append(errs, l.release())...)
}

// release closes whatever has been opened. Nobody uses it any more.
func (l *Ledger) release() error {
	var errs []error
	if l.writer != nil {
		errs = append(errs, l.writer.Close())
	}
	if l.unfollow != nil {
		l.unfollow()
		l.followers.Wait()
	}
	if l.archive != nil {
		ending, cancel := context.WithTimeout(context.Background(), archiveAtEnd)
		errs = append(errs, l.archive.Close(ending))
		cancel()
	}
	if l.ids != nil {
		if err := l.ids.Close(); err != nil {
			l.logger().Warn("not all command ids were written; the next start reads more of the log", "error", err)
		}
	}
	if l.models != nil {
		errs = append(errs, l.models.Close())
	}
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	return errors.Join(errs...)
}

// discard closes what a failed opening has opened, so that it can be tried again.
func (l *Ledger) discard() error {
	err := l.release()
	l.writer, l.unfollow, l.archive, l.models, l.ids, l.store = nil, nil, nil, nil, nil, nil
	return err
}
