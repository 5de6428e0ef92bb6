package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/eventstore/embedded"
	"permledger/handlers/ledger"
)

// startSuite measures what a start with the large ledger takes.
var startSuite = benchSuite{
	name: "start",
	measures: []benchMeasure{
		{"decision state from its snapshot", "s", "snapshot", "folding the log", "fold", ratioAtMost(0.2)},
		{"decision state from its snapshot", "s", "snapshot", "JetStream's own recovery", "recovery", benchTarget{}},
		{"decision state from its snapshot", "s", "snapshot", "JetStream's recovery after a kill", "rescan", benchTarget{}},
		{"start of the whole ledger", "s", "whole", "JetStream's own recovery", "recovery", figureAtMost(10)},
	},
	open: openStart,
}

type benchStart struct {
	large    *benchLarge
	snapshot string // path of the decision state at the head
}

// openStart writes the snapshot, and lets the ledger keep its own, as a server does when it ends.
func openStart(ctx context.Context, b *bench) ([]benchLane, func() error, error) {
	large, err := b.largeModels(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := &benchStart{large: large, snapshot: b.subdirectory("state")}
	file, err := os.Create(s.snapshot)
	if err != nil {
		return nil, nil, fmt.Errorf("write a snapshot: %w", err)
	}
	_, err = large.book.Snapshot().WriteTo(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, nil, fmt.Errorf("write a snapshot: %w", err)
	}
	if _, err := s.whole(ctx, 0); err != nil {
		return nil, nil, err
	}
	return []benchLane{
		lane("recovery", s.recovery), lane("rescan", s.rescan), lane("fold", s.fold), lane("snapshot", s.restore), lane("whole", s.whole),
	}, nil, nil
}

// recovery is the part of a start that is JetStream's.
func (s *benchStart) recovery(ctx context.Context, _ time.Duration) (float64, error) {
	started := time.Now()
	server, err := embedded.Start(ctx, embedded.Options{Dir: s.large.dir})
	if err != nil {
		return 0, err
	}
	return time.Since(started).Seconds(), server.Close()
}

// rescan is the same after the process was killed: without the file in which JetStream notes, when it
// ends, what its own files hold.
func (s *benchStart) rescan(ctx context.Context, limit time.Duration) (float64, error) {
	indexes, err := filepath.Glob(filepath.Join(s.large.dir, "jetstream", "*", "streams", "*", "msgs", "index.db"))
	if err == nil && len(indexes) == 0 {
		err = errors.New("JetStream has left no index that a kill would have kept it from writing")
	}
	for _, path := range indexes {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return 0, err
	}
	return s.recovery(ctx, limit)
}

// fold makes the decision state from the whole log.
func (s *benchStart) fold(ctx context.Context, _ time.Duration) (float64, error) {
	return s.timed(ctx, func(log *eventstore.Log) error {
		return startWriter(ctx, log, domain.NewBook(), eventstore.Cursor{}, s.large.head, nil)
	})
}

// restore makes it from the snapshot, checked by its sum as a ledger's own is, and from what came after it.
func (s *benchStart) restore(ctx context.Context, _ time.Duration) (float64, error) {
	return s.timed(ctx, func(log *eventstore.Log) error {
		state, err := os.ReadFile(s.snapshot)
		if err != nil {
			return err
		}
		_ = sha256.Sum256(state)
		book := domain.NewBook()
		if err := book.Restore(bytes.NewReader(state)); err != nil {
			return err
		}
		return startWriter(ctx, log, book, s.large.head, s.large.head, nil)
	})
}

// timed opens the log and gives the seconds of what is then done with it.
func (s *benchStart) timed(ctx context.Context, work func(*eventstore.Log) error) (float64, error) {
	store, err := openBenchStore(ctx, s.large.dir, false)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	err = work(store.log)
	took := time.Since(started).Seconds()
	return took, errors.Join(err, store.close())
}

// whole opens the ledger as a server does, up to where it would answer.
func (s *benchStart) whole(ctx context.Context, _ time.Duration) (float64, error) {
	started := time.Now()
	l, err := ledger.Open(ctx, ledger.Config{Dir: s.large.dir})
	if err != nil {
		return 0, err
	}
	took := time.Since(started).Seconds()
	if !l.Health().Ready {
		err = fmt.Errorf("the ledger is not ready: %v", l.Health().Reasons)
	}
	return took, errors.Join(err, l.Close())
}
