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
)

const (
	// MaxPayload is the largest message the server takes, in bytes.
	MaxPayload = 8 << 20

	// maxStore bounds the files of JetStream, in bytes. It is larger than any
	// disk: what the disk holds is the limit, not a share of what was free
	// when the process started.
	maxStore = 1 << 50

	// maxMemory bounds the state of short-lived consumers, in bytes.
	maxMemory = 64 << 20

	// defaultReady is how long a start may take. After a kill the server reads
	// its whole store, about 2 s of CPU per GB.
	defaultReady = 10 * time.Minute
)

// Options say where the server keeps its data.
type Options struct {
	// Dir is the data directory. It is created with mode 0700 and locked, so
	// that a second process is refused.
	Dir string
	// StoreDir is where JetStream keeps its files, Dir when empty (the server
	// adds a directory "jetstream" to it).
	StoreDir string
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

	mu      sync.Mutex // held while the server is replaced
	current atomic.Pointer[server.Server]
}

// Start locks the data directory and starts a server on it. It returns a
// *LockedError when another process uses the directory.
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

// start makes a server on the files and waits until it has recovered them.
func (s *Server) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	opts := s.opts
	if err := os.MkdirAll(filepath.Clean(opts.StoreDir), 0o700); err != nil {
		return err
	}
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
		return err
	}
	made.SetLoggerV2(&logger{opts.Logger}, false, false, false)
	made.Start()
	if err := waitReady(ctx, made, opts.Ready); err != nil {
		made.Shutdown()
		made.WaitForShutdown()
		return err
	}
	// Only now: a client must not meet a server that does not know its streams yet.
	s.current.Store(made)
	return nil
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
	old := s.current.Load()
	old.Shutdown()
	old.WaitForShutdown()
	if s.conn.IsClosed() {
		return errors.New("restart the embedded server: it is closed")
	}
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("restart the embedded server: %w", err)
	}
	return nil
}

// waitReady waits until a server has recovered its store.
func waitReady(ctx context.Context, made *server.Server, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for !made.ReadyForConnections(50*time.Millisecond) || !made.JetStreamEnabled() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !made.Running():
			return errors.New("the server stopped while it started; its log says why")
		case time.Now().After(deadline):
			return fmt.Errorf("not ready after %s", limit)
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
