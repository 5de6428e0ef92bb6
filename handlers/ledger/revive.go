package ledger

import (
	"context"
	"errors"
	"time"

	"permledger/eventstore"
)

const (
	// silence is how long the log may be unavailable before its embedded server is restarted; it doubles
	// with each restart, up to maxSilence. A disk may be full or gone for hours: only time can tell.
	silence    = 3 * time.Second
	maxSilence = 30 * time.Second
	// revivalCheck is how often it is looked.
	revivalCheck = time.Second
)

// keepAnswering restarts the embedded server while the log stays unavailable, as its state says, until the
// context ends. A server whose disk failed once answers nothing until it is restarted, even when the disk is
// well again.
func (l *Ledger) keepAnswering(ctx context.Context, state func() error, restart func(context.Context) error) {
	ticker := time.NewTicker(revivalCheck)
	defer ticker.Stop()
	var since time.Time
	pause := silence
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
		switch err := state(); {
		case !errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, eventstore.ErrIntegrity), errors.Is(err, eventstore.ErrClock):
			since, pause = time.Time{}, silence
		case since.IsZero():
			since = now
		case now.Sub(since) >= pause:
			pause = min(2*pause, maxSilence)
			l.logger().Warn("the embedded server is restarted", "because", err)
			err := restart(ctx)
			if errors.Is(err, eventstore.ErrIntegrity) {
				l.fail(located(err))
				return
			}
			if err != nil && ctx.Err() == nil {
				l.logger().Error("the embedded server did not start again; the next attempt follows", "in", pause, "error", err)
			}
			since = time.Now()
		}
	}
}
