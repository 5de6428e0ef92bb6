package eventstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
)

// item is one request of a group and what was decided about it.
type item[C, E any] struct {
	r        *request[C, E]
	err      error // refused
	recorded uint64
	again    bool
	same     int // index of the item with the same command, itself when first
	command  int // index of its command in the record, -1 when it has none
	first    uint64
	events   []E
	stored   []Event
	size     int // of its encoded command, in bytes
}

// group is one attempt to decide and store some requests.
type group[C, E any] struct {
	head  Cursor // what it was decided on
	at    time.Time
	items []item[C, E]
	count int    // commands to record
	last  uint64 // position of the last event
}

// serve decides a group, stores it and answers everyone in it.
func (w *Writer[C, E]) serve(ctx context.Context, requests []*request[C, E]) {
	if len(requests) == 0 {
		return
	}
	if err := w.refusal(); err != nil {
		for _, r := range requests {
			r.answer(result[E]{err: err})
		}
		return
	}
	for conflicts := 0; ; {
		g := w.decide(requests)
		if fitting := w.encode(g); fitting < len(requests) {
			w.decider.Discard()
			w.carry = append(requests[fitting:len(requests):len(requests)], w.carry...)
			requests = requests[:fitting]
			continue
		}
		if w.spoilt(g) {
			w.decider.Discard()
			continue
		}
		err := w.store(ctx, g)
		if errors.Is(err, ErrConflict) && conflicts < maxConflicts {
			conflicts++
			w.stats.conflicts.Add(1)
			if err = w.fold(ctx); err == nil {
				continue
			}
			err = fmt.Errorf("%w: %w", ErrUnavailable, err) // the conflict is certain, so nothing is written
		}
		w.answer(g, err)
		w.mend(ctx, g, err)
		return
	}
}

// decide judges the requests one after the other on the pending state.
func (w *Writer[C, E]) decide(requests []*request[C, E]) *group[C, E] {
	head := w.Head()
	g := &group[C, E]{head: head, at: later(head.Time, w.opts.Now()), items: make([]item[C, E], len(requests)), last: head.Position}
	firsts := make(map[uuid.UUID]int, len(requests))
	w.recent.mu.Lock()
	defer w.recent.mu.Unlock()
	w.recent.prune(w.seen(requests))
	for i, r := range requests {
		it := &g.items[i]
		*it = item[C, E]{r: r, same: i, command: -1, err: r.spoilt}
		if it.err != nil {
			continue
		}
		if !r.DryRun && w.duplicate(g, firsts, i) {
			continue
		}
		it.first = g.last + 1
		if it.events, it.err = w.decider.Decide(r.Command, it.first, g.at); it.err != nil {
			it.events = nil
			continue
		}
		if len(it.events) > MaxEvents {
			it.err, it.events = fmt.Errorf("the command leads to %d events, at most %d: %w", len(it.events), MaxEvents, ErrTooLarge), nil
			continue
		}
		if it.events == nil {
			it.events = []E{} // as it is when it is read back
		}
		if r.DryRun {
			continue
		}
		for _, e := range it.events {
			w.decider.Evolve(e)
		}
		firsts[r.ID] = i
		it.command = g.count
		g.count++
		g.last += uint64(len(it.events))
	}
	return g
}

// seen returns up to which record the index has been searched for all of the
// requests.
func (w *Writer[C, E]) seen(requests []*request[C, E]) uint64 {
	through := w.index.Through()
	for _, r := range requests {
		if !r.DryRun {
			through = min(through, r.seen)
		}
	}
	return through
}

// duplicate reports whether a request needs no decision of its own because its
// command is recorded, is in this group, or may be in the index.
func (w *Writer[C, E]) duplicate(g *group[C, E], firsts map[uuid.UUID]int, i int) bool {
	it := &g.items[i]
	if first, ok := firsts[it.r.ID]; ok {
		it.same = first
		if g.items[first].r.Digest != it.r.Digest {
			it.same, it.err = i, ErrCommandIDReused
		}
		return true
	}
	sequence, found, blind := w.recent.find(it.r.ID, it.r.seen)
	it.recorded, it.again = sequence, blind
	return found || blind
}

// chunkItems is how many items one goroutine encodes at least: about as many as
// take longer than handing them over.
const chunkItems = 16

// encode gives each decided command its stored form, and the group its record.
// It returns how many of the requests fit into one record; when that is not all
// of them, or one is found that can not be stored, there is no record yet.
func (w *Writer[C, E]) encode(g *group[C, E]) (fitting int) {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(g.items)/chunkItems))
	for len(w.chunks) < workers {
		w.chunks = append(w.chunks, nil)
	}
	per := (len(g.items) + workers - 1) / workers
	var wg sync.WaitGroup
	for n := 1; n < workers; n++ {
		wg.Go(func() {
			w.chunks[n] = w.encodeItems(w.chunks[n][:0], g.items[min(n*per, len(g.items)):min((n+1)*per, len(g.items))])
		})
	}
	w.chunks[0] = w.encodeItems(w.chunks[0][:0], g.items[:min(per, len(g.items))])
	wg.Wait()
	if g.count == 0 {
		return len(g.items)
	}
	ledger, _, _ := w.log.Ledger()
	r := Record{Version: RecordVersion, Ledger: ledger, First: g.head.Position + 1, Time: g.at, Previous: g.head.Hash}
	w.record = appendRecordHead(w.record[:0], &r)
	total := len(w.record) + len(recordTail)
	for i := range g.items {
		if g.items[i].command < 0 {
			continue
		}
		total += g.items[i].size
		if total > w.log.largest && g.items[i].command > 0 {
			return i
		}
		if total > w.log.largest {
			g.items[i].r.spoilt = fmt.Errorf("the command needs %d bytes, a record has at most %d: %w", g.items[i].size, w.log.largest, ErrTooLarge)
			return len(g.items)
		}
	}
	for _, chunk := range w.chunks[:workers] {
		w.record = append(w.record, chunk...)
	}
	w.record = append(w.record[:len(w.record)-1], recordTail...) // without the last comma
	return len(g.items)
}

