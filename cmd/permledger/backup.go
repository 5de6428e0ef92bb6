package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/embedded"
)

type backupCommand struct {
	nodeFlags
	AllowStale  bool   `name:"allow-stale" help:"Write the backup even if the archive is behind the log of the running server."`
	UntilDamage bool   `help:"If the log is damaged, back up what comes before the damage; the exit code is still 6."`
	To          string `arg:"" help:"A new file, or a directory that gets one named after ledger and head." type:"path" placeholder:"FILE|DIR"`
}

// backedUp is the result of a backup.
type backedUp struct {
	eventstore.Report
	File   string `json:"file"`
	Source string `json:"source"` // log or archive
	// Missing says how many events of the log an archive lacked, and BehindSeconds how much later than the
	// backup's last record the newest one was.
	Missing       uint64  `json:"missing,omitempty"`
	BehindSeconds float64 `json:"behindSeconds,omitempty"`
}

// Run reads the log itself where it is free. While a server has it, the archive is read, once it holds what the
// log held when the command began; either way the backup is the ledger as of its last record.
func (c *backupCommand) Run(ctx context.Context, a *app) error {
	store, err := c.open(ctx, a)
	if _, locked := errors.AsType[*embedded.LockedError](err); locked && c.NATS == "" {
		return c.fromArchive(ctx, a)
	}
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing was written to it
	part := &soundPart{records: store.Log.Firm(ctx, eventstore.Cursor{}), ends: c.UntilDamage}
	err = c.write(a, "log", part.all, func(*backedUp) error { return nil })
	if part.damage == nil {
		return err
	}
	a.explain(ctx, store.Log, part.report(), part.damage)
	if err == nil {
		err = part.damage
	}
	return err
}

// write writes the backup; accept has the last word on what was read, and without it no file is left.
func (c *backupCommand) write(a *app, source string, records iter.Seq2[eventstore.Stored, error], accept func(*backedUp) error) error {
	info, err := os.Stat(c.To)
	into := err == nil && info.IsDir()
	file := c.To
	if into {
		file = filepath.Join(c.To, fmt.Sprintf(".%d.unfinished", time.Now().UnixNano()))
	}
	bar := a.progress("records backed up", 0)
	defer bar.stop()
	result := backedUp{Source: source}
	err = writeFile(file, func(w io.Writer) error {
		var err error
		result.Report, err = archive.WriteBackup(w, records, func(done uint64) { bar.at(done, 0) })
		bar.stop()
		if err != nil && !errors.Is(err, eventstore.ErrNotFound) {
			return err
		}
		return errors.Join(accept(&result), err)
	})
	if err != nil {
		return err
	}
	if into {
		unfinished := file
		// Ledger and head decide every byte, so a file of that name can only be the same backup.
		file = filepath.Join(c.To, fmt.Sprintf("%s-%d-%.12s.backup", result.Ledger, result.Head.Position, result.Head.Hash))
		if err := os.Rename(unfinished, file); err != nil {
			return fmt.Errorf("name the backup: %w", err)
		}
	}
	if err := eventstore.SyncDir(filepath.Dir(file)); err != nil {
		return fmt.Errorf("sync the backup: %w", err)
	}
	result.File = file
	return a.writeOne(result, []column{
		{"Backup", "file"}, {"From", "source"}, {"Ledger", "ledger"}, {"Records", "records"}, {"Position", "head.position"}, headColumn,
	})
}
