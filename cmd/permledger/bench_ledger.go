package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/eventstore/embedded"
	"permledger/handlers/ledger"
	"permledger/projections"
)

// The names of the log in JetStream, those of a served ledger, so that a directory can be opened both by its
// parts and as a whole.
const (
	benchStream  = "PERMLEDGER"
	benchSubject = "permledger.commits"
)

// benchStore is the log of a directory with its server, opened by its parts.
type benchStore struct {
	server *embedded.Server
	log    *eventstore.Log
}

// openBenchStore opens a log as a served ledger does: the same server, synced before every acknowledgement.
func openBenchStore(ctx context.Context, dir string, unsynced bool) (*benchStore, error) {
	s := &benchStore{}
	var err error
	if s.server, err = embedded.Start(ctx, embedded.Options{Dir: dir, Unsynced: unsynced}); err != nil {
		return nil, err
	}
	s.log, err = eventstore.Open(ctx, s.server.JetStream(), eventstore.Options{Stream: benchStream, Subject: benchSubject, Dir: dir, Found: true})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *benchStore) close() error {
	var err error
	if s.log != nil {
		err = s.log.Close()
	}
	return errors.Join(err, s.server.Close())
}

type benchWriter = eventstore.Writer[domain.Request, domain.Fact]

// benchPath is the way of a command into the log: the ledger's writer with the real rules, the real codec
// and the read models as index of command ids. The read models do not follow the log while commands are
// measured; settle lets them take in what has come since.
type benchPath struct {
	*benchStore
	models *projections.Models
	writer *benchWriter
	world  *benchWorld
}

// openBenchPath starts the writer where a book stands.
func openBenchPath(ctx context.Context, w *benchWorld, dir string, book *domain.Book, from eventstore.Cursor) (*benchPath, error) {
	store, err := openBenchStore(ctx, dir, false)
	if err != nil {
		return nil, err
	}
	p := &benchPath{benchStore: store, world: w}
	if p.models, err = projections.Open(ctx, ledger.ModelsDir(dir), projections.Options{}); err == nil {
		p.writer = eventstore.NewWriter(store.log, book, projections.Codec{}, p.models, eventstore.WriterOptions{From: from})
		err = p.writer.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *benchPath) close() error {
	var errs []error
	if p.writer != nil {
		errs = append(errs, p.writer.Close())
	}
	if p.models != nil {
		errs = append(errs, p.models.Close())
	}
	return errors.Join(append(errs, p.benchStore.close())...)
}

// settle lets the read models catch up, so that no lane pays for the ids that another one has left.
func (p *benchPath) settle(ctx context.Context) error {
	return catchUp(ctx, p.models, p.log, p.writer.Head().Position)
}

// catchUp lets read models follow a log up to a position.
func catchUp(ctx context.Context, models *projections.Models, log projections.Source, position uint64) error {
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- models.Run(running, log) }()
	err := models.WaitFor(ctx, position) // it fails when Run does
	stop()
	return errors.Join(err, <-stopped)
}

// submit sends a command the way a served ledger does, short of what it does for the caller.
func (p *benchPath) submit(ctx context.Context, d benchDeed) (eventstore.Outcome[domain.Fact], error) {
	id := p.world.commandID()
	request, err := domain.NewRequest(id, d.actor, d.command)
	if err != nil {
		return eventstore.Outcome[domain.Fact]{}, err
	}
	return p.writer.Submit(ctx, eventstore.Submission[domain.Request]{
		ID: id.UUID, Name: d.command.CommandName(), Digest: eventstore.Hash(request.Digest()),
		Actor: projections.EncodeActor(d.actor), Command: request,
	})
}

// buy submits a purchase and makes sure that it was one.
func (p *benchPath) buy(ctx context.Context, customer int) error {
	outcome, err := p.submit(ctx, p.world.purchase(customer))
	if err == nil && (len(outcome.Stored) != 1 || outcome.Stored[0].Type != (domain.CustomerPurchasedReservation{}).EventType()) {
		err = errNoPurchase
	}
	return err
}

// benchSetupClients is how many clients prepare customers: enough to fill groups.
const benchSetupClients = 256

// prepareCustomers sends everything that lets customers buy; send is called from many goroutines, and with
// one customer's commands in order.
func prepareCustomers(ctx context.Context, w *benchWorld, customers int, send func(context.Context, benchDeed) error) error {
	if err := send(ctx, w.found()); err != nil {
		return err
	}
	var next atomic.Int64
	errs := make([]error, min(benchSetupClients, customers))
	var working sync.WaitGroup
	for c := range errs {
		working.Go(func() {
			for n := int(next.Add(1)) - 1; n < customers && errs[c] == nil; n = int(next.Add(1)) - 1 {
				var deeds []benchDeed
				deeds, errs[c] = w.prepare(n)
				for _, d := range deeds {
					if errs[c] == nil {
						errs[c] = send(ctx, d)
					}
				}
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// benchIndex is an index of commands that has taken in a log up to a record, and is asked nothing.
type benchIndex struct{ through uint64 }

// Find implements eventstore.Index.
func (benchIndex) Find(context.Context, uuid.UUID) (uint64, bool, error) { return 0, false, nil }

// Through implements eventstore.Index.
func (i benchIndex) Through() uint64 { return i.through }

// subdirectory is a directory of this run.
func (b *bench) subdirectory(name string) string { return filepath.Join(b.dir, name) }

// crowdSize is how many customers take part where commands are measured: many, so that the state is that
// of a real ledger, but no more than there are events for.
func (b *bench) crowdSize() int { return max(64, min(2048, b.env.Events/20)) }
