package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/handlers/ledger"
	"permledger/projections"
)

const (
	// minBenchEvents is the smallest large ledger with which every measure still means something.
	minBenchEvents = 1000
	// eventsPerCustomer is how many events a customer of a large ledger has: its preparation and purchases.
	eventsPerCustomer = 20
	// parts is in how many parts it is written: in each some customers are prepared, then those known so far
	// buy, so that a pass over the first part of the log meets what a pass over all of it does.
	parts = 10
	// commandsPerRecord is how many commands a record of it holds.
	commandsPerRecord = 1000
)

// benchLarge is a ledger that was decided by the real rules, in memory, and written as an export.
type benchLarge struct {
	export    string // path of the export
	customers int
	book      *domain.Book      // the decision state at the head
	head      eventstore.Cursor // of the log as exported
	lasts     []uint64          // position of the last event of each record, the genesis first

	bytesPerCustomer, bytesPerReservation float64 // heap of the decision state
	bytesPerID                            float64 // heap of a map of as many ids and nothing else

	dir     string  // data directory with the log; empty until it is made
	rebuilt float64 // events a second of the one rebuild of all read models; 0 until they are made
}

// ledgerOf writes an export with a number of events.
func (b *bench) ledgerOf(ctx context.Context, events int, name string) (*benchLarge, error) {
	l := &benchLarge{export: b.subdirectory(name + ".jsonl"), customers: max(1, events/eventsPerCustomer), book: domain.NewBook()}
	file, err := os.Create(l.export)
	if err != nil {
		return nil, fmt.Errorf("write a ledger: %w", err)
	}
	w := &benchExport{benchLarge: l, out: bufio.NewWriterSize(file, 1<<20), ids: b.world}
	bar := b.progress("write a ledger", uint64(events))
	defer bar.stop()
	err = w.write(ctx, events, bar)
	if err = errors.Join(err, w.out.Flush(), file.Close()); err != nil {
		return nil, fmt.Errorf("write a ledger: %w", err)
	}
	return l, nil
}

// benchExport writes records as the writer forms them, without a log.
type benchExport struct {
	*benchLarge
	out    *bufio.Writer
	ids    *benchWorld
	record eventstore.Record
	next   uint64 // position of the next event
	line   []byte
}

func (w *benchExport) write(ctx context.Context, events int, bar *bar) error {
	w.next = 1
	w.record = eventstore.Record{
		Version: eventstore.RecordVersion, Ledger: w.ids.id(benchLedgerID, w.ids.commands.Add(1)), First: 1,
		Time: time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Millisecond),
	}
	if err := w.flush(); err != nil { // the genesis
		return err
	}
	if err := w.send(ctx, w.ids.found()); err != nil {
		return err
	}
	choice := rand.New(rand.NewPCG(w.ids.seed, 0)) //nolint:gosec // the same choices in every run
	before, err := w.heap()
	if err != nil {
		return err
	}
	var ofCustomers, ofReservations float64
	reservations, known := 0, 0
	for part := range parts {
		for ; known < w.customers*(part+1)/parts; known++ {
			if err := w.prepare(ctx, known); err != nil {
				return err
			}
			bar.add(benchSetupEvents)
		}
		prepared, err := w.heap()
		if err != nil {
			return err
		}
		for ; w.next <= uint64(events*(part+1)/parts); reservations++ {
			if err := w.send(ctx, w.ids.purchase(choice.IntN(known))); err != nil {
				return err
			}
			bar.add(1)
		}
		bought, err := w.heap()
		if err != nil {
			return err
		}
		ofCustomers, ofReservations, before = ofCustomers+prepared-before, ofReservations+bought-prepared, bought
	}
	w.bytesPerCustomer = ofCustomers / float64(w.customers)
	w.bytesPerReservation = ofReservations / float64(max(1, reservations))
	ids := make(map[uuid.UUID]struct{})
	for n := range reservations {
		ids[w.ids.id(benchCommandID, uint64(n))] = struct{}{}
	}
	w.bytesPerID = (heap() - before) / float64(max(1, reservations))
	runtime.KeepAlive(ids)
	return nil
}

