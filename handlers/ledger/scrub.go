package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"permledger/eventstore"
)

// Scrub says how far the ledger has checked, while it serves, what is on its disk.
type Scrub struct {
	// Rounds counts complete rounds since the start: everything was read.
	Rounds uint64 `json:"rounds"`
	// Started is when the round under way began, or the last one; absent before the first.
	Started *time.Time `json:"started,omitempty"`
	// Ended is when the last complete round ended, and Bytes what it read; absent before the first.
	Ended *time.Time `json:"ended,omitempty"`
	Bytes int64      `json:"bytes"`
	// Progress is the part of the round under way that is done, from 0 to 1; 1 between two rounds.
	Progress float64 `json:"progress"`
	// Findings is what was not as it was written, when each file was looked at last.
	Findings []string `json:"findings,omitempty"`
	// Unread is what could not be read, and why. It is read again soon and is no finding.
	Unread []string `json:"unread,omitempty"`
}

const (
	// DefaultScrubPeriod is within what time everything on the disk is checked.
	DefaultScrubPeriod = 24 * time.Hour
	// scrubDelay is how long after a start the first round begins at most.
	scrubDelay = 2 * time.Second
	// scrubRate is how many bytes a second are checked at least while no command waits, so that a small
	// ledger is through in seconds, and scrubBusyRate while one does.
	scrubRate     = 8 << 20
	scrubBusyRate = 1 << 20
	// scrubAgain is how long after a round in which something could not be read the next one begins at most.
	scrubAgain = time.Minute
	// lookAgain is how long after something that looks like damage it is looked at again, and looks is how
	// often. What is being written at that moment looks like damage too.
	lookAgain = 500 * time.Millisecond
	looks     = 3
)

// part is something on the disk that decisions or proofs rest on.
type part struct {
	name string
	size func() int64 // about how many bytes are to be read
	// check reads all of it. It tells pass what it finds; an eventstore.ErrIntegrity is a finding as well,
	// any other error says that it could not be read.
	check func(ctx context.Context, p *pass) error
}

// pass is one look at a part.
type pass struct {
	// each is told before each read how many bytes it may take, and waits so long that the round keeps its
	// pace. Its error ends the pass.
	each func(bytes int) error
	// found reports damage, in a sentence that says what to do.
	found func(format string, args ...any)
}

// read reads a whole file from the disk.
func (p *pass) read(path string) ([]byte, error) { return eventstore.ReadUncached(path, p.each) }

// scrubber checks, round by round and slowly, that the disk still holds what was written.
type scrubber struct {
	period time.Duration
	parts  []part
	busy   func() bool // whether commands wait
	logger *slog.Logger

	// The rest of the pace belongs to the one goroutine.
	began       time.Time // of the round
	total, done int64     // bytes of the round
	due         time.Time // when the next read may be

	mu       sync.Mutex
	status   Scrub               // without Findings and Unread
	findings map[string][]string // by part
	unread   map[string]string   // by part
}

func newScrubber(period time.Duration, parts []part, busy func() bool, logger *slog.Logger) *scrubber {
	if period <= 0 {
		period = DefaultScrubPeriod
	}
	return &scrubber{period: period, parts: parts, busy: busy, logger: logger, findings: make(map[string][]string), unread: make(map[string]string)}
}

// Scrub says how far the ledger has checked its disk, and false while it never served.
func (l *Ledger) Scrub() (Scrub, bool) {
	if !l.serving() {
		return Scrub{}, false
	}
	return l.scrubber.now(), true
}

// now gives the status as of now.
func (s *scrubber) now() Scrub {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.status
	for _, p := range s.parts {
		now.Findings = append(now.Findings, s.findings[p.name]...)
		if why, unread := s.unread[p.name]; unread {
			now.Unread = append(now.Unread, p.name+": "+why)
		}
	}
	return now
}

// run checks round by round until the context ends.
func (s *scrubber) run(ctx context.Context) {
	wait := min(scrubDelay, s.period/2)
	for pause(ctx, wait) == nil {
		began := time.Now()
		whole := s.round(ctx, began)
		wait = max(s.period-time.Since(began), s.period/10)
		if !whole {
			wait = min(wait, scrubAgain)
		}
	}
}

// round looks at every part once, and once more at what could not be read. It reports whether everything was
// read in the end.
func (s *scrubber) round(ctx context.Context, began time.Time) (whole bool) {
	s.began, s.due, s.total, s.done = began, began, 0, 0
	for _, p := range s.parts {
		s.total += p.size()
	}
	s.update(func(now *Scrub) { now.Started, now.Progress = &began, 0 })
	var again []part
	for _, p := range s.parts {
		if !s.check(ctx, p) {
			again = append(again, p)
		}
	}
	if len(again) > 0 && pause(ctx, lookAgain) == nil {
		again = slices.DeleteFunc(again, func(p part) bool { return s.check(ctx, p) })
	}
	if ctx.Err() != nil {
		return false
	}
	ended := time.Now()
	s.update(func(now *Scrub) {
		now.Progress = 1
		if whole = len(again) == 0; whole {
			now.Rounds, now.Ended, now.Bytes = now.Rounds+1, &ended, s.done
		}
	})
	return whole
}

func (s *scrubber) update(change func(*Scrub)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// check looks at a part and keeps what it finds. It reports whether all of it could be read.
func (s *scrubber) check(ctx context.Context, p part) bool {
	var found []string
	report := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		found = append(found, text)
		if s.keep(p.name, text) {
			s.logger.Error("the disk does not hold what was written", "found", text)
		}
	}
	err := p.check(ctx, &pass{each: func(bytes int) error { return s.pace(ctx, bytes) }, found: report})
	if errors.Is(err, eventstore.ErrIntegrity) {
		report("%v", err)
		err = nil
	}
	if ctx.Err() != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.unread[p.name] != err.Error() {
			s.logger.Warn("part of the disk could not be checked and will be tried again", "part", p.name, "error", err)
		}
		s.unread[p.name] = err.Error()
		return false
	}
	delete(s.unread, p.name)
	s.findings[p.name] = found
	return true
}

// keep shows a finding at once, and reports whether it is a new one.
func (s *scrubber) keep(part, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.findings[part], text) {
		return false
	}
	s.findings[part] = append(slices.Clone(s.findings[part]), text)
	return true
}

// pace waits until the next bytes may be read, so that the round ends within half the period, or while commands
// wait within nearly all of it.
func (s *scrubber) pace(ctx context.Context, bytes int) error {
	s.done += int64(bytes)
	s.update(func(now *Scrub) { now.Progress = min(float64(s.done)/float64(max(s.total, 1)), 1) })
	now := time.Now()
	goal, least := s.began.Add(s.period/2), scrubRate
	if s.busy() {
		goal, least = s.began.Add(s.period-s.period/10), scrubBusyRate
	}
	left := max(goal.Sub(now), s.period/1000)
	rate := max(float64(max(s.total-s.done, int64(bytes)))/left.Seconds(), float64(least))
	if s.due.Before(now) {
		s.due = now
	}
	s.due = s.due.Add(time.Duration(float64(bytes) / rate * float64(time.Second)))
	return pause(ctx, s.due.Sub(now))
}

// certain looks until something fits, or has not fitted several times, and gives what was seen last.
func certain(ctx context.Context, look func() (fits bool, err error)) (bool, error) {
	for try := 1; ; try++ {
		fits, err := look()
		if fits || err != nil || try == looks {
			return fits, err
		}
		if err := pause(ctx, lookAgain); err != nil {
			return false, err
		}
	}
}

// pause waits, but not longer than the context lives.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
