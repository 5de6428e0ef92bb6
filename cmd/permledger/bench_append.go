package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/projections"
)

// appendSuite measures durable commands inside one process, beside the limits of the disk and of the
// design, and beside what one would write without a ledger.
var appendSuite = benchSuite{
	name: "durable commands",
	measures: []benchMeasure{
		{"durable commands, 1 client", perCommand, "submit 1", "raw JetStream, sync always, 1 client", "raw 1", ratioAtLeast(0.8)},
		{"durable commands, 64 clients", perCommand, "submit 64", "bare commit-record loop, 64 clients", "bare 64", ratioAtLeast(0.5)},
		{"durable commands, 64 clients", perCommand, "submit 64", "raw JetStream, sync always, 64 clients", "raw 64", ratioAtLeast(8)},
		{"durable commands, 64 clients", perCommand, "submit 64", "file append, group fdatasync, 64 writers", "file 64", ratioAtLeast(0.4)},
		{"durable commands, 1024 clients", perCommand, "submit 1024", "bare commit-record loop, 1024 clients", "bare 1024", ratioAtLeast(0.5)},
		{"durable commands, 1024 clients", perCommand, "submit 1024", "raw JetStream, sync always, 1024 clients", "raw 1024", ratioAtLeast(20)},
		{"latency p99, 64 clients", "ms", "submit 64 p99", "one fdatasync, p99", "sync p99", ratioAtMost(6)},
		{"whole ledger, read models following, 64 clients", perCommand, executed, "bare commit-record loop, 64 clients", "bare 64", benchTarget{}},
		{"live read models under the load of 64 clients", perEvent, "models 64", "commands of the same load", executed, ratioAtLeast(0.9)},
		{"most that live read models lag under that load", "events", "lag 64", "commands of one second of it", executed, ratioAtMost(1)},
		{"until live read models lag no more after that load", "s", "drain 64", "length of the load", "load 64", figureAtMost(1)},
	},
	open: openAppend,
}

func openAppend(ctx context.Context, b *bench) (lanes []benchLane, closing func() error, err error) {
	s := &appendStores{bench: b, customers: b.crowdSize()}
	if s.path, err = openBenchPath(ctx, b.world, b.subdirectory("append"), domain.NewBook(), eventstore.Cursor{}); err != nil {
		return nil, nil, err
	}
	closing = func() error { return errors.Join(s.path.close(), s.live.close(), s.closeFile()) }
	err = prepareCustomers(ctx, b.world, s.customers, func(ctx context.Context, d benchDeed) error {
		_, err := s.path.submit(ctx, d)
		return err
	})
	if err != nil {
		return nil, closing, err
	}
	if s.live, err = openLive(ctx, b, b.subdirectory("live"), s.customers); err != nil {
		return nil, closing, err
	}
	if s.payload, err = s.commandBytes(ctx); err != nil {
		return nil, closing, err
	}
	if err := s.createStreams(ctx); err != nil {
		return nil, closing, err
	}
	if s.file, err = os.Create(b.subdirectory("append.log")); err != nil {
		return nil, closing, err
	}
	lanes = []benchLane{s.submit(1), s.submit(64), s.submit(1024), lane("file 64", s.groupSync(64)), s.singleSync()}
	for _, clients := range []int{1, 64, 1024} {
		lanes = append(lanes, lane(fmt.Sprint("raw ", clients), s.raw(clients)))
	}
	lanes = append(lanes, lane("bare 64", s.bare(64)), lane("bare 1024", s.bare(1024)), s.live.lane())
	return lanes, closing, nil
}

// appendStores are what commands, bytes and messages are appended to. All lie on the same file system.
type appendStores struct {
	*bench
	customers int
	path      *benchPath
	live      *benchLive
	file      *os.File
	payload   []byte // stored bytes of one purchase: what every baseline writes
}

func (s *appendStores) closeFile() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// commandBytes is a purchase as it is stored.
func (s *appendStores) commandBytes(ctx context.Context) ([]byte, error) {
	d := s.world.purchase(0)
	outcome, err := s.path.submit(ctx, d)
	if err != nil {
		return nil, err
	}
	c := eventstore.Command{ID: outcome.ID, Name: outcome.Name, Actor: projections.EncodeActor(d.actor), Events: outcome.Stored}
	return eventstore.AppendCommand(nil, &c), nil
}

// The streams of the baselines.
const (
	bareStream = "BARE"
	rawStream  = "RAW"
)

// createStreams makes the streams of the baselines with the very settings of the ledger's.
func (s *appendStores) createStreams(ctx context.Context) error {
	js := s.path.server.JetStream()
	own, err := js.Stream(ctx, benchStream)
	if err != nil {
		return fmt.Errorf("read the settings of the ledger's stream: %w", err)
	}
	for name, subject := range map[string]string{bareStream: "bare", rawStream: "raw.>"} {
		config := own.CachedInfo().Config
		config.Name, config.Subjects = name, []string{subject}
		if _, err := js.CreateStream(ctx, config); err != nil {
			return fmt.Errorf("create stream %s: %w", name, err)
		}
	}
	return nil
}

