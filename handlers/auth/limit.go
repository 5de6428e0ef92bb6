package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter holds a token bucket for each principal. It remembers a bounded number of them, in two
// generations, and forgets those that were quiet longest; they start with a full bucket again.
type Limiter struct {
	limit rate.Limit
	burst int
	most  int

	mu         sync.Mutex
	young, old map[string]*rate.Limiter // two generations; guarded by mu
}

// NewLimiter allows each principal so many requests a second, with a burst above it, and remembers at
// most so many principals in each of two generations.
func NewLimiter(perSecond float64, burst, most int) *Limiter {
	return &Limiter{limit: rate.Limit(perSecond), burst: burst, most: most, young: make(map[string]*rate.Limiter)}
}

// Allow takes a request out of the principal's bucket. When it is empty, it says how long to wait.
func (l *Limiter) Allow(key string, now time.Time) (wait time.Duration, ok bool) {
	b := l.bucket(key)
	r := b.ReserveN(now, 1)
	if !r.OK() {
		return time.Second, false
	}
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}

func (l *Limiter) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, known := l.young[key]; known {
		return b
	}
	b, known := l.old[key]
	if !known {
		b = rate.NewLimiter(l.limit, l.burst)
	}
	if len(l.young) >= l.most {
		l.old, l.young = l.young, make(map[string]*rate.Limiter)
	}
	l.young[key] = b
	return b
}
