package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// The times of an office. No clock is compared with another node's: the holder counts from before it sent its
// last sign of life, the others from when they saw it.
const (
	// Renewed is how often a holder gives a sign of life.
	Renewed = 1500 * time.Millisecond
	// Valid is how long a holder may act after it sent the last sign that was taken.
	Valid = 7 * time.Second
	// Vacant is how long others must see the same sign before one of them takes over.
	Vacant = 10 * time.Second
	// looked is how often they look.
	looked = time.Second
	// fresh is how old a sign may be when the holder acts without giving another one first.
	fresh = time.Second
)

// ErrDeposed says that another node holds the office.
var ErrDeposed = errors.New("another node has taken over")

// Office is something that one node at a time does. It is used by one goroutine.
type Office struct {
	board *Board
	name  string
	me    string // this process
	now   func() time.Time
	wait  func(context.Context, time.Duration) error

	seen   uint64    // revision of the note seen last
	seenAt time.Time // since when, without an interruption
}

// NewOffice returns an office of a board, in which this process is a candidate of its own.
func NewOffice(b *Board, name string) *Office {
	return &Office{board: b, name: name, me: uuid.NewString(), now: time.Now, wait: wait}
}

// holding is the note of an office.
type holding struct {
	Holder string `json:"holder,omitempty"` // nobody when empty
	Term   uint64 `json:"term"`             // grows with each holder
	Sign   uint64 `json:"sign"`             // grows with each sign of life
}

// Enter waits until this node holds the office. It returns the context's error when that ends before.
func (o *Office) Enter(ctx context.Context) (*Term, error) {
	o.seen, o.seenAt = 0, time.Time{}
	for {
		t, err := o.try(ctx)
		if t != nil || ctx.Err() != nil {
			return t, ctx.Err()
		}
		if err != nil {
			o.seenAt = time.Time{} // what happened meanwhile was not seen
		}
		if err := o.wait(ctx, looked); err != nil {
			return nil, err
		}
	}
}

// try takes an office that is vacant.
func (o *Office) try(ctx context.Context) (*Term, error) {
	asked := o.now()
	note, err := o.board.Read(ctx, o.name)
	if err != nil {
		return nil, err
	}
	var h holding
	if len(note.Value) > 0 {
		if err := json.Unmarshal(note.Value, &h); err != nil {
			return nil, fmt.Errorf("the office %s: %w", o.name, err)
		}
	}
	now := o.now()
	switch {
	case h.Holder == "" || h.Holder == o.me: // or what was sent to take it came late
	case note.Revision != o.seen || o.seenAt.IsZero():
		o.seen, o.seenAt = note.Revision, now
		return nil, nil
	case asked.Sub(o.seenAt) < Vacant:
		return nil, nil
	}
	t := &Term{office: o, Number: h.Term + 1, revision: note.Revision, over: make(chan struct{})}
	if err := t.renew(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	t.done.Go(func() { t.keep(run) })
	return t, nil
}

// Term is the time for which this node holds an office.
type Term struct {
	// Number is larger than that of every term before.
	Number uint64

	office *Office
	stop   context.CancelFunc
	done   sync.WaitGroup
	over   chan struct{} // closed once another node is known to hold the office

	mu       sync.Mutex
	ended    bool      // guarded by mu, as is all that follows
	revision uint64    // of the last sign that was taken
	sign     uint64    // number of the last sign that was sent
	sent     time.Time // when that one was sent; zero before the first
}

// Over returns a channel that is closed once another node is known to hold the office.
func (t *Term) Over() <-chan struct{} { return t.over }

// Confirm returns until when this node may act. Where its last sign of life is not fresh it gives one first: a
// process that was stopped for a while finds out in this way that it has been replaced. It returns ErrDeposed
// then, and eventstore.ErrUnavailable or ErrOutcomeUnknown when nobody could be asked.
func (t *Term) Confirm(ctx context.Context) (until time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return time.Time{}, ErrDeposed
	}
	if t.office.now().Sub(t.sent) >= fresh {
		if err := t.renewLocked(ctx); err != nil {
			return time.Time{}, err
		}
	}
	return t.sent.Add(Valid), nil
}

// keep gives signs of life.
func (t *Term) keep(ctx context.Context) {
	for t.office.wait(ctx, Renewed) == nil {
		if err := t.renew(ctx); errors.Is(err, ErrDeposed) {
			return
		}
	}
}

func (t *Term) renew(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.renewLocked(ctx)
}

func (t *Term) renewLocked(ctx context.Context) error {
	t.sign++
	value, err := json.Marshal(holding{Holder: t.office.me, Term: t.Number, Sign: t.sign})
	if err != nil {
		return err
	}
	sent := t.office.now()
	revision, err := t.office.board.Write(ctx, t.office.name, value, t.revision)
	if err != nil {
		// It may have been taken all the same, now or earlier, and then stands there.
		note, rerr := t.office.board.Read(ctx, t.office.name)
		if rerr != nil {
			return err
		}
		var h holding
		if jerr := json.Unmarshal(note.Value, &h); jerr != nil || h.Holder != t.office.me || h.Term != t.Number {
			if errors.Is(err, eventstore.ErrConflict) || h.Term > t.Number {
				t.end()
				return ErrDeposed
			}
			return err
		}
		t.revision = note.Revision
		if h.Sign != t.sign {
			return fmt.Errorf("%w: an older sign of life stands there", eventstore.ErrUnavailable)
		}
		revision = note.Revision
	}
	t.revision, t.sent = revision, sent
	return nil
}

func (t *Term) end() {
	if !t.ended {
		t.ended = true
		close(t.over)
	}
}

// Leave gives the office up, so that another node need not wait.
func (t *Term) Leave(ctx context.Context) {
	t.stop()
	t.done.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.end()
	if value, err := json.Marshal(holding{Term: t.Number}); err == nil {
		_, _ = t.office.board.Write(ctx, t.office.name, value, t.revision) // others find out by themselves
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