// prepare sends what lets a customer buy.
func (w *benchExport) prepare(ctx context.Context, n int) error {
	deeds, err := w.ids.prepare(n)
	for _, d := range deeds {
		if err == nil {
			err = w.send(ctx, d)
		}
	}
	return err
}

// heap ends the record, if there is one, so that nothing but the book grows from one call to the next.
func (w *benchExport) heap() (float64, error) {
	if len(w.record.Commands) > 0 {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	w.line, w.record.Commands = nil, nil
	return heap(), nil
}

// heap is how many bytes the program holds.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// send has a command decided and puts it into the record.
func (w *benchExport) send(ctx context.Context, d benchDeed) error {
	id := w.ids.commandID()
	request, err := domain.NewRequest(id, d.actor, d.command)
	if err != nil {
		return err
	}
	facts, err := w.book.Decide(request, w.next, w.record.Time)
	if err != nil {
		return err
	}
	command := eventstore.Command{
		ID: id.UUID, Name: d.command.CommandName(), Digest: eventstore.Hash(request.Digest()),
		Actor: projections.EncodeActor(d.actor), Events: make([]eventstore.Event, len(facts)),
	}
	for i, f := range facts {
		if command.Events[i], err = (projections.Codec{}).Encode(f); err != nil {
			return err
		}
		w.book.Evolve(f)
	}
	w.next += uint64(len(facts))
	w.record.Commands = append(w.record.Commands, command)
	if len(w.record.Commands) < commandsPerRecord {
		return ctx.Err()
	}
	return w.flush()
}

// flush ends the record and begins the next one.
func (w *benchExport) flush() error {
	w.book.Commit(w.next - 1)
	w.line = append(eventstore.AppendRecord(w.line[:0], &w.record), '\n')
	if _, err := w.out.Write(w.line); err != nil {
		return err
	}
	w.head = eventstore.Cursor{
		Sequence: w.head.Sequence + 1, Position: w.next - 1, Hash: eventstore.HashOf(w.line[:len(w.line)-1]), Time: w.record.Time,
	}
	w.lasts = append(w.lasts, w.head.Position)
	w.record.First, w.record.Previous, w.record.Time = w.next, w.head.Hash, w.record.Time.Add(time.Millisecond)
	clear(w.record.Commands)
	w.record.Commands = w.record.Commands[:0]
	return nil
}

// store makes the data directory of the ledger: its log, without read models. It is not synced, for
// nobody relies on it.
func (l *benchLarge) store(ctx context.Context, dir string) (err error) {
	s, err := openBenchStore(ctx, dir, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	file, err := os.Open(l.export)
	if err != nil {
		return fmt.Errorf("import a ledger: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was read
	report, err := s.log.Import(ctx, file, nil)
	if err != nil {
		return err
	}
	if report.Head.Hash != l.head.Hash {
		return errors.New("import a ledger: its head is another one than that of the export")
	}
	l.dir = dir
	return os.Remove(l.export)
}

// rebuild makes the read models of the data directory.
func (l *benchLarge) rebuild(ctx context.Context) (err error) {
	s, err := openBenchStore(ctx, l.dir, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	models, err := projections.Open(ctx, ledger.ModelsDir(l.dir), projections.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, models.Close()) }()
	started := time.Now()
	err = models.Rebuild(ctx, s.log, nil)
	l.rebuilt = float64(l.head.Position) / time.Since(started).Seconds()
	return err
}

// largeBook gives the large ledger, decided but not stored.
func (b *bench) largeBook(ctx context.Context) (*benchLarge, error) {
	if b.large == nil {
		large, err := b.ledgerOf(ctx, b.env.Events, "large")
		if err != nil {
			return nil, err
		}
		b.large = large
	}
	return b.large, nil
}

// largeLog gives the large ledger with its log.
func (b *bench) largeLog(ctx context.Context) (*benchLarge, error) {
	l, err := b.largeBook(ctx)
	if err == nil && l.dir == "" {
		err = l.store(ctx, b.subdirectory("large"))
	}
	return l, err
}

// largeModels gives the large ledger with its log and read models.
func (b *bench) largeModels(ctx context.Context) (*benchLarge, error) {
	l, err := b.largeLog(ctx)
	if err == nil && l.rebuilt == 0 {
		err = l.rebuild(ctx)
	}
	return l, err
}
