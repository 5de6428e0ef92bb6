package embedded

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"permledger/eventstore"
)

// Settle ends what a start that was interrupted left behind, without a server: the
// files that were kept aside are put back, unless the store still holds everything
// they do. Whoever reads the files of a log by other means than Start calls it
// first, with the directory locked. It returns a *eventstore.ReadError when a file cannot be
// read, and a *DamageError when both hold something that the other lacks; nothing is
// changed then.
func Settle(ctx context.Context, storeDir, stream, subject string) error {
	g := guard{storeDir: storeDir, stream: stream, subject: subject, logger: slog.New(slog.DiscardHandler)}
	return g.settle(ctx)
}

func (g *guard) settle(ctx context.Context) error {
	for _, name := range []string{keepingName, releasedName} {
		if err := os.RemoveAll(g.path(name)); err != nil {
			return room(g.storeDir, err)
		}
	}
	kept, err := exists(filepath.Join(g.path(keptName), storeName))
	if err != nil {
		return err
	}
	if kept && g.stream != "" {
		if err := g.decide(ctx); err != nil {
			return err
		}
	} else if err := os.RemoveAll(g.path(keptName)); err != nil { // everything in it was put back
		return room(g.storeDir, err)
	}
	return room(g.storeDir, os.RemoveAll(g.path(droppedName)))
}

// decide puts the kept files back, or releases them.
func (g *guard) decide(ctx context.Context) error {
	there, err := exists(g.path(storeName))
	if err != nil {
		return err
	}
	if !there {
		return g.putBack()
	}
	before, err := g.holdings(ctx, g.path(keptName))
	if err != nil {
		return err
	}
	now, err := g.holdings(ctx, g.storeDir)
	if err != nil {
		return err
	}
	switch {
	case now.holds(before):
		return g.release()
	case before.holds(now):
		g.logger.Warn("the files of the log are put back as they were before the server opened them")
		if err := os.RemoveAll(g.path(droppedName)); err != nil {
			return room(g.storeDir, err)
		}
		if err := os.Rename(g.path(storeName), g.path(droppedName)); err != nil {
			return room(g.storeDir, err)
		}
		return g.putBack()
	}
	return &DamageError{File: g.path(keptName), Reason: "it holds messages of the log that " + storeName + " lacks, and the other way round: keep the whole directory, and restore a backup into a new one"}
}

// putBack moves the kept files to where there is no store now.
func (g *guard) putBack() error {
	steps := []func() error{
		func() error { return os.Rename(filepath.Join(g.path(keptName), storeName), g.path(storeName)) },
		func() error { return eventstore.SyncDir(g.path(keptName)) },
		func() error { return eventstore.SyncDir(g.storeDir) },
		func() error { return os.RemoveAll(g.path(keptName)) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return room(g.storeDir, err)
		}
	}
	return nil
}

// holdings are what the files of a store hold of the log.
type holdings struct {
	runs  [][2]uint64 // of whole messages, first and last, as they come
	known bool        // the stream is described, so that a server opens it
}

// holdings reads a store.
func (g *guard) holdings(ctx context.Context, storeDir string) (h holdings, err error) {
	err = ScanStream(storeDir, g.stream, g.subject, func(f Found) error {
		if f.Whole {
			h.take(f.Sequence)
		}
		return ctx.Err()
	})
	if err != nil {
		return h, err
	}
	reader := surveyor{storeDir: storeDir, stream: g.stream}
	err = reader.description()
	if _, damaged := err.(*DamageError); damaged { //nolint:errorlint // as description gives it
		return h, nil
	}
	h.known = err == nil
	return h, err
}

// take adds a message.
func (h *holdings) take(sequence uint64) {
	if n := len(h.runs); n > 0 && h.runs[n-1][1]+1 == sequence {
		h.runs[n-1][1] = sequence
		return
	}
	h.runs = append(h.runs, [2]uint64{sequence, sequence})
}

// holds reports whether everything in another store is in this one.
func (h *holdings) holds(other holdings) bool {
	for _, run := range other.runs {
		if !h.has(run) {
			return false
		}
	}
	return h.known || !other.known
}

// has reports whether one run holds all of another.
func (h *holdings) has(run [2]uint64) bool {
	for _, mine := range h.runs {
		if mine[0] <= run[0] && run[1] <= mine[1] {
			return true
		}
	}
	return false
}
