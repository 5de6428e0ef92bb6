package eventstore

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// item is one request of a group and what was decided about it.
type item[C, E any] struct {
	r        *request[C, E]
	err      error  // refused
	recorded uint64 // the record that holds the command already
	flying   bool   // the group in flight holds it
	same     int    // index of the item with the same command, itself when first
	inRecord bool
	first    uint64
	events   []E
	stored   []Event
}

// group is one attempt to decide and store some requests. Its record grows with
// it: what comes before the commands is written first, with room for the hash of
// the record before it, which is known when that one has landed.
type group[C, E any] struct {
	before uint64 // position on which it was decided
	head   Cursor // record on which it is stored; known when it is launched
	at     time.Time
	items  []item[C, E]
	ids    map[CommandKey]int // item that was decided first for a command
	count  int                // commands to record
	last   uint64             // position of the last event
	record []byte
	prefix int // how many bytes of the record come before the first command
}

// begin starts a group on top of the one in flight, or of the current state.
func (w *Writer[C, E]) begin() *group[C, E] {
	head := w.Head()
	before, at := head.Position, head.Time
	if w.flight != nil {
		before, at = w.flight.last, w.flight.at
	}
	g := w.spare
	if w.spare = nil; g == nil {
		g = &group[C, E]{ids: make(map[CommandKey]int)}
	}
	g.before, g.last, g.at = before, before, later(at, w.now)
	ledger, _, _ := w.log.Ledger()
	g.record = appendRecordHead(g.record[:0], &Record{Version: RecordVersion, Ledger: ledger, First: before + 1, Time: g.at})
	g.prefix = len(g.record)
	return g
}

// release keeps the memory of a group that is done with.
func (w *Writer[C, E]) release(g *group[C, E]) {
	clear(g.items)
	clear(g.ids)
	*g = group[C, E]{items: g.items[:0], ids: g.ids, record: g.record}
	w.spare = g
}

// requests lists who is in the group.
func (g *group[C, E]) requests() []*request[C, E] {
	list := make([]*request[C, E], len(g.items))
	for i := range g.items {
		list[i] = g.items[i].r
	}
	return list
}

// judge decides and encodes requests as part of the group being formed. When
// one of them can not be recorded, or not all fit into one record, the group is
// judged again without.
func (w *Writer[C, E]) judge(requests []*request[C, E]) {
	for {
		if w.forming == nil {
			w.forming = w.begin()
		}
		g := w.forming
		from := len(g.items)
		w.decide(g, requests)
		fitting := w.encode(g, from)
		if fitting == len(g.items) && !g.spoilt(from) {
			return
		}
		requests = g.requests()
		w.decider.Retract()
		w.forming = nil
		w.release(g)
		w.carry = append(requests[fitting:len(requests):len(requests)], w.carry...)
		requests = requests[:fitting]
	}
}

// shelve takes the group being formed apart.
func (w *Writer[C, E]) shelve() {
	if g := w.forming; g != nil {
		w.decider.Retract()
		w.forming = nil
		w.carry = append(g.requests(), w.carry...)
		w.release(g)
	}
}

// decide judges the requests one after the other on the pending state.
func (w *Writer[C, E]) decide(g *group[C, E], requests []*request[C, E]) {
	for _, r := range requests {
		i := len(g.items)
		g.items = append(g.items, item[C, E]{r: r, same: i, err: r.spoilt})
		it := &g.items[i]
		if it.err != nil {
			continue
		}
		if !r.DryRun && w.duplicate(g, i) {
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
		g.ids[r.key()] = i
		it.inRecord = true
		g.count++
		g.last += uint64(len(it.events))
	}
}

// duplicate reports whether a request needs no decision of its own because its
// command is in this group, in the one in flight, or recorded since the index was
// searched for it.
func (w *Writer[C, E]) duplicate(g *group[C, E], i int) bool {
	it := &g.items[i]
	key := it.r.key()
	if first, ok := g.ids[key]; ok {
		it.same = first
		if g.items[first].r.Digest != it.r.Digest {
			it.same, it.err = i, ErrCommandIDReused
		}
		return true
	}
	if w.flight != nil {
		if _, it.flying = w.flight.ids[key]; it.flying {
			return true // this group is answered when that one has landed
		}
	}
	for _, sequence := range w.index.Newer(it.r.seen, key) {
		if !slices.Contains(it.r.others, sequence) {
			it.recorded = sequence
			return true
		}
	}
	return false
}

// chunkItems is how many items one goroutine encodes at least: about as many as
// take longer than handing them over.
const chunkItems = 16

// encode gives each decided command its stored form, from an item on, and adds
// it to the record. It returns how many of the group's items fit into the record.
func (w *Writer[C, E]) encode(g *group[C, E], from int) (fitting int) {
	items := g.items[from:]
	workers := max(1, min(runtime.GOMAXPROCS(0), len(items)/chunkItems))
	for len(w.chunks) < workers-1 {
		w.chunks = append(w.chunks, nil)
	}
	per := (len(items) + workers - 1) / workers
	var wg sync.WaitGroup
	for n := 1; n < workers; n++ {
		wg.Go(func() {
			w.chunks[n-1] = w.encodeItems(w.chunks[n-1][:0], items[min(n*per, len(items)):min((n+1)*per, len(items))])
		})
	}
	size := len(g.record)
	g.record = w.encodeItems(g.record, items[:min(per, len(items))])
	wg.Wait()
	for _, chunk := range w.chunks[:workers-1] {
		g.record = append(g.record, chunk...)
	}
	if len(g.record)+len(recordTail) <= w.log.largest {
		return len(g.items)
	}
	return w.fit(g, from, size)
}

// fit finds how many of a group's items fit into a record, of which size bytes
// were there before the items that have made it too large.
func (w *Writer[C, E]) fit(g *group[C, E], from, size int) int {
	for i := from; i < len(g.items); i++ {
		it := &g.items[i]
		if !it.inRecord || it.r.spoilt != nil {
			continue
		}
		c := it.command()
		n := len(AppendCommand(nil, &c)) + len(",")
		if g.prefix+n+len(recordTail) > w.log.largest {
			it.r.spoilt = fmt.Errorf("the command needs %d bytes, a record has at most %d: %w", n, w.log.largest, ErrTooLarge)
			return len(g.items)
		}
		if size += n; size+len(recordTail) > w.log.largest {
			return i
		}
	}
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
		if it.inRecord && it.r.spoilt == nil {
			c := it.command()
			b = append(AppendCommand(b, &c), ',')
		}
	}
	return b
}

// command returns the item's command as it is recorded.
func (it *item[C, E]) command() Command {
	return Command{
		ID: it.r.ID, Name: it.r.Name, Digest: it.r.Digest, Actor: it.r.Actor,
		Reason: it.r.Reason, CorrelationID: it.r.CorrelationID, Events: it.stored,
	}
}

// spoilt reports whether encoding found a request that can not be recorded. The
// others were judged on its events, so the group has to be decided again.
func (g *group[C, E]) spoilt(from int) bool {
	for i := from; i < len(g.items); i++ {
		if g.items[i].r.spoilt != nil && g.items[i].err == nil {
			return true
		}
	}
	return false
}

// complete ends the record of a group whose head is known.
func (g *group[C, E]) complete() {
	hash := g.prefix - len(commandsMember) - hex.EncodedLen(len(g.head.Hash))
	hex.Encode(g.record[hash:], g.head.Hash[:])
	g.record = append(g.record[:len(g.record)-1], recordTail...) // without the last comma
}
