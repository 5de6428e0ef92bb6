package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/handlers/ledger"
	"permledger/projections"
)

type verifyCommand struct {
	nodeFlags
	Models bool `help:"Also build the read models again beside the ledger's and compare their content."`
}

// headColumn shows the hash that stands for a whole ledger.
var headColumn = column{"Head", "head.hash"}

// verification is the result of a sound ledger.
type verification struct {
	eventstore.Report
	Models *eventstore.Hash `json:"models,omitempty"`
}

// Run reads the whole log. Any fault, a command that is recorded twice included, is exit code 6 and names the
// position.
func (c *verifyCommand) Run(ctx context.Context, a *app) error {
	store, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing was written
	bar := a.progress("records verified", 0)
	defer bar.stop()
	report, err := store.Log.VerifyAll(ctx, bar.at)
	bar.stop()
	if err != nil {
		a.explain(ctx, store.Log, report, err)
		return err
	}
	if report.Repeated != nil {
		return report.Repeated.Err()
	}
	result := verification{Report: report}
	if err := c.checkArchive(ctx, a, store); err != nil {
		return err
	}
	if c.Models {
		hash, err := c.compareModels(ctx, a, store)
		if err != nil {
			return err
		}
		result.Models = &hash
	}
	return a.writeOne(result, []column{
		{"Ledger", "ledger"}, {"Records", "records"}, {"Commands", "commands"}, {"Events", "events"}, headColumn, {"Models", "models"},
	})
}

// warnOfRepeated tells of a ledger that was taken over although a command is recorded twice in it: what a copy
// holds is what there is, and the ledger works with it.
func (a *app) warnOfRepeated(report eventstore.Report) {
	if r := report.Repeated; r != nil {
		a.remark("warning: command %s of tenant %s is recorded at position %d and again at position %d, which this program never does; the first record counts as its answer, and permledger verify will refuse this ledger: look for an older backup or export without the second record",
			r.ID, r.Tenant, r.First, r.Position)
	}
}

// explain says how far a damaged log is sound, and what lies where it is not.
func (a *app) explain(ctx context.Context, log *eventstore.Log, sound eventstore.Report, err error) {
	damage, ok := errors.AsType[*eventstore.IntegrityError](err)
	if !ok {
		return
	}
	a.remark("the first %d records are sound, up to position %d, head %s", sound.Records, sound.Head.Position, sound.Head.Hash)
	if foreign := log.Inspect(ctx, damage.Sequence); foreign != nil {
		a.remark("%s", foreign)
	}
}

// checkArchive checks every byte of the archive, and that its last record is the log's.
func (c *verifyCommand) checkArchive(ctx context.Context, a *app, store *ledger.Store) error {
	if c.NATS != "" {
		return nil
	}
	bar := a.progress("archived records verified", 0)
	defer bar.stop()
	report, err := archive.Verify(ctx, ledger.ArchiveDir(a.Data), func(done uint64) { bar.at(done, 0) })
	bar.stop()
	if errors.Is(err, eventstore.ErrIntegrity) {
		return fmt.Errorf("the log is sound, but its second copy is not; run permledger repair: %w", err)
	}
	if err != nil {
		return fmt.Errorf("the log is sound, but its second copy could not be checked: %w", err)
	}
	if report.Records == 0 {
		return nil
	}
	s, err := store.Log.Get(ctx, report.Head.Sequence)
	if err != nil || s.Hash != report.Head.Hash {
		return fmt.Errorf("%w: the archive ends with record %d, position %d and hash %s, which the log does not hold; run permledger repair",
			eventstore.ErrIntegrity, report.Head.Sequence, report.Head.Position, report.Head.Hash)
	}
	a.remark("the archive is sound and holds %d records", report.Records)
	return nil
}

// compareModels brings the ledger's read models up to the head and builds others from nothing; both must
// hold the same content.
func (c *verifyCommand) compareModels(ctx context.Context, a *app, store *ledger.Store) (eventstore.Hash, error) {
	head, err := store.Log.Head(ctx)
	if err != nil {
		return eventstore.Hash{}, err
	}
	live, err := contentAt(ctx, ledger.ModelsDir(a.Data), store.Log, head.Sequence)
	if err != nil {
		return eventstore.Hash{}, err
	}
	dir, err := os.MkdirTemp("", "permledger-verify-")
	if err != nil {
		return eventstore.Hash{}, fmt.Errorf("make room for a rebuild: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	rebuilt, err := contentAt(ctx, dir, store.Log, head.Sequence)
	if err != nil {
		return eventstore.Hash{}, err
	}
	if live != rebuilt {
		return eventstore.Hash{}, fmt.Errorf("%w: the read models (%s) differ from a rebuild (%s) at position %d; the log is sound: run permledger replay",
			eventstore.ErrIntegrity, live, rebuilt, head.Position)
	}
	return live, nil
}

// contentAt lets the read models of a directory catch up to a record and hashes what they hold.
func contentAt(ctx context.Context, dir string, log projections.Source, sequence uint64) (eventstore.Hash, error) {
	models, err := projections.Open(ctx, dir, projections.Options{})
	if err != nil {
		return eventstore.Hash{}, err
	}
	defer models.Close() //nolint:errcheck // the hash is what counts
	running, stop := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { _ = models.Run(running, log) }) // its error is that of the wait
	err = models.WaitForRecord(ctx, sequence)
	stop()
	following.Wait()
	if err != nil {
		return eventstore.Hash{}, err
	}
	content, err := models.ContentHash(ctx)
	return content.Hash, err
}