// submit measures commands through the ledger's writer, with the real rules, codec and index.
func (s *appendStores) submit(clients int) benchLane {
	key := fmt.Sprint("submit ", clients)
	turns := newTurns(s.customers, clients)
	return benchLane{gives: []string{key, key + " p99"}, run: func(ctx context.Context, limit time.Duration) (benchFigures, error) {
		load, err := drive(ctx, clients, limit, func(ctx context.Context, client int) error {
			return s.path.buy(ctx, turns.take(client))
		})
		if err != nil {
			return nil, err
		}
		return benchFigures{key: load.perSecond(), key + " p99": load.percentile(0.99)}, nil
	}}
}

// raw measures what one would write without a ledger: one message for each event, on the subject of its
// customer, with the sequence that the subject is expected to stand at.
func (s *appendStores) raw(clients int) func(context.Context, time.Duration) (float64, error) {
	js := s.path.server.JetStream()
	subjects := max(clients, s.customers)
	turns := newTurns(subjects, clients)
	lasts := make([]uint64, subjects) // owned by the one client whose turn the subject is
	return func(ctx context.Context, limit time.Duration) (float64, error) {
		load, err := drive(ctx, clients, limit, func(ctx context.Context, client int) error {
			n := turns.take(client)
			m := nats.NewMsg("raw." + strconv.Itoa(clients) + "." + strconv.Itoa(n))
			m.Data = s.payload
			ack, err := js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(lasts[n]))
			if err != nil {
				return err
			}
			lasts[n] = ack.Sequence
			return nil
		})
		return load.perSecond(), err
	}
}

// bare measures the limit of the design: a loop that gathers what waits and publishes it as one message
// with the expected sequence. There is no JSON, no rule and no hash.
func (s *appendStores) bare(clients int) func(context.Context, time.Duration) (float64, error) {
	js := s.path.server.JetStream()
	return func(ctx context.Context, limit time.Duration) (float64, error) {
		stream, err := js.Stream(ctx, bareStream)
		if err != nil {
			return 0, err
		}
		last := stream.CachedInfo().State.LastSeq
		return s.grouped(ctx, clients, limit, func(group []byte) error {
			m := nats.NewMsg("bare")
			m.Data = group
			ack, err := js.PublishMsg(ctx, m, jetstream.WithExpectLastSequence(last), jetstream.WithExpectStream(bareStream))
			if err == nil {
				last = ack.Sequence
			}
			return err
		})
	}
}

// groupSync measures the physical limit: a file that grows by what waits, synced once a group.
func (s *appendStores) groupSync(writers int) func(context.Context, time.Duration) (float64, error) {
	return func(ctx context.Context, limit time.Duration) (float64, error) {
		return s.grouped(ctx, writers, limit, func(group []byte) error {
			_, err := s.file.Write(group)
			return errors.Join(err, syncData(s.file))
		})
	}
}

// waiting is one client's payload in a baseline's queue.
type benchWaiting struct {
	payload []byte
	done    chan error
}

// grouped gathers what clients hand in while the group before is written, as the ledger's writer does.
func (s *appendStores) grouped(ctx context.Context, clients int, limit time.Duration, write func(group []byte) error) (float64, error) {
	queue := make(chan benchWaiting, eventstore.DefaultQueue)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var group []byte
		var waiting []benchWaiting
		for first := range queue {
			group, waiting = append(group[:0], first.payload...), append(waiting[:0], first)
			for len(waiting) < eventstore.DefaultGroup && len(queue) > 0 {
				next := <-queue
				group, waiting = append(group, next.payload...), append(waiting, next)
			}
			err := write(group)
			for _, w := range waiting {
				w.done <- err
			}
		}
	}()
	load, err := drive(ctx, clients, limit, func(_ context.Context, _ int) error {
		w := benchWaiting{payload: s.payload, done: make(chan error, 1)}
		queue <- w
		return <-w.done
	})
	close(queue)
	<-ended
	return load.perSecond(), err
}

// singleSync measures how long one append with its sync takes.
func (s *appendStores) singleSync() benchLane {
	return benchLane{gives: []string{"sync p99"}, run: func(ctx context.Context, limit time.Duration) (benchFigures, error) {
		load, err := drive(ctx, 1, limit, func(context.Context, int) error {
			_, err := s.file.Write(s.payload)
			return errors.Join(err, syncData(s.file))
		})
		if err != nil {
			return nil, err
		}
		return benchFigures{"sync p99": load.percentile(0.99)}, nil
	}}
}
