package ledger

import (
	"context"
	"errors"
	"time"

	"permledger/eventstore"
)

// openAgain is how long to wait before a ledger that could not be opened is opened again.
const openAgain = 5 * time.Second

// resume opens a ledger whose log on a cluster was damaged when it was opened, again and again until the
// log has been put right or the context ends. Nothing is answered meanwhile.
func (l *Ledger) resume(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(openAgain):
		}
		err := l.open(ctx, ctx)
		if err == nil {
			l.logger().Warn("the log is sound again; the ledger serves")
			return
		}
		if err := l.discard(); err != nil {
			l.logger().Warn("a ledger that could not be opened was not closed cleanly", "error", err)
		}
		if errors.Is(err, eventstore.ErrIntegrity) {
			l.fail(err)
		}
	}
}

// waitSound tells the log what the read models do not fit, and returns once both are sound again, or the
// context ended.
func (l *Ledger) waitSound(ctx context.Context, err error) {
	if errors.Is(err, eventstore.ErrIntegrity) {
		_ = l.store.Log.Suspect(err, func(ctx context.Context, log *eventstore.Log) error { return l.models.Fits(ctx, log) })
	}
	_ = l.store.Log.Sound(ctx)
}
