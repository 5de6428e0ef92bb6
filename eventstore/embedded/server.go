// Package embedded runs a NATS server with JetStream inside the process, and
// connects to external ones with the same settings on the client's side.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
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
	// UnsafeNoSyncForTests acknowledges before anything is synced. Only a test
	// that does not care for its data may set it.
	UnsafeNoSyncForTests bool
}

// Server is a NATS server inside this process. It listens nowhere; the only
// connection is Conn.
type Server struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	lock   *Lock
	once   sync.Once
	err    error
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
	s := &Server{lock: lock}
	if err := s.start(ctx, opts); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("start the embedded server: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, opts Options) error {
	if err := os.MkdirAll(filepath.Clean(opts.StoreDir), 0o700); err != nil {
		return err
	}
	var err error
	s.server, err = server.NewServer(&server.Options{
		ServerName:             "embedded",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               opts.StoreDir,
		SyncAlways:             !opts.UnsafeNoSyncForTests,
		JetStreamMaxStore:      maxStore,
		JetStreamMaxMemory:     maxMemory,
		MaxPayload:             MaxPayload,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return err
	}
	s.server.SetLoggerV2(&logger{opts.Logger}, false, false, false)
	s.server.Start()
	if err := s.waitReady(ctx, opts.Ready); err != nil {
		return err
	}
	s.conn, err = nats.Connect("", nats.InProcessServer(s.server),
		nats.Name("embedded"), nats.NoReconnect(), nats.ReconnectBufSize(-1))
	if err != nil {
		return err
	}
	s.js, err = jetstream.New(s.conn)
	return err
}

// waitReady waits until the server has recovered its store.
func (s *Server) waitReady(ctx context.Context, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for !s.server.ReadyForConnections(50*time.Millisecond) || !s.server.JetStreamEnabled() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !s.server.Running():
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
func (s *Server) Running() bool { return s.server.Running() && s.server.JetStreamEnabled() }

// Close closes the connection, stops the server and unlocks the directory. It
// returns when all that is done; calling it again changes nothing.
func (s *Server) Close() error {
	s.once.Do(func() {
		if s.conn != nil {
			s.conn.Close()
		}
		if s.server != nil {
			s.server.Shutdown()
			s.server.WaitForShutdown()
		}
		s.err = s.lock.Unlock()
	})
	return s.err
}
