package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"permledger/eventstore"
	"permledger/eventstore/board"
	"permledger/eventstore/embedded"
)

// The names of the log in JetStream.
const (
	streamName    = "PERMLEDGER"
	streamSubject = "permledger.commits"
	boardStream   = "PERMLEDGER_WEBHOOKS"
	boardPrefix   = "permledger.webhooks"
)

// appendTimeout is how long a command waits for its record to be stored before its outcome is unknown.
const appendTimeout = 2 * time.Second

// The same on a cluster, where a server may have to be left for another meanwhile, and how long one
// request to it may take. A command is answered within clusterDeadline, with a refusal if need be.
const (
	clusterAppendTimeout  = 1500 * time.Millisecond
	clusterRequestTimeout = time.Second
	clusterDeadline       = 1900 * time.Millisecond
)

// clusterWait is how long a start waits for a cluster that cannot be reached.
const clusterWait = 30 * time.Second

// External says how to reach an external NATS cluster.
type External struct {
	URL           string
	Replicas      int    // the stream must have; with 0 it is taken as it is, and a new one has 1
	APIPrefix     string // of JetStream where the account imports it from the ledger's; the usual one when empty
	Credentials   string // path of a credentials file; none when empty
	RootCA        string // path of a PEM file with the authority of the server's certificate; the system's when empty
	SyncAlways    bool   // the operator's word that every server syncs before it acknowledges
	AllowUnsynced bool   // write even where that is not known; shown in health
	// Confirm is how long what speaks against the log must last before it counts as damaged;
	// eventstore.DefaultConfirm when 0.
	Confirm time.Duration
}

func (e External) options(logger *slog.Logger) embedded.ConnectOptions {
	o := embedded.ConnectOptions{SyncAlways: e.SyncAlways, AllowUnsynced: e.AllowUnsynced, APIPrefix: e.APIPrefix, Wait: clusterWait}
	if logger != nil {
		o.Waiting = func(why error) { logger.Warn("waiting for NATS", "for", clusterWait, "because", why) }
	}
	if e.Credentials != "" {
		o.NATS = append(o.NATS, nats.UserCredentials(e.Credentials))
	}
	if e.RootCA != "" {
		o.Transport = append(o.Transport, nats.RootCAs(e.RootCA))
	}
	return o
}

// Store is an open log with whatever carries it: the embedded server, or a connection to a cluster.
type Store struct {
	Log  *eventstore.Log
	Sync embedded.Sync // how it is known that the log is synced before it acknowledges
	// Restart stops the embedded server and starts it again; nil where a cluster holds the log.
	Restart func(context.Context) error
	// Board holds what the nodes on a cluster share besides the log; nil where the log is this node's own.
	Board *board.Board

	cluster *embedded.External // nil on the embedded server
	server  *embedded.Server   // nil on a cluster
	release []func() error     // undone in reverse order
}

// OpenStore opens the log of a data directory without folding it. Where there is no ledger, or one that was
// not finished, it is a *RefusedError and the directory stays as it is. A log whose identity, head or stream
// do not fit together is an eventstore.IntegrityError; a directory that another process uses is an
// embedded.LockedError.
func OpenStore(ctx context.Context, config Config) (*Store, error) {
	if err := config.admit(); err != nil {
		return nil, err
	}
	s := &Store{}
	js, line, err := s.carry(ctx, config)
	if err == nil {
		o := config.options()
		o.Line = line
		if s.server != nil {
			o.Reread = s.server.Reread
		}
		s.Log, err = eventstore.Open(ctx, js, o)
	}
	if err != nil {
		return nil, errors.Join(config.explain(err), s.Close())
	}
	s.release = append(s.release, s.Log.Close)
	return s, nil
}

func (c Config) options() eventstore.Options {
	o := eventstore.Options{Stream: streamName, Subject: streamSubject, Dir: c.Dir, AppendTimeout: appendTimeout, Found: c.Found, Join: c.Join, Clock: c.Clock, Logger: c.Logger}
	if c.External.URL != "" {
		o.Shared, o.Replicas = true, c.External.Replicas
		o.AppendTimeout, o.Timeout, o.Confirm = clusterAppendTimeout, clusterRequestTimeout, c.External.Confirm
	}
	return o
}

// carry starts or reaches the server that holds the log.
func (s *Store) carry(ctx context.Context, config Config) (jetstream.JetStream, eventstore.Line, error) {
	if config.External.URL == "" {
		server, err := embedded.Start(ctx, embedded.Options{Dir: config.Dir, Stream: streamName, Subject: streamSubject, Logger: config.Logger})
		if err != nil {
			return nil, nil, located(err)
		}
		s.server, s.Sync, s.Restart = server, embedded.SyncSeen, server.Restart
		s.release = append(s.release, server.Close)
		return server.JetStream(), nil, nil
	}
	node, err := exists(filepath.Join(config.Dir, eventstore.IdentityFile))
	if err != nil {
		return nil, nil, fmt.Errorf("look at the data directory: %w", err)
	}
	if node || config.Found || config.Join != uuid.Nil { // otherwise the log is refused, and nothing is written
		lock, err := embedded.LockDir(config.Dir)
		if err != nil {
			return nil, nil, err
		}
		s.release = append(s.release, lock.Unlock)
	}
	cluster, err := embedded.Connect(ctx, config.External.URL, config.External.options(config.Logger))
	if errors.Is(err, embedded.ErrUnreachable) {
		err = fmt.Errorf("%w: %w", eventstore.ErrUnavailable, err)
	}
	if err != nil {
		return nil, nil, err
	}
	s.cluster = cluster
	s.Sync = cluster.Sync()
	s.Board = board.New(cluster.JetStream(), board.Options{Stream: boardStream, Prefix: boardPrefix, Replicas: config.External.Replicas})
	s.release = append(s.release, cluster.Close)
	return cluster.JetStream(), cluster, nil
}

// located names the record and the position where the files of a log are damaged.
func located(err error) error {
	damage, ok := errors.AsType[*embedded.DamageError](err)
	if !ok {
		return err
	}
	at := &eventstore.IntegrityError{Sequence: damage.Sequence, Reason: damage.Error()}
	if damage.Sequence == 0 {
		return at
	}
	at.Position = 1
	if before := damage.Before; before.Sequence > 0 {
		last, err := lastPosition(before)
		if err != nil {
			return err
		}
		at.Position = last + 1
	}
	return at
}

// lastPosition reads a record where it was found and gives the position that it reaches.
func lastPosition(f embedded.Found) (uint64, error) {
	content, err := f.Content()
	if err != nil {
		return 0, err
	}
	r, err := eventstore.DecodeRecord(content)
	if err != nil {
		return 0, &eventstore.IntegrityError{Sequence: f.Sequence, Reason: err.Error()}
	}
	return r.Last(), nil
}

// Close closes the log, then what carries it.
func (s *Store) Close() error {
	var errs []error
	for _, release := range slices.Backward(s.release) {
		errs = append(errs, release())
	}
	return errors.Join(errs...)
}
