package main

import (
	"context"
	"errors"
	"path/filepath"

	"permledger/eventstore"
	"permledger/handlers/ledger"
)

type repairCommand struct {
	DryRun      bool    `help:"Only say what is damaged and what would be made anew."`
	GiveUpAfter *uint64 `name:"give-up-after" help:"Keep the ledger up to this position and lose all later events: the last resort, where neither copy holds a record and there is no backup. It must be the position that the refusal of permledger repair names." placeholder:"POSITION"`
}

// Run is for a ledger that nothing serves. A record that neither copy holds intact is exit code 6, a file that
// cannot be read exit code 5.
func (c *repairCommand) Run(ctx context.Context, a *app) error {
	if err := ledger.Check(a.Data); err != nil && !errors.Is(err, eventstore.ErrIntegrity) {
		return err
	}
	bar := a.progress("records compared", 0)
	defer bar.stop()
	repaired, err := ledger.Repair(ctx, a.Data, ledger.RepairOptions{DryRun: c.DryRun, GiveUpAfter: c.GiveUpAfter, Progress: bar.at})
	bar.stop()
	if errors.Is(err, ledger.ErrNothingToGiveUp) {
		return usageError("--give-up-after: %v", err)
	}
	for _, f := range repaired.Findings {
		a.remark("%s: %s: %s", f.Copy, f.Range, f.Reason)
	}
	for _, remark := range repaired.Remarks {
		a.remark("%s", remark)
	}
	if err != nil {
		return err
	}
	if g := repaired.GivenUp; g != nil {
		a.remark("given up: everything after position %d, which is records %d to %d", g.AfterPosition, g.AfterRecord+1, g.LastRecord)
		for _, lost := range g.Lost {
			a.remark("lost: %s", lost)
		}
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
