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
	log, err := eventstore.Open(ctx, server.JetStream(), eventstore.Options{Stream: streamName, Subject: streamSubject, Dir: dir})
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
	report, err := store.Log.VerifyAll(ctx, nil)
	return report, errors.Join(err, store.Close())
}

// Load makes the ledger of a data directory that holds none from the stored records of another one. The
// records keep their bytes, so the head is the same. It returns eventstore.ErrNotEmpty when the directory
// holds a ledger, or part of one. A load that ends early leaves none.
func Load(ctx context.Context, dir string, records iter.Seq2[[]byte, error], progress func(done uint64)) (report eventstore.Report, err error) {
	lock, err := embedded.LockDir(dir)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	for _, name := range append([]string{ArchiveDir(""), ModelsDir(""), CommandIDsDir(""), snapshotFile}, logNames...) {
		if there, err := exists(filepath.Join(dir, name)); there || err != nil {
			return report, errors.Join(err, eventstore.ErrNotEmpty)
		}
	}
	staging := filepath.Join(dir, "loading")
	if err := os.RemoveAll(staging); err != nil { // of a load that was interrupted
		return report, fmt.Errorf("make room: %w", err)
	}
	defer os.RemoveAll(staging) //nolint:errcheck // the next load removes what is left
	if report, err = build(ctx, staging, records, progress); err != nil {
		return report, err
	}
	for _, name := range logNames {
		if err := os.Rename(filepath.Join(staging, name), filepath.Join(dir, name)); err != nil {
			return report, fmt.Errorf("move the log in place: %w", err)
		}
		if err := eventstore.SyncDir(dir); err != nil {
			return report, fmt.Errorf("move the log in place: %w", err)
		}
	}
	return report, nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
