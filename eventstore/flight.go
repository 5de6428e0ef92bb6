package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// landing is how the flight of a group ended.
type landing struct {
	stored Cursor // of its record, when it has one and there is no error
	err    error
}

// launch sends the group that was formed on its way into the log, behind head.
func (w *Writer[C, E]) launch(head Cursor) {
	g := w.forming
	w.flight, w.forming = g, nil
	g.head, w.launched = head, time.Now()
	if g.count > 0 {
		w.decider.Seal()
		g.complete()
	}
	// Close must not turn an append under way into an unknown outcome.
	w.done.Go(func() {
		l := w.store(context.Background(), g)
		w.landed <- l
		if l.err == nil {
			w.log.took(l.stored) // nobody waits for the mark
		}
	})
}

// store stores a group's record. A group that has nothing to record stores
// nothing; its refusals count only if the state they were judged on is still
// that of the head.
func (w *Writer[C, E]) store(ctx context.Context, g *group[C, E]) landing {
	if g.count > 0 {
		stored, err := w.log.append(ctx, g.head, g.record, g.last, g.at)
		return landing{stored, err}
	}
	if !w.log.opts.Shared {
		return landing{stored: g.head}
	}
	end, err := w.log.agreed(ctx, g.head)
	return landing{end, err}
}

// land commits the state of the group in flight when it is stored, sends the next
// one on its way and answers. When it is not stored, nothing that was decided
// stands.
func (w *Writer[C, E]) land(ctx context.Context, l landing) {
	g := w.flight
	w.flight = nil
	if l.err == nil {
		now := time.Now()
		w.contested = time.Time{}
		if g.count > 0 {
			w.decider.Commit(l.stored.Position)
			w.index.Take(l.stored, g.recorded())
			w.head.Store(&l.stored)
		} else if l.stored.Sequence > g.head.Sequence {
			// A barrier changes nothing, but it is younger than what was formed meanwhile.
			w.shelve()
			w.index.Take(l.stored, nil)
			w.head.Store(&l.stored)
		}
		yield := w.log.opts.Shared && w.turns.took(now, now.Sub(w.launched))
		if w.forming != nil && !yield {
			w.launch(l.stored)
		}
		w.answer(g, nil)
		w.release(g)
		return
	}
	w.shelve()
	w.decider.Discard()
	if errors.Is(l.err, ErrConflict) && w.contend() {
		w.stats.conflicts.Add(1)
		if l.err = w.fold(ctx); l.err == nil {
			w.carry = append(g.requests(), w.carry...)
			w.release(g)
			return
		}
		l.err = fmt.Errorf("%w: %w", ErrUnavailable, l.err) // the conflict is certain, so nothing is written
	}
	w.contested = time.Time{}
	w.answer(g, l.err)
	w.mend(ctx, g, l.err)
	w.release(g)
}

// contend reports whether a group that another writer forestalled is decided
// again. Its commands are answered within the time that a record may take.
func (w *Writer[C, E]) contend() bool {
	if w.contested.IsZero() {
		w.contested = w.launched
	}
	return time.Since(w.contested) < w.log.opts.AppendTimeout
}

// recorded lists the commands in a group's record.
func (g *group[C, E]) recorded() []CommandKey {
	keys := make([]CommandKey, 0, g.count)
	for i := range g.items {
		if g.items[i].inRecord {
			keys = append(keys, g.items[i].r.key())
		}
	}
	return keys
}

// answer tells everyone in a group what became of it. With an error nothing is
// recorded, or it is not known whether; that uncertainty is only for those whose
// commands are in the record.
func (w *Writer[C, E]) answer(g *group[C, E], err error) {
	rest := err
	if errors.Is(err, ErrOutcomeUnknown) {
		rest = fmt.Errorf("%w: the group it was judged in is unresolved", ErrUnavailable)
		w.stats.unknown.Add(uint64(g.count))
	} else if errors.Is(err, ErrIntegrity) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		rest = err
	}
	sequence := uint64(0)
	if err == nil && g.count > 0 {
		sequence = g.head.Sequence + 1
		w.stats.group(g.count, g.last-g.before)
	}
	for i := range g.items {
		it := &g.items[i]
		first := &g.items[it.same]
		var res result[E]
		switch {
		case it.flying: // that group's record is the one behind which this was to be stored
			res.recorded = g.head.Sequence
		case it.recorded > 0:
			res.recorded = it.recorded
		case err != nil && first.inRecord:
			res.err = err
		case err != nil && it.r.spoilt == nil:
			res.err = rest
		case it.err != nil:
			res.err = it.err
			w.stats.refused.Add(1)
		case it.r.DryRun:
			res.outcome = it.outcome(0, g.at)
			w.stats.dryRuns.Add(1)
		default:
			res.outcome = first.outcome(sequence, g.at)
			if it.same != i {
				res.outcome.Replayed = true
				w.stats.replayed.Add(1)
			}
		}
		it.r.answer(res)
	}
}

// mend does what an error of a group demands before the next one may be
// decided. While it waits for the server, submissions are refused at once.
func (w *Writer[C, E]) mend(ctx context.Context, g *group[C, E], err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrOutcomeUnknown):
		why := fmt.Errorf("an append is unresolved: %w", ErrUnavailable)
		if state := w.state.Load(); !state.final { // the group's memory is used again
			w.state.Store(&writerState{err: why, unresolved: maps.Clone(g.ids)})
		}
		w.waitFor(ctx, why, func() error {
			stored, err := w.log.Settle(ctx, g.head, g.record)
			if err == nil {
				w.stats.resolved.Add(1)
				w.opts.Logger.Info("the outcome of an append is resolved", "record", g.head.Sequence+1, "stored", stored)
			}
			return err
		})
	case passing(err):
		w.waitFor(ctx, err, func() error {
			_, err := w.log.last(ctx)
			return err
		})
	}
}

// waitFor pauses the writer until step succeeds and the state has caught up
// with the log.
func (w *Writer[C, E]) waitFor(ctx context.Context, why error, step func() error) {
	w.pause(why)
	w.opts.Logger.Warn("nothing is written until the server answers", "error", why)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, longestRetry) {
		w.refuseWaiting()
		err := step()
		if err == nil {
			err = w.fold(ctx)
		}
		switch {
		case err == nil:
			w.pause(nil)
			return
		case ctx.Err() != nil:
			return
		case !passing(err) && !errors.Is(err, ErrOutcomeUnknown):
			_ = w.fail(err)
			return
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}
