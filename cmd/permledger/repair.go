package main

import (
	"context"
	"errors"
	"path/filepath"

	"permledger/eventstore"
	"permledger/handlers/ledger"
)

type repairCommand struct {
	DryRun bool `help:"Only say what is damaged and what would be made anew."`
}

// Run is for a ledger that nothing serves. A record that neither copy holds intact is exit code 6.
func (c *repairCommand) Run(ctx context.Context, a *app) error {
	if err := ledger.Check(a.Data); err != nil && !errors.Is(err, eventstore.ErrIntegrity) {
		return err
	}
	bar := a.progress("records compared", 0)
	defer bar.stop()
	repaired, err := ledger.Repair(ctx, a.Data, c.DryRun, bar.at)
	bar.stop()
	for _, f := range repaired.Findings {
		a.remark("%s: %s: %s", f.Copy, f.Range, f.Reason)
	}
	for _, remark := range repaired.Remarks {
		a.remark("%s", remark)
	}
	if err != nil {
		return err
	}
	switch {
	case len(repaired.Replaced)+len(repaired.SetAside) == 0:
		a.remark("log and archive are sound; nothing was changed")
	case c.DryRun:
		a.remark("would be made anew; without --dry-run, what is replaced is kept beside it")
	default:
		a.remark("what was replaced is kept in %s", filepath.Join(a.Data, repaired.Kept))
	}
	return a.writeOne(repaired, []column{
		{"Ledger", "ledger"}, {"Records", "records"}, {"Events", "events"}, headColumn, {"Made anew", "replaced"}, {"Kept", "kept"},
	})
}
