package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A DoubtError says that an answer of a shared server speaks against the ledger
// and is not confirmed yet. A leader that was cut off from the others answers
// like that until it steps down, so the log is looked at again until the same
// has been said with a majority for Options.Confirm, or the log has proved
// sound. Nothing is written meanwhile. It matches ErrUnavailable.
type DoubtError struct {
	// Since is when it was found.
	Since time.Time
	// Finding is what the log is damaged by if it is confirmed.
	Finding *IntegrityError
}

// Error says what was found and since when it has been looked at.
func (e *DoubtError) Error() string {
	return fmt.Sprintf("unconfirmed: %v; being checked again since %s UTC", e.Finding, e.Since.UTC().Format(time.TimeOnly))
}

// Is reports that every DoubtError is an ErrUnavailable.
func (e *DoubtError) Is(target error) bool { return target == ErrUnavailable }

// Recheck looks again at something that spoke against a log, such as what was
// made from it. It gets a log to read from and returns nil once the two fit.
type Recheck func(ctx context.Context, log *Log) error

// A log is sound while its failure is nil, in doubt while it is a *DoubtError,
// damaged otherwise. Only Suspect, condemn and absolve change it. On a server of
// one's own there is nobody to disagree with, so a finding is damage at once;
// but damage ends as doubt does, when the log proves sound: a stream that was
// removed, changed or unreadable and is put right again needs no restart.

// fail keeps an integrity failure; other errors pass through. What it returns is
// to be returned: a *DoubtError while the failure is not confirmed.
func (l *Log) fail(err error) error { return l.Suspect(err, nil) }

// Suspect tells the log that it failed a check, and returns what to make of
// that: an error that is no integrity failure as it is, a *DoubtError while the
// failure is not confirmed, else the failure. again, when given, must pass too
// before the log counts as sound.
func (l *Log) Suspect(err error, again Recheck) error {
	finding, found := errors.AsType[*IntegrityError](err)
	if !found {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inspecting || l.closed {
		return err
	}
	if again != nil && len(l.again) < maxRechecks {
		l.again = append(l.again, again)
	}
	if doubt, ok := l.failure.(*DoubtError); ok { //nolint:errorlint // it is kept unwrapped
		return doubt
	}
	if l.failure != nil {
		return err
	}
	l.failure = err
	if l.opts.Shared {
		l.failure = &DoubtError{Since: time.Now(), Finding: finding}
		l.log.Warn("an answer contradicts what is known of the log; nothing is written until the log proves sound", "error", finding)
	} else {
		l.log.Error("the ledger failed its integrity check; nothing is written: see /readyz", "error", err)
	}
	l.stir()
	l.examiner.Go(func() { l.examine(l.life) })
	return l.failure
}

// condemn ends a doubt: what was found is confirmed.
func (l *Log) condemn(finding *IntegrityError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, doubted := l.failure.(*DoubtError); doubted { //nolint:errorlint // it is kept unwrapped
		l.failure = finding
		l.log.Error("the ledger failed its integrity check; nothing is written until the stream is restored: see permledger docs cluster", "error", finding)
		l.stir()
	}
}

// absolve ends doubt and damage: the log has proved sound. It reports false, and
// changes nothing, when a check came in meanwhile that the proof does not cover:
// whoever waits for the end of the doubt relies on it.
func (l *Log) absolve(p proof) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.again) > p.rechecks {
		return false
	}
	l.log.Warn("the log proved sound; commands are accepted again", "after", l.failure, "record", p.last)
	l.failure, l.again, l.created = nil, nil, p.created
	if p.replaced {
		// Records of the stream before it are not missing from this one.
		l.known.Store(p.last)
	}
	l.stir()
	return true
}

// stir wakes whoever waits on the bell. The lock is held.
func (l *Log) stir() {
	close(l.bell)
	l.bell = make(chan struct{})
}

// Settled returns once the log is not in doubt: nil when it is sound, an
// *IntegrityError when it is damaged, or the error of the context.
func (l *Log) Settled(ctx context.Context) error {
	return l.await(ctx, func(err error) bool {
		_, doubted := errors.AsType[*DoubtError](err)
		return !doubted
	})
}

// Sound returns nil once the log is neither in doubt nor damaged, or the error
// of the context.
func (l *Log) Sound(ctx context.Context) error {
	return l.await(ctx, func(err error) bool { return err == nil })
}

