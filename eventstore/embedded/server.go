// Package embedded runs a NATS server with JetStream inside the process, and
// connects to external ones with the same settings on the client's side.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"permledger/eventstore"
)

// Options say where the server keeps its data.
type Options struct {
	// Dir is the data directory. It is created with mode 0700 and locked, so
	// that a second process is refused.
	Dir string
	// StoreDir is where JetStream keeps its files, Dir when empty (the server
	// adds a directory "jetstream" to it).
	StoreDir string
	// Stream and Subject are the log that must come back whole at every start: the
	// stream, which is never purged, and the one subject of its messages. Without
	// them the files are read before a start, and not guarded.
	Stream, Subject string
	// Ready is how long the start may take, ten minutes when zero.
	Ready time.Duration
	// Logger gets what the server has to say: its warnings and errors as such,
	// everything else at debug level. Nothing is logged when nil.
	Logger *slog.Logger
	// Unsynced acknowledges before anything is synced. It is for a store that
	// nobody relies on yet: whoever fills one syncs its files after Close, and
	// checks them, before it becomes a ledger.
	Unsynced bool
}

// Server is a NATS server inside this process. It listens nowhere; the only
// connection is Conn.
type Server struct {
	opts Options
	conn *nats.Conn
	js   jetstream.JetStream
	lock *Lock
	once sync.Once
	err  error

	mu         sync.Mutex // held while the server is replaced
	current    atomic.Pointer[server.Server]
	generation atomic.Uint64
}

// Start locks the data directory and starts a server on it. It reads every file of
// the store first, and keeps them aside until the server has opened the whole log.
//
// It returns a *LockedError when another process uses the directory, a *eventstore.ReadError
// when a file cannot be read, a *DamageError when the files of the log are not what
// a server wrote, a *RoomError when the disk has no room, and a *DroppedError when
// the server did not open what the files hold. None of them has lost anything.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Dir == "" {
		return nil, errors.New("start the embedded server: a data directory is required")
	}
	if opts.StoreDir == "" {
		opts.StoreDir = opts.Dir
	}
	if opts.Ready <= 0 {
		opts.Ready = defaultReady
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	lock, err := LockDir(opts.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, lock: lock}
	if err := s.start(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("start the embedded server: %w", err)
	}
	if err := s.connect(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("connect to the embedded server: %w", err)
	}
	return s, nil
}

// start makes a server on the files, once they have been read and kept aside, and
// waits until it has recovered them.
func (s *Server) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Clean(s.opts.StoreDir), 0o700); err != nil {
		return &RoomError{Dir: s.opts.StoreDir, Err: err}
	}
	g := guard{storeDir: s.opts.StoreDir, stream: s.opts.Stream, subject: s.opts.Subject, logger: s.opts.Logger}
	if err := g.settle(ctx); err != nil {
		return err
	}
	links, err := findRoom(s.opts.StoreDir)
	if err != nil {
		return err
	}
	if err := g.keep(ctx, links); err != nil {
		return err
	}
	made, err := s.run(ctx, &g)
	if err == nil {
		err = g.release()
	}
	if err != nil {
		if made != nil {
			made.Shutdown()
			made.WaitForShutdown()
		}
		if ctx.Err() != nil {
			return err // in haste; the next start settles what is kept
		}
		return errors.Join(err, g.settle(ctx))
	}
	// Only now: a client must not meet a server that does not know its streams yet.
	s.current.Store(made)
	return nil
}

// run starts a server and holds what it opened against what the files held. A
// server that it returns is to be shut down by the caller, also on an error.
func (s *Server) run(ctx context.Context, g *guard) (*server.Server, error) {
	opts := s.opts
	made, err := server.NewServer(&server.Options{
		ServerName:             "embedded",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               opts.StoreDir,
		SyncAlways:             !opts.Unsynced,
		JetStreamMaxStore:      maxStore,
		JetStreamMaxMemory:     maxMemory,
		MaxPayload:             MaxPayload,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, err
	}
	log := newLogger(opts.Logger)
	made.SetLoggerV2(log, false, false, false)
	made.Start()
	if err := waitReady(ctx, made, log, opts.Ready); err != nil {
		return made, err
	}
	return made, g.opened(made, log)
}

// connect makes the one connection, which finds whatever server is there when it
// was lost. What is published meanwhile fails at once and is never buffered.
func (s *Server) connect() error {
	var err error
	s.conn, err = nats.Connect("", nats.InProcessServer(s), nats.Name("embedded"),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.opts.Logger.Debug("embedded connection", "error", err)
		}))
	if err != nil {
		return err
	}
	s.js, err = jetstream.New(s.conn)
	return err
}

// InProcessConn gives a connection to the server there is. It implements
// nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) { return s.current.Load().InProcessConn() }

// Restart stops the server and starts another on the same files, under the same
// lock. It is for a server that no longer answers because its disk failed; Conn
// reconnects by itself. On an error there is no server until the next try.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation.Load()%2 == 0 {
		s.generation.Add(1)
	}
	old := s.current.Load()
	old.Shutdown()
	old.WaitForShutdown()
	if s.conn.IsClosed() {
		return errors.New("restart the embedded server: it is closed")
	}
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("restart the embedded server: %w", err)
	}
	s.generation.Add(1)
	return nil
}

// Generation tells one server from the next. It is odd from when Restart begins until
// one has succeeded: the files of the store may be missing, or moved aside, meanwhile.
func (s *Server) Generation() uint64 { return s.generation.Load() }

// Reread looks in the files for a message that the server does not give. It returns a
// *eventstore.ReadError for a file that cannot be read, and an
// eventstore.ErrUnavailable when a file holds the message whole: then the server could
// not read it a moment ago. It returns nil when no file holds it.
func (s *Server) Reread(sequence uint64) error {
	return ScanStream(s.opts.StoreDir, s.opts.Stream, s.opts.Subject, func(f Found) error {
		if !f.Whole || f.Sequence != sequence {
			return nil
		}
		return fmt.Errorf("the server does not give message %d, which %s holds: %w", sequence, filepath.Base(f.File), eventstore.ErrUnavailable)
	})
}

// waitReady waits until a server has recovered its store.
func waitReady(ctx context.Context, made *server.Server, log *logger, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for !made.ReadyForConnections(50*time.Millisecond) || !made.JetStreamEnabled() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case log.fatal() != "":
			return fmt.Errorf("the server gave up: %s", log.fatal())
		case !made.Running():
			return fmt.Errorf("the server stopped while it started%s", quoted(log.said()))
		case time.Now().After(deadline):
			return fmt.Errorf("not ready after %s%s", limit, quoted(log.said()))
		}
	}
	return nil
}

// Conn returns the connection to the server. It is closed by Close.
func (s *Server) Conn() *nats.Conn { return s.conn }

// JetStream returns the JetStream API over Conn.
func (s *Server) JetStream() jetstream.JetStream { return s.js }

// Running reports whether the server runs and JetStream has not been stopped,
// which it does by itself when the file system refuses to be written.
func (s *Server) Running() bool {
	current := s.current.Load()
	return current.Running() && current.JetStreamEnabled()
}

// Close closes the connection, stops the server and unlocks the directory. It
// returns when all that is done; calling it again changes nothing.
func (s *Server) Close() error {
	s.once.Do(func() {
		if s.conn != nil {
			s.conn.Close()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if current := s.current.Load(); current != nil {
			current.Shutdown()
			current.WaitForShutdown()
		}
		s.err = s.lock.Unlock()
	})
	return s.err
}
