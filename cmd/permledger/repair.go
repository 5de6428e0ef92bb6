package main

import (
	"context"
	"errors"
	"path/filepath"

	"permledger/eventstore"
	"permledger/handlers/ledger"
)

type repairCommand struct {
	storeFlags
	DryRun      bool    `help:"Only report what is damaged and what would be changed."`
	GiveUpAfter *uint64 `name:"give-up-after" help:"Keep the ledger up to this position and lose all later events. A last resort, for records that neither copy holds when there is no backup. Takes only the position that a refused permledger repair names." placeholder:"POSITION"`
}

// Run is for a ledger that nothing serves. A record that neither copy holds intact is exit code 6, a file that
// cannot be read exit code 5.
func (c *repairCommand) Run(ctx context.Context, a *app) error {
	if c.NATS != "" {
		return c.cluster(ctx, a)
	}
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
		a.remark("given up: everything after position %d (records %d to %d)", g.AfterPosition, g.AfterRecord+1, g.LastRecord)
		for _, lost := range g.Lost {
			a.remark("lost: %s", lost)
		}
	}
	switch {
	case len(repaired.Replaced)+len(repaired.SetAside) == 0:
		a.remark("log and archive are sound; nothing was changed")
	case c.DryRun:
		a.remark("nothing was changed; without --dry-run the damaged parts are rebuilt, and what they replace is kept")
	default:
		a.remark("what was replaced is kept in %s", filepath.Join(a.Data, repaired.Kept))
	}
	return a.writeOne(repaired, []column{
		{"Ledger", "ledger"}, {"Records", "records"}, {"Events", "events"}, headColumn, {"Made anew", "replaced"}, {"Kept", "kept"},
	})
}

// cluster takes what was not written by the ledger out of its log on a cluster. It needs a user who may
// remove streams.
func (c *repairCommand) cluster(ctx context.Context, a *app) error {
	bar := a.progress("records stored again", 0)
	defer bar.stop()
	cleaned, err := ledger.RepairCluster(ctx, c.config(a), c.DryRun, bar.at)
	bar.stop()
	for i := range cleaned.Foreign {
		a.remark("%s (%s)", &cleaned.Foreign[i], cleaned.Foreign[i].Reason)
	}
	if err != nil {
		return err
	}
	switch {
	case len(cleaned.Foreign) == 0:
		a.remark("the log holds nothing but the records of the ledger; nothing was changed")
	case c.DryRun:
		a.remark("nothing was changed; without --dry-run these messages are removed, and copies of them and of all records are kept in the data directory")
	default:
		a.remark("what was removed, and a copy of all records, is kept in %s", filepath.Join(a.Data, cleaned.Kept))
	}
	return a.writeOne(cleaned, []column{
		{"Ledger", "ledger"}, {"Records", "records"}, {"Events", "events"}, headColumn, {"Kept", "kept"},
	})
}
