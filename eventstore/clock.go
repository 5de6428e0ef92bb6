package eventstore

import (
	"fmt"
	"sync"
	"time"
)

// ClockOptions say how far the clock of this machine is believed. The zero
// value is good.
type ClockOptions struct {
	// MaxLead is how far a record's time may lead what the time should be, and
	// how far the clock may be behind the last record, DefaultClockLead when
	// zero.
	MaxLead time.Duration
	// Accept is an operator's word that the time is right at the start of this
	// run, whatever the last record or a server says. What happens to the clock
	// later is judged as always.
	Accept bool
	// Now is the clock that can be set, time.Now when nil. Only the times of
	// records come from it; nothing is ordered by it.
	Now func() time.Time
	// Elapsed is a clock that nobody can set: how long ago some moment was. It
	// goes on while the machine sleeps, where the system has such a clock.
	Elapsed func() time.Duration
}

// ClockDoubt is what is wrong with a clock.
type ClockDoubt string

// The doubts about a clock.
const (
	// ClockIdle says that at the start of a run the last record is so old that
	// the clock may just as well be wrong.
	ClockIdle ClockDoubt = "idle"
	// ClockBehind says that the last record is later than the clock.
	ClockBehind ClockDoubt = "behind"
	// ClockAhead says that the clock was set forward while the program ran.
	ClockAhead ClockDoubt = "ahead"
	// ClockServer says that the clock is ahead of the NATS server's.
	ClockServer ClockDoubt = "server"
)

// ClockError says why the time of this machine is not written into the ledger.
// It matches ErrClock and ErrUnavailable: nothing was written, and the ledger
// goes on by itself when the clock is right.
type ClockError struct {
	Doubt ClockDoubt
	// Clock is what the clock says, Other what it was compared with: the last
	// record's time, what the time should be, or the server's time.
	Clock, Other time.Time
	// Last is the time of the last record.
	Last time.Time
}

// Error says what the clock says, what speaks against it, and what to do.
func (e *ClockError) Error() string {
	at := func(t time.Time) string { return t.Format(time.RFC3339) }
	apart := e.Clock.Sub(e.Other).Abs().Round(time.Second)
	switch e.Doubt {
	case ClockIdle:
		return fmt.Sprintf("the clock says %s, %d days after the last record (%s); nothing is recorded until an operator decides: "+
			"if the clock is wrong, set it, and the ledger continues by itself; if it is right, restart permledger serve once with --accept-clock",
			at(e.Clock), int(apart.Hours())/24, at(e.Other))
	case ClockBehind:
		return fmt.Sprintf("the clock says %s, but the last record is of %s; nothing is recorded until the clock has reached that time: "+
			"if the clock is wrong, set it, and the ledger continues by itself; if it is right, restart permledger serve once with --accept-clock: new records then carry the last record's time until the clock has passed it",
			at(e.Clock), at(e.Other))
	case ClockAhead:
		return fmt.Sprintf("the clock says %s, but since this program started it should have reached only %s (the last record is of %s), so it was set forward by %s; nothing is recorded: "+
			"if the clock is wrong, set it, and the ledger continues by itself; if it is right, restart permledger serve, with --accept-clock if it asks for that",
			at(e.Clock), at(e.Other), at(e.Last), apart)
	default:
		return fmt.Sprintf("the clock says %s, the NATS server's says %s (the last record is of %s); nothing is recorded: "+
			"set the clock that is wrong, and the ledger continues by itself; if the server's is wrong and cannot be set, restart permledger serve once with --accept-clock",
			at(e.Clock), at(e.Other), at(e.Last))
	}
}

// Is reports that every ClockError is an ErrClock and an ErrUnavailable.
func (e *ClockError) Is(target error) bool { return target == ErrClock || target == ErrUnavailable }

// clock gives records their times, and gives none while the machine's clock
// cannot be right. A clock that is wrong by years for one moment would otherwise
// stamp the future on every later record, because no record may be earlier than
// the one before it.
type clock struct {
	opts ClockOptions

	mu        sync.Mutex
	begun     bool          // the clock was believed once in this run
	steady    time.Time     // what the time should have been
	at        time.Duration // elapsed then
	inherited time.Time     // a last record later than the clock that the operator accepted
	server    time.Time     // what the server's clock said, zero when there is no other
	heard     time.Duration // elapsed when the server was asked
	ahead     time.Duration // lead over the server that the operator accepted
}

func newClock(opts ClockOptions) *clock {
	if opts.MaxLead <= 0 {
		opts.MaxLead = DefaultClockLead
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Elapsed == nil {
		opts.Elapsed = elapsed
	}
	return &clock{opts: opts}
}

// next returns the time for a record after one of a time, the zero time for the
// first record of a ledger, or a *ClockError.
func (c *clock) next(last time.Time) (time.Time, error) {
	now, elapsed := c.opts.Now().UTC().Round(0), c.opts.Elapsed()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.judge(now, elapsed, last); err != nil {
		return time.Time{}, err
	}
	return later(last, now), nil
}

// judge decides whether a clock that says now can be right.
func (c *clock) judge(now time.Time, elapsed time.Duration, last time.Time) error {
	doubt := func(d ClockDoubt, other time.Time) error {
		return &ClockError{Doubt: d, Clock: now, Other: other, Last: last}
	}
	lead := time.Duration(0)
	if !c.server.IsZero() {
		// The server was asked before it answered, so its clock says at most this.
		theirs := c.server.Add(elapsed - c.heard)
		if lead = now.Sub(theirs); lead > c.ahead+c.opts.MaxLead && (c.begun || !c.opts.Accept) {
			return doubt(ClockServer, theirs)
		}
	}
	if !c.begun {
		switch {
		case c.opts.Accept:
			c.ahead = max(lead, 0)
			if last.After(now) {
				c.inherited = last
			}
		case last.IsZero():
		case now.Sub(last) > maxIdle:
			return doubt(ClockIdle, last)
		case last.Sub(now) > c.opts.MaxLead:
			return doubt(ClockBehind, last)
		}
		c.begun, c.steady, c.at = true, now, elapsed
		return nil
	}
	passed := elapsed - c.at
	c.steady, c.at = c.steady.Add(passed), elapsed
	off := now.Sub(c.steady)
	switch {
	case off > c.opts.MaxLead:
		return doubt(ClockAhead, c.steady)
	case last.Sub(now) > c.opts.MaxLead && last.After(c.inherited):
		return doubt(ClockBehind, last)
	case -off <= c.opts.MaxLead:
		// No two clocks run alike. What they differ by is believed as slowly as
		// clocks drift apart, so that small steps do not add up to a large one.
		drift := passed / clockDrift
		c.steady = c.steady.Add(min(max(off, -drift), drift))
	}
	return nil
}

// vouch takes the time of a record that another node has stored: what it was
// bound to is at least as good as what this run knows. One that only repeats the
// last record's time says nothing.
func (c *clock) vouch(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.opts.Elapsed(); c.begun && t.After(c.inherited) && t.After(c.steady.Add(now-c.at)) {
		c.steady, c.at = t, now
	}
}

// compare takes what the server's clock said in an answer to a question that was
// asked at a moment of the clock nobody can set.
func (c *clock) compare(server time.Time, asked time.Duration) {
	if server.IsZero() {
		return // an older server does not say
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server, c.heard = server, asked
}

// later returns now, but never a time before previous. It is in UTC and has no
// monotonic reading, so it survives being stored.
func later(previous, now time.Time) time.Time {
	now = now.UTC().Round(0)
	if now.Before(previous) {
		return previous
	}
	return now
}
