package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"permledger/handlers/problem"
)

const (
	// attempts is how often a request is sent at most.
	attempts = 5
	// firstPause doubles with each attempt; longestPause bounds it, what the server asks for included.
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// persist sends a request until it is answered with something that another attempt would not change.
// It must be one that may be sent twice: a query, or a command with its id.
func persist(ctx context.Context, send func() (*response, error)) (*response, error) {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		answer, err := send()
		if err == nil || attempt == attempts || !worthRetrying(err) {
			return answer, err
		}
		wait := pause/2 + rand.N(pause/2+1) //nolint:gosec // spreads clients, guards nothing
		if answered, ok := errors.AsType[*Error](err); ok && answered.RetryAfter > wait {
			wait = answered.RetryAfter
		}
		if wait > longestPause {
			return nil, err
		}
		if !sleep(ctx, wait) {
			return nil, err
		}
		pause *= 2
	}
}

// worthRetrying reports whether the same request may be answered differently soon.
func worthRetrying(err error) bool {
	if answered, ok := errors.AsType[*Error](err); ok {
		return answered.Code != problem.CodeIntegrity &&
			(answered.Status == http.StatusServiceUnavailable || answered.Status == http.StatusTooManyRequests)
	}
	_, silent := errors.AsType[*UnreachableError](err)
	return silent
}

// sleep waits, and reports false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
