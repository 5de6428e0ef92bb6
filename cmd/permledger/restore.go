package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/embedded"
	"permledger/handlers/ledger"
)

type restoreCommand struct {
	File string `arg:"" help:"A backup." type:"path"`
}

// Run checks the whole backup before it writes anything, fills the data directory, and reads all of it
// again before it becomes a ledger.
func (c *restoreCommand) Run(ctx context.Context, a *app) error {
	if err := restorable(a.Data); err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	checking := a.progress("records checked", 0)
	defer checking.stop()
	promised, err := archive.CheckBackup(ctx, file, func(done uint64) { checking.at(done, 0) })
	checking.stop()
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the backup again: %w", err)
	}
	restoring := a.progress("records restored", 0)
	defer restoring.stop()
	report, err := ledger.Load(ctx, a.Data, archive.Bytes(archive.ReadBackup(ctx, file)), func(done uint64) { restoring.at(done, promised.Records) })
	restoring.stop()
	if err != nil {
		return err
	}
	if report.Head != promised.Head {
		return fmt.Errorf("%w: the backup changed while it was restored: remove %s", eventstore.ErrIntegrity, a.Data)
	}
	return a.writeOne(report, []column{{"Ledger", "ledger"}, {"Records", "records"}, {"Events", "events"}, {"Position", "head.position"}, headColumn})
}

// restorable refuses a directory that holds anything, unless it is of a restore that did not finish.
func restorable(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != embedded.LockFile && !errors.Is(ledger.Check(dir), ledger.ErrLoadUnfinished) {
			return usageError("%s is not empty: give a new directory with --data", dir)
		}
	}
	return nil
}
