package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"permledger/domain"
	"permledger/projections"
)

// follower tells one partner what happens, in the order of the log. Its goroutine owns it.
type follower struct {
	*Webhooks
	turn    turn
	partner domain.TenantID
	hook    domain.Webhook
	log     *slog.Logger
	at      place
	saved   uint64
}

// errReplaced says that the registration is no longer the newest, or the turn another node's; another follower
// goes on.
var errReplaced = errors.New("the webhook was replaced or removed, or is another node's")

// errNotConfirmed says that it is not known whether it is still this node's turn.
var errNotConfirmed = errors.New("it could not be confirmed that no other node delivers")

// run tells until the context ends or the registration does.
func (f *follower) run(ctx context.Context) {
	f.saved = f.at.Position
	defer func() {
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		f.note(saving)
	}()
	for {
		_, advanced := f.ledger.Models().Advanced() // before reading: what comes later than the read wakes us
		more, err := f.next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, errReplaced):
			return
		case err != nil:
			f.log.Warn("webhooks are not delivered for now", "error", err)
		case more:
			continue
		default:
			select {
			case <-advanced:
			case <-ctx.Done():
				return
			}
		}
		if pause(ctx, f.options.look) != nil {
			return
		}
	}
}

// next reads a piece of the feed and tells what is in it; more says that the next one can be read at once.
func (f *follower) next(ctx context.Context) (more bool, err error) {
	if err := f.ledger.Fault(); err != nil {
		return false, err
	}
	page, err := f.ledger.Models().Events(ctx, projections.OfPartner(f.partner), projections.EventFilter{After: f.at.Position, Types: told}, pageEvents)
	if err != nil {
		return false, err
	}
	commands := byCommand(page.Items)
	if page.More && len(commands) > 1 {
		commands = commands[:len(commands)-1] // it may go on in the next piece
	}
	for _, events := range commands {
		if err := f.tell(ctx, events); err != nil {
			return false, err
		}
	}
	if !page.More {
		f.at.Position = page.Next
	}
	if f.at.Position >= f.saved+saveEvery {
		f.note(ctx)
	}
	return page.More, nil
}

// byCommand divides events into those of one command each.
func byCommand(events []projections.Event) (commands [][]projections.Event) {
	for i := range events {
		if n := len(commands); n > 0 && commands[n-1][0].CommandID == events[i].CommandID && commands[n-1][0].Actor.Tenant == events[i].Actor.Tenant {
			commands[n-1] = append(commands[n-1], events[i])
		} else {
			commands = append(commands, events[i:i+1:i+1])
		}
	}
	return commands
}

// tell tells what a command did, where the partner wants to know, and goes on behind it.
func (f *follower) tell(ctx context.Context, events []projections.Event) error {
	n, err := f.noticeOf(ctx, events)
	if err != nil {
		return err
	}
	wanted := f.hook.Wants(n.event)
	if wanted {
		if err := f.deliver(ctx, n); err != nil {
			return err
		}
	}
	f.at.Position = events[len(events)-1].Position
	if wanted {
		f.note(ctx)
	}
	return nil
}

// note saves how far the partner has been told.
func (f *follower) note(ctx context.Context) {
	if f.at.Position == f.saved {
		return
	}
	if err := f.turn.save(ctx, f.partner, f.at); err != nil {
		f.log.Warn("webhooks may be sent again", "error", err)
		return
	}
	f.saved = f.at.Position
}

// deliver sends a notice until it is received or given up. Its error means that it is neither: the server
// stops, or the registration is no longer the newest.
func (f *follower) deliver(ctx context.Context, n notice) error {
	f.figures.waits(f.partner, n.at)
	defer f.figures.waitsNoMore(f.partner)
	for attempt := 0; ; attempt++ {
		if newest, registered := f.ledger.Book().Webhook(f.partner); !registered || newest.Changed != f.hook.Changed {
			return errReplaced
		}
		if f.at.Gone == f.hook.Changed {
			f.figures.count(n, outcomeGone)
			return nil
		}
		if f.options.clock.now().Sub(n.at) > maxAge {
			f.figures.count(n, outcomeGivenUp)
			f.log.Warn("a webhook is given up: it is older than a day", "event", n.event, "delivery", n.id, "attempts", attempt)
			return nil
		}
		status, err := f.attempt(ctx, n)
		switch {
		case errors.Is(err, errReplaced):
			return err
		case errors.Is(err, errNotConfirmed): // the receiver has nothing to do with it
			attempt--
			if err := f.options.clock.wait(ctx, firstDelay); err != nil {
				return err
			}
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status/100 == 2:
			f.figures.count(n, outcomeDelivered)
			return nil
		case err == nil && status == http.StatusGone:
			f.at.Gone = f.hook.Changed
			f.log.Warn("the webhook's receiver is gone: nothing is sent until it is registered otherwise", "event", n.event, "delivery", n.id)
			continue
		}
		f.figures.count(n, outcomeFailed)
		if attempt == 0 {
			f.log.Warn("a webhook was not received and is tried again", "event", n.event, "delivery", n.id, "status", status, "error", err)
		}
		if err := f.options.clock.wait(ctx, delay(attempt)); err != nil {
			return err
		}
	}
}

// attempt sends a notice once, if it is this node's turn, and no longer than it is.
func (f *follower) attempt(ctx context.Context, n notice) (status int, err error) {
	until, err := f.turn.confirm(ctx)
	if err != nil {
		return 0, err
	}
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	return f.sender.send(ctx, f.hook.URL, n)
}

// delay is how long to wait after an attempt, counted from 0: twice as long as after the one before, less up
// to half of it, so that receivers that were away are not called by everybody at once.
func delay(attempt int) time.Duration {
	d := maxDelay
	if attempt < 20 {
		d = min(maxDelay, firstDelay<<attempt)
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // nothing secret
}
