package main

import (
	"context"
	"strconv"
	"time"

	"permledger/handlers/ledger"
	"permledger/projections"
)

type replayCommand struct {
	nodeFlags
	To   string `help:"Stop at a position, or at a time (RFC 3339), and build into a directory of its own." placeholder:"POSITION|TIME"`
	Into string `help:"Directory for --to; it must not exist." default:"./permledger-replay" type:"path" placeholder:"DIR"`
}

// replayed is the result of a replay.
type replayed struct {
	Position        uint64  `json:"position"`
	Directory       string  `json:"directory"`
	Hash            string  `json:"hash"`
	Seconds         float64 `json:"seconds"`
	EventsPerSecond float64 `json:"eventsPerSecond"`
}

// Run folds the log again. The read models that are there keep serving until the new ones are complete.
func (c *replayCommand) Run(ctx context.Context, a *app) error {
	until, err := c.until()
	if err != nil {
		return err
	}
	store, err := c.open(ctx, a)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing was written to the log
	bar := a.progress("events replayed", 0)
	defer bar.stop()
	show := func(p projections.Progress) { bar.at(p.Position, p.Head) }
	started := time.Now()
	dir := ledger.ModelsDir(a.Data)
	if c.To == "" {
		err = rebuild(ctx, dir, store, show)
	} else {
		dir = c.Into
		_, err = projections.RebuildTo(ctx, store.Log, dir, until, show)
	}
	bar.stop()
	if err != nil {
		return err
	}
	took := time.Since(started)
	models, err := projections.Open(ctx, dir, projections.Options{})
	if err != nil {
		return err
	}
	defer models.Close() //nolint:errcheck // the hash is what counts
	content, err := models.ContentHash(ctx)
	if err != nil {
		return err
	}
	return a.writeOne(replayed{
		Position: content.Position, Directory: dir, Hash: content.Hash.String(),
		Seconds: took.Seconds(), EventsPerSecond: float64(content.Position) / took.Seconds(),
	}, []column{{"Position", "position"}, {"Directory", "directory"}, {"Content hash", "hash"}, {"Seconds", "seconds"}, {"Events/s", "eventsPerSecond"}})
}

func rebuild(ctx context.Context, dir string, store *ledger.Store, show func(projections.Progress)) error {
	models, err := projections.Open(ctx, dir, projections.Options{})
	if err != nil {
		return err
	}
	defer models.Close() //nolint:errcheck // the rebuild reports its own errors
	return models.Rebuild(ctx, store.Log, show)
}

func (c *replayCommand) until() (projections.Until, error) {
	if c.To == "" {
		return projections.Until{}, nil
	}
	if position, err := strconv.ParseUint(c.To, 10, 64); err == nil && position > 0 {
		return projections.Until{Position: position}, nil
	}
	at, err := time.Parse(time.RFC3339, c.To)
	if err != nil {
		return projections.Until{}, usageError("--to %q is neither a position such as 41802 nor a time such as 2026-11-22T10:00:00Z", c.To)
	}
	return projections.Until{Time: at}, nil
}
