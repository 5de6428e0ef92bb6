package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"permledger/eventstore"
	"permledger/eventstore/embedded"
)

// logDir is where the embedded server keeps the log, in a data directory.
const logDir = "jetstream"

// ArchiveDir is where the archive of a data directory lives.
func ArchiveDir(dir string) string { return filepath.Join(dir, "archive") }

// logNames are what a log consists of in a data directory. The identity comes last: a directory becomes
// a ledger with it.
var logNames = []string{logDir, eventstore.HeadMarkFile, eventstore.IdentityFile}

const (
	loadingDir = "loading" // being built by Load; worth nothing
	loadedDir  = "loaded"  // built and verified, to be moved in place
)

// build makes a store from records in a directory of its own. Nothing is synced while it is filled; then
// the whole log is read again and all files are synced at once. That is much faster than a sync for each
// record and as safe, because nobody relies on the directory before build returns.
func build(ctx context.Context, dir string, records iter.Seq2[[]byte, error], progress func(done uint64)) (eventstore.Report, error) {
	report, err := fill(ctx, dir, records, progress)
	if err != nil {
		return report, err
	}
	verified, err := verified(ctx, dir)
	if err != nil {
		return report, fmt.Errorf("verify what was built: %w", err)
	}
	if verified.Head != report.Head {
		return report, &eventstore.IntegrityError{
			Position: report.Head.Position, Sequence: report.Head.Sequence,
			Reason: fmt.Sprintf("what was built ends with record %d and hash %s, not as it was read", verified.Head.Sequence, verified.Head.Hash),
		}
	}
	if err := os.Remove(filepath.Join(dir, embedded.LockFile)); err != nil {
		return report, fmt.Errorf("finish what was built: %w", err)
	}
	return verified, eventstore.SyncTree(dir)
}

func fill(ctx context.Context, dir string, records iter.Seq2[[]byte, error], progress func(done uint64)) (eventstore.Report, error) {
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Unsynced: true})
	if err != nil {
		return eventstore.Report{}, err
	}
	log, err := eventstore.Open(ctx, server.JetStream(), eventstore.Options{Stream: streamName, Subject: streamSubject, Dir: dir, Found: true})
	if err != nil {
		return eventstore.Report{}, errors.Join(err, server.Close())
	}
	report, err := log.Fill(ctx, records, progress)
	return report, errors.Join(err, log.Close(), server.Close())
}

// verified opens the log of a directory and reads all of it.
func verified(ctx context.Context, dir string) (eventstore.Report, error) {
	store, err := OpenStore(ctx, Config{Dir: dir})
	if err != nil {
		return eventstore.Report{}, err
	}
	report, err := store.Log.Verify(ctx, nil)
	return report, errors.Join(err, store.Close())
}

// Load makes the ledger of a data directory that holds none from the stored records of another one. The
// records keep their bytes, so the head is the same. It returns eventstore.ErrNotEmpty when the directory
// holds a ledger, or part of one. A load that ends early leaves none; one that is interrupted leaves a
// directory that nothing but the same load takes.
func Load(ctx context.Context, dir string, records iter.Seq2[[]byte, error], progress func(done uint64)) (report eventstore.Report, err error) {
	if err := loadable(dir); err != nil { // before there is a lock file
		return report, err
	}
	lock, err := embedded.LockDir(dir)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := loadable(dir); err != nil {
		return report, err
	}
	staging, loaded := filepath.Join(dir, loadingDir), filepath.Join(dir, loadedDir)
	built, err := exists(loaded)
	if err != nil {
		return report, fmt.Errorf("look at the data directory: %w", err)
	}
	if built { // by a load that was interrupted after that
		return finishLoad(dir, records, progress)
	}
	if err := os.RemoveAll(staging); err != nil { // of a load that was interrupted
		return report, fmt.Errorf("make room: %w", err)
	}
	defer os.RemoveAll(staging) //nolint:errcheck // the next load removes what is left
	if report, err = build(ctx, staging, records, progress); err != nil {
		return report, err
	}
	if err := os.Rename(staging, loaded); err != nil {
		return report, fmt.Errorf("move the log in place: %w", err)
	}
	if err := eventstore.SyncDir(dir); err != nil {
		return report, fmt.Errorf("move the log in place: %w", err)
	}
	return report, moveLoaded(dir)
}

// loadable refuses a directory that holds a ledger, or anything of one that is not of a load.
func loadable(dir string) error {
	err := Check(dir)
	switch {
	case err == nil, errors.Is(err, eventstore.ErrIntegrity):
		return eventstore.ErrNotEmpty
	case errors.Is(err, ErrLoadUnfinished), errors.Is(err, eventstore.ErrNoLedger):
		return nil
	}
	return err
}

// moveLoaded moves the log of a finished load in place; it may have been interrupted doing so.
func moveLoaded(dir string) error {
	loaded := filepath.Join(dir, loadedDir)
	for _, name := range logNames {
		if there, err := exists(filepath.Join(loaded, name)); err != nil {
			return fmt.Errorf("move the log in place: %w", err)
		} else if !there {
			continue // it was moved before
		}
		if err := os.Rename(filepath.Join(loaded, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("move the log in place: %w", err)
		}
		if err := eventstore.SyncDir(dir); err != nil {
			return fmt.Errorf("move the log in place: %w", err)
		}
	}
	return os.Remove(loaded)
}

// finishLoad finishes an earlier load, of which all records are there, if these are the same records.
func finishLoad(dir string, records iter.Seq2[[]byte, error], progress func(done uint64)) (report eventstore.Report, err error) {
	for b, err := range records {
		if err != nil {
			return report, err
		}
		s := eventstore.Stored{Sequence: report.Records + 1, Hash: eventstore.HashOf(b), Bytes: b}
		if s.Record, err = eventstore.DecodeRecord(b); err != nil {
			return report, &eventstore.ImportError{Line: s.Sequence, Err: err}
		}
		report.Take(&s)
		if progress != nil {
			progress(s.Sequence)
		}
	}
	for _, at := range []string{dir, filepath.Join(dir, loadedDir)} {
		marks, err := eventstore.ReadMarks(at)
		if err != nil {
			return report, err
		}
		if marks.Head.Sequence > 0 {
			report.Mark = marks.Head
		}
	}
	if report.Head.Sequence != report.Mark.Sequence || report.Head.Hash != report.Mark.Hash {
		return report, &RefusedError{fmt.Errorf("%s: %w", dir, ErrLoadUnfinished), fmt.Sprintf(
			"it was of a ledger of %d records with head %s; give that file again, or remove the directory", report.Mark.Sequence, report.Mark.Hash)}
	}
	return report, moveLoaded(dir)
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
