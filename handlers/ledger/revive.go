package ledger

import (
	"context"
	"errors"
	"time"

	"permledger/eventstore"
)

const (
	// silence is how long the log may be unavailable before its embedded server is restarted; it doubles
	// with each restart.
	silence = 3 * time.Second
	// maxRevivals is how many restarts follow each other at most. Then an operator must look.
	maxRevivals = 5
	// revivalCheck is how often it is looked.
	revivalCheck = time.Second
)

// keepAnswering restarts the embedded server when the log stays unavailable, until the context ends. A
// server whose disk failed once answers nothing until it is restarted, even when the disk is well again.
func (l *Ledger) keepAnswering(ctx context.Context, restart func(context.Context) error) {
	ticker := time.NewTicker(revivalCheck)
	defer ticker.Stop()
	var since time.Time
	revived := 0
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
		switch err := l.writer.Err(); {
		case !errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, eventstore.ErrIntegrity), errors.Is(err, eventstore.ErrClock):
			since, revived = time.Time{}, 0
		case since.IsZero():
			since = now
		case now.Sub(since) >= silence<<revived && revived < maxRevivals:
			revived++
			l.logger().Warn("the embedded server is restarted", "time", revived, "of", maxRevivals, "because", err)
			if err := restart(ctx); err != nil {
				l.logger().Error("the embedded server did not come back", "error", err)
			}
			since = now
		}
	}
}
