package main

import (
	"context"
	"time"

	"permledger/handlers/ledger"
)

// benchLive is a ledger opened as a server opens it: the read models follow the log, snapshots are kept.
type benchLive struct {
	*ledger.Ledger
	world *benchWorld
	turns *benchTurns
}

const (
	// liveClients is the number of clients of its load.
	liveClients = 64
	// executed is the key of its commands per second.
	executed = "execute 64"
)

// openLive opens a new ledger with prepared customers.
func openLive(ctx context.Context, b *bench, dir string, customers int) (*benchLive, error) {
	opened, err := ledger.Open(ctx, ledger.Config{Dir: dir, Found: true})
	if err != nil {
		return nil, err
	}
	l := &benchLive{Ledger: opened, world: b.world, turns: newTurns(customers, liveClients)}
	err = prepareCustomers(ctx, b.world, customers, func(ctx context.Context, d benchDeed) error {
		_, err := l.execute(ctx, d)
		return err
	})
	return l, err
}

func (l *benchLive) close() error {
	if l == nil {
		return nil
	}
	return l.Close()
}

func (l *benchLive) execute(ctx context.Context, d benchDeed) (ledger.Answer, error) {
	return l.Execute(ctx, ledger.Call{ID: l.world.commandID(), Actor: d.actor, Command: d.command})
}

// settle waits until the read models lag no more.
func (l *benchLive) settle(ctx context.Context) error {
	return l.Models().WaitFor(ctx, l.Head().Position)
}

// lane measures commands with everything behind the doors on, and how the read models keep up: how many
// events they take in while the load lasts, how far they fall behind, and how long they need afterwards.
func (l *benchLive) lane() benchLane {
	return benchLane{gives: []string{executed, "models 64", "lag 64", "drain 64", "load 64"}, run: func(ctx context.Context, limit time.Duration) (benchFigures, error) {
		if err := l.settle(ctx); err != nil {
			return nil, err
		}
		before := l.Models().Checkpoint().Position
		watched := l.watch()
		load, err := drive(ctx, liveClients, limit, func(ctx context.Context, client int) error {
			answer, err := l.execute(ctx, l.world.purchase(l.turns.take(client)))
			if err == nil && len(answer.Events) != 1 {
				err = errNoPurchase
			}
			return err
		})
		taken := l.Models().Checkpoint().Position - before
		ended := time.Now()
		lag := watched()
		if err != nil {
			return nil, err
		}
		if err := l.settle(ctx); err != nil {
			return nil, err
		}
		return benchFigures{
			executed: load.perSecond(), "models 64": float64(taken) / load.took.Seconds(), "lag 64": float64(lag),
			"drain 64": time.Since(ended).Seconds(), "load 64": load.took.Seconds(),
		}, nil
	}}
}

// watch looks at the lag of the read models until it is asked for the largest seen.
func (l *benchLive) watch() (largest func() uint64) {
	stop, seen := make(chan struct{}), make(chan uint64)
	go func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		lag := uint64(0)
		for {
			at := l.Models().Checkpoint().Position // first: the head only grows
			head := l.Head().Position              // behind the models for the moment in which a record is stored and not yet committed
			lag = max(lag, head-min(head, at))
			select {
			case <-ticker.C:
			case <-stop:
				seen <- lag
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-seen
	}
}
