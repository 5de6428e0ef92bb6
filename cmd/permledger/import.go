package main

import (
	"context"

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
	store, err := ledger.OpenStore(ctx, c.config(a))
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // what is imported is synced
	bar := a.progress("records imported", 0)
	defer bar.stop()
	report, err := store.Log.Import(ctx, file, func(done uint64) { bar.at(done, 0) })
	bar.stop()
	if err != nil {
		return err
	}
	return a.writeOne(report, []column{{"Ledger", "ledger"}, {"Records", "records"}, {"Commands", "commands"}, {"Events", "events"}, {"Head", "head.hash"}})
}