func (l *Log) await(ctx context.Context, reached func(error) bool) error {
	for {
		bell := l.waiting()
		if err := l.Err(); reached(err) {
			return err
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.life.Done():
			return fmt.Errorf("the ledger is closed: %w", ErrUnavailable)
		}
	}
}

// examine looks at the log again and again until it proves sound, and confirms
// a doubt that lasts.
func (l *Log) examine(ctx context.Context) {
	c := confirmation{needed: l.opts.Confirm}
	for sleep(ctx, l.lookAgain(c.looks)) == nil {
		p, err := l.prove(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if l.absolve(p) {
				return
			}
			continue
		}
		if _, doubted := errors.AsType[*DoubtError](l.Err()); doubted {
			l.weigh(err)
		}
		if finding, sure := c.add(err, time.Now()); sure {
			l.condemn(finding)
		}
	}
}

// lookAgain is how long to wait before the next look: short at first, because
// most doubts end by themselves.
func (l *Log) lookAgain(looks int) time.Duration {
	_, doubted := errors.AsType[*DoubtError](l.Err())
	switch {
	case doubted:
		return min(firstLook<<min(looks, 10), doubtPause, max(l.opts.Confirm/4, time.Millisecond))
	case l.opts.Shared:
		return min(damagePause, max(l.opts.Confirm, time.Millisecond))
	default:
		return ownDamagePause
	}
}

// confirmation counts for how long a finding has been confirmed: only the time
// between two answers that both speak against the log, so that silence and
// answers without a majority do not count.
type confirmation struct {
	needed time.Duration
	sum    time.Duration
	last   time.Time // of the last answer that counts, zero when the last one did not
	looks  int
}

// add takes the result of a look, and reports whether the finding is confirmed.
func (c *confirmation) add(err error, now time.Time) (finding *IntegrityError, sure bool) {
	c.looks++
	finding, found := errors.AsType[*IntegrityError](err)
	if !found {
		c.last = time.Time{}
		return nil, false
	}
	if !c.last.IsZero() {
		c.sum += now.Sub(c.last)
	}
	sure = !c.last.IsZero() && c.sum >= c.needed
	c.last = now
	return finding, sure
}

// firmly repeats a step that opens a shared log. What speaks against the log
// must last for Options.Confirm; a server that does not answer is waited for.
func (l *Log) firmly(ctx context.Context, step func(context.Context) error) error {
	if !l.opts.Shared {
		return step(ctx)
	}
	c := confirmation{needed: l.opts.Confirm}
	for began := time.Now(); ; {
		err := step(ctx)
		_, found := errors.AsType[*IntegrityError](err)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case found:
			backed := l.backed(ctx, err)
			l.weigh(backed)
			if _, sure := c.add(backed, time.Now()); sure {
				return err
			}
			if c.looks == 1 {
				l.log.Warn("an answer contradicts what is known of the log; the log is checked again", "for", c.needed, "error", err)
			}
		case !errors.Is(err, ErrUnavailable) || time.Since(began) > openWait:
			return err
		default:
			_, _ = c.add(err, time.Now())
		}
		if err := sleep(ctx, min(doubtPause, max(c.needed/4, time.Millisecond))); err != nil {
			return err
		}
	}
}

// weigh notes who speaks against the log. A server without a majority behind it may
// be cut off, and others may know better, so that it is left before long; one with
// a majority stays the one to ask, for its answers have to follow each other to
// confirm anything.
func (l *Log) weigh(backed error) {
	_, sure := errors.AsType[*IntegrityError](backed)
	l.heard(&l.writing, sure)
}

// backed returns an integrity failure as it is when a majority of the servers
// that hold the stream stand behind their leader, else ErrUnavailable.
func (l *Log) backed(ctx context.Context, err error) error {
	info, ierr := l.info(ctx)
	if ierr != nil && !errors.Is(ierr, jetstream.ErrStreamNotFound) {
		return ierr
	}
	if ierr == nil && !quorate(info.Cluster) {
		return fmt.Errorf("%w: the leader of the stream has no majority, and says: %w", ErrUnavailable, plain(err))
	}
	return err
}

// plain keeps the text of an error and nothing else.
func plain(err error) error { return errors.New(err.Error()) }

// quorate reports whether a leader hears from a majority of a stream's servers.
// A single server needs none.
func quorate(c *jetstream.ClusterInfo) bool {
	if c == nil || len(c.Replicas) == 0 {
		return true
	}
	up := 1
	for _, r := range c.Replicas {
		if r.Current && !r.Offline && r.Active < quorumSilence {
			up++
		}
	}
	return 2*up > len(c.Replicas)+1
}
