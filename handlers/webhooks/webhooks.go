// Package webhooks tells partners over HTTP what happens in their book, where they have asked for it. It speaks as
// Partner Center does, whose door takes the registrations.
//
// Nothing is sent to a partner without a registration (S10), which is an event of the log like any other. For
// each registered partner a follower reads the feed of the read models from a position of its own, which is
// kept in a file or, where several nodes share a log, on their board, and tells one thing after the other: the next only when the one before was received, or is
// given up because it is too old. A position is saved after the receiver has answered, so that after a crash
// something may be told twice, under the same id, and nothing is left out. Commands wait for none of it, and a
// slow receiver costs no memory: what it has not taken stays in the read models.
//
// Receivers are addresses that partners choose, so that nothing inside the operator's network may be reached
// through them: guard.go judges the very address that is dialled.
package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"permledger/domain"
	"permledger/handlers/ledger"
	"permledger/handlers/partnercenter/wire"
)

// Options say where a node delivers from. Without a Dir it delivers nothing; registrations are taken all the
// same. Of several nodes on one log one delivers, which they choose among themselves.
type Options struct {
	Dir       string // positions and the signing key live here, created with mode 0700 when absent
	PublicURL string // under which receivers reach this server, without a slash at the end
	Reach     Reach
	Logger    *slog.Logger
	Metrics   *prometheus.Registry

	clock clock         // of retries and age
	look  time.Duration // how often registrations and, at most, the feed are looked at
}

// clock is the time as deliveries see it; tests have their own.
type clock struct {
	now  func() time.Time
	wait func(ctx context.Context, d time.Duration) error
}

// Webhooks tells receivers what happens, while Run runs.
type Webhooks struct {
	ledger  *ledger.Ledger
	options Options
	log     *slog.Logger
	figures *figures
	signer  *signer
	sender  *sender
	tests   *tests
	here    atomic.Bool // it is this node's turn
}

// New makes the deliveries of a ledger.
func New(l *ledger.Ledger, o Options) *Webhooks {
	o = o.withDefaults()
	s := &signer{path: filepath.Join(o.Dir, signingFile), certificateURL: o.PublicURL + wire.CertificatePath}
	w := &Webhooks{
		ledger: l, options: o, log: o.Logger, figures: newFigures(o.Metrics, o.clock.now),
		signer: s, sender: newSender(s, o.Reach), tests: newTests(o.clock.now),
	}
	s.shared = w.sharedKey
	w.figures.standing(o.Metrics, w.here.Load)
	return w
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.clock.now == nil {
		o.clock = clock{now: time.Now, wait: pause}
	}
	if o.look == 0 {
		o.look = look
	}
	return o
}

// Standing says who delivers, as this node sees it.
type Standing string

// The answers to who delivers.
const (
	StandingHere  Standing = "this node"
	StandingOther Standing = "another node, or none yet"
	StandingOff   Standing = "never this node"
)

// Standing says whether this node delivers now.
func (w *Webhooks) Standing() Standing {
	switch {
	case !w.Delivers():
		return StandingOff
	case w.here.Load():
		return StandingHere
	default:
		return StandingOther
	}
}

// Delivers reports whether this node delivers when it is its turn.
func (w *Webhooks) Delivers() bool { return w.options.Dir != "" }

// Judge refuses a receiver's address that can be told to be out of reach by its text alone.
func (w *Webhooks) Judge(address string) error { return w.options.Reach.judge(address) }

// Certificate gives the certificate, in DER, of the key with which bodies are signed.
func (w *Webhooks) Certificate() ([]byte, error) {
	_, der, err := w.signer.identity()
	return der, err
}

// pause waits, or returns the error of a context that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run tells receivers what happens until the context ends. It returns once nothing is under way any more.
func (w *Webhooks) Run(ctx context.Context) error {
	if !w.Delivers() {
		return nil
	}
	if err := os.MkdirAll(w.options.Dir, 0o700); err != nil {
		return fmt.Errorf("deliver webhooks: %w", err)
	}
	defer w.sender.close()
	for {
		// A node whose ledger does not serve leaves the turn to others.
		for w.ledger.Fault() != nil {
			if pause(ctx, w.options.look) != nil {
				return nil
			}
		}
		t, err := w.office().enter(ctx)
		if err != nil {
			return nil // only the end of the context ends the wait
		}
		w.serve(ctx, t)
	}
}

// serve delivers while it is this node's turn and its ledger serves.
func (w *Webhooks) serve(ctx context.Context, t turn) {
	w.here.Store(true)
	defer w.here.Store(false)
	delivering, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-t.over():
			w.log.Warn("this node no longer delivers webhooks: its turn has ended")
			stop()
		case <-delivering.Done():
		}
	})
	crew := crew{Webhooks: w, turn: t, followers: make(map[domain.TenantID]*running)}
	for {
		crew.attend(delivering)
		if pause(delivering, w.options.look) != nil || w.ledger.Fault() != nil {
			break
		}
	}
	stop()
	watching.Wait()
	crew.dismiss()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	t.leave(leaving)
}

// crew is the followers of all registered partners, for one turn.
type crew struct {
	*Webhooks
	turn      turn
	followers map[domain.TenantID]*running
}

// running is a follower with what ends it.
type running struct {
	changed uint64 // which registration it serves
	stop    context.CancelFunc
	done    sync.WaitGroup
}

func (r *running) end() {
	r.stop()
	r.done.Wait()
}

// attend makes the followers those that the registrations ask for.
func (c crew) attend(ctx context.Context) {
	hooks := c.ledger.Book().Webhooks()
	for partner, r := range c.followers {
		hook, registered := hooks[partner]
		if registered && hook.Changed == r.changed {
			continue
		}
		r.end()
		delete(c.followers, partner)
		if !registered {
			if err := c.turn.forget(ctx, partner); err != nil && ctx.Err() == nil {
				c.log.Warn("an obsolete webhook position was not removed", "partner", partner.String(), "error", err)
			}
		}
	}
	for partner, hook := range hooks {
		if c.followers[partner] == nil && ctx.Err() == nil {
			c.start(ctx, partner, hook)
		}
	}
}

// start lets a follower go on where the partner was told last, or where the webhook begins when no place was
// saved for it. Where that cannot be found out, it is tried again.
func (c crew) start(ctx context.Context, partner domain.TenantID, hook domain.Webhook) {
	log := c.log.With("partner", partner.String())
	at, found, err := c.turn.recall(ctx, partner)
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("webhooks are not delivered until their position can be read", "error", err)
		}
		return
	}
	if !found || at.Since != hook.Since || at.Position < hook.Since {
		at = place{Since: hook.Since, Position: hook.Since}
	}
	ctx, stop := context.WithCancel(ctx)
	r := &running{changed: hook.Changed, stop: stop}
	f := &follower{Webhooks: c.Webhooks, turn: c.turn, partner: partner, hook: hook, log: log, at: at}
	r.done.Go(func() { f.run(ctx) })
	c.followers[partner] = r
}

func (c crew) dismiss() {
	for _, r := range c.followers {
		r.stop()
	}
	for _, r := range c.followers {
		r.done.Wait()
	}
}
