package main

import (
	"context"
	"io"

	"permledger/eventstore"
	"permledger/handlers/ledger"
)

type importCommand struct {
	storeFlags
	File string `arg:"" help:"An export; - reads standard input."`
}

// Run fills an empty ledger. The records keep their bytes, so the head is that of the ledger they were
// exported from.
func (c *importCommand) Run(ctx context.Context, a *app) error {
	file, err := a.open(c.File)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	bar := a.progress("records imported", 0)
	defer bar.stop()
	report, err := c.fill(ctx, a, file, func(done uint64) { bar.at(done, 0) })
	bar.stop()
	if err != nil {
		return err
	}
	return a.writeOne(report, []column{{"Ledger", "ledger"}, {"Records", "records"}, {"Commands", "commands"}, {"Events", "events"}, headColumn})
}

// fill fills the data directory's own log, or that of a cluster.
func (c *importCommand) fill(ctx context.Context, a *app, file io.Reader, done func(uint64)) (eventstore.Report, error) {
	if c.NATS == "" {
		return ledger.Load(ctx, a.Data, eventstore.Lines(file), done)
	}
	config := c.config(a)
	config.Found = true
	store, err := ledger.OpenStore(ctx, config)
	if err != nil {
		return eventstore.Report{}, err
	}
	defer store.Close() //nolint:errcheck // what is imported is synced
	return store.Log.Import(ctx, file, done)
}
