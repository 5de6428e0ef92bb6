package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"permledger/eventstore"
)

type exportCommand struct {
	nodeFlags
	UntilDamage bool   `help:"If the log is damaged, write what comes before the damage; the exit code is still 6."`
	File        string `arg:"" optional:"" help:"Where to write; standard output when absent or -." default:"-"`
}

// Run writes one stored record per line, byte for byte, checking the chain as it reads.
func (c *exportCommand) Run(ctx context.Context, a *app) error {
	store, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing was written to it
	bar := a.progress("records exported", 0)
	defer bar.stop()
	var damage error // that ended the export, where that is wanted
	write := func(w io.Writer) error {
		report, err := store.Log.Export(ctx, w, bar.at)
		bar.stop()
		if errors.Is(err, eventstore.ErrIntegrity) {
			a.explain(ctx, store.Log, report, err)
			if c.UntilDamage && report.Records > 0 {
				damage, err = err, nil
			}
		}
		if err == nil {
			a.remark("%d records, %d events, head %s", report.Records, report.Events, report.Head.Hash)
		}
		return err
	}
	if c.File == "-" {
		buffered := bufio.NewWriter(a.stdout)
		if err := write(buffered); err != nil {
			return err
		}
		return errors.Join(buffered.Flush(), damage)
	}
	return errors.Join(writeFile(c.File, write), damage)
}

// writeFile writes a new file, readable by its owner only, and syncs it. An existing one is not touched,
// and one that could not be finished is removed.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	buffered := bufio.NewWriter(file)
	err = write(buffered)
	for _, step := range []func() error{buffered.Flush, file.Sync, file.Close} {
		if stepErr := step(); err == nil {
			err = stepErr
		}
	}
	if err != nil {
		os.Remove(path) //nolint:errcheck // the first error is the one to tell
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