// encodeItems appends the commands of some items, each with a comma after it.
func (w *Writer[C, E]) encodeItems(b []byte, items []item[C, E]) []byte {
	for i := range items {
		it := &items[i]
		if it.events == nil {
			continue
		}
		it.stored = make([]Event, len(it.events))
		for j, e := range it.events {
			stored, err := w.codec.Encode(e)
			if err == nil {
				// A record nobody can read would end the ledger, so this is
				// checked although the codec has just written it.
				err = checkEvent(&stored)
			}
			if err != nil {
				it.r.spoilt = fmt.Errorf("encode an event of command %s: %w", it.r.Name, err)
				break
			}
			it.stored[j] = stored
		}
		if it.command < 0 || it.r.spoilt != nil {
			continue
		}
		before := len(b)
		c := it.recordedCommand()
		b = append(AppendCommand(b, &c), ',')
		it.size = len(b) - before
	}
	return b
}

// recordedCommand returns the item's command as it is recorded.
func (it *item[C, E]) recordedCommand() Command {
	return Command{
		ID: it.r.ID, Name: it.r.Name, Digest: it.r.Digest, Actor: it.r.Actor,
		Reason: it.r.Reason, CorrelationID: it.r.CorrelationID, Events: it.stored,
	}
}

// spoilt reports whether encoding found a request that can not be recorded. The
// others were judged on its events, so the group has to be decided again.
func (w *Writer[C, E]) spoilt(g *group[C, E]) bool {
	for i := range g.items {
		if g.items[i].r.spoilt != nil && g.items[i].err == nil {
			return true
		}
	}
	return false
}

// store stores the group's record and commits its state. A group that has
// nothing to record stores nothing; its refusals count only if the state they
// were judged on is still that of the head.
func (w *Writer[C, E]) store(ctx context.Context, g *group[C, E]) error {
	if g.count == 0 {
		w.decider.Discard()
		if !w.log.opts.Shared {
			return nil
		}
		last, err := w.log.last(ctx)
		if err == nil && last != g.head.Sequence {
			err = ErrConflict
		}
		return err
	}
	r := Record{First: g.head.Position + 1, Time: g.at, Commands: make([]Command, 0, g.count)}
	for i := range g.items {
		if g.items[i].command >= 0 {
			r.Commands = append(r.Commands, g.items[i].recordedCommand())
		}
	}
	// Close must not turn an append under way into an unknown outcome.
	stored, err := w.log.append(context.WithoutCancel(ctx), g.head, w.record, &r)
	if err != nil {
		w.decider.Discard()
		return err
	}
	w.decider.Commit(stored.Position)
	w.recent.add(stored.Sequence, r.Commands)
	w.head.Store(&stored)
	return nil
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
		w.stats.group(g.count, g.last-g.head.Position)
	}
	for i := range g.items {
		it := &g.items[i]
		first := &g.items[it.same]
		var res result[E]
		switch {
		case it.recorded > 0 || it.again:
			res.recorded, res.again = it.recorded, it.again
		case err != nil && first.command >= 0:
			res.err = err
		case err != nil && it.r.spoilt == nil:
			res.err = rest
		case it.err != nil:
			res.err = it.err
			w.stats.refused.Add(1)
		case it.r.DryRun:
			res.outcome = outcomeOf(&Command{ID: it.r.ID, Name: it.r.Name, Events: it.stored}, 0, it.first, g.at, it.events)
			w.stats.dryRuns.Add(1)
		default:
			c := first.recordedCommand()
			res.outcome = outcomeOf(&c, sequence, first.first, g.at, first.events)
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
	case errors.Is(err, ErrIntegrity):
		_ = w.fail(err)
	case errors.Is(err, ErrOutcomeUnknown):
		w.waitFor(ctx, fmt.Errorf("an append is unresolved: %w", ErrUnavailable), func() error {
			stored, err := w.log.Settle(ctx, g.head, w.record)
			if err == nil {
				w.stats.resolved.Add(1)
				w.opts.Logger.Info("the outcome of an append is resolved", "record", g.head.Sequence+1, "stored", stored)
			}
			return err
		})
	case errors.Is(err, ErrUnavailable):
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
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
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
		case !transient(err) && !errors.Is(err, ErrOutcomeUnknown), errors.Is(err, ErrIntegrity):
			_ = w.fail(err)
			return
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}
