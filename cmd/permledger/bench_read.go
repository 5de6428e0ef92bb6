package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/projections"
)

// readSuite measures passes over the large log: those that check it and fold it, beside those that only
// fetch or decode it. A pass that the time does not suffice for counts as far as it came.
var readSuite = benchSuite{
	name: "reading the log",
	measures: []benchMeasure{
		{"verify: sequence and chain", perEvent, "verify", "raw JetStream fetch and SHA-256", "fetch", ratioAtLeast(0.7)},
		{"fold of the decision state from the log", perEvent, "fold", "decoding the same records and doing nothing", "decode", ratioAtLeast(0.6)},
	},
	open: func(ctx context.Context, b *bench) ([]benchLane, func() error, error) {
		large, err := b.largeLog(ctx)
		if err != nil {
			return nil, nil, err
		}
		store, err := openBenchStore(ctx, large.dir, false)
		if err != nil {
			return nil, nil, err
		}
		r := &benchReading{large, store}
		return []benchLane{
			lane("verify", r.timed(r.verify)), lane("fetch", r.timed(r.fetch)), lane("fold", r.timed(r.fold)), lane("decode", r.timed(r.decode)),
		}, store.close, nil
	},
}

type benchReading struct {
	large *benchLarge
	store *benchStore
}

// timed runs a pass until it ends or the time is over, and gives events per second. The pass says how many
// records it has done.
func (r *benchReading) timed(pass func(ctx context.Context, done func(records uint64)) error) func(context.Context, time.Duration) (float64, error) {
	return func(ctx context.Context, limit time.Duration) (float64, error) {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		began := time.Now()
		var records uint64
		var took time.Duration
		err := pass(limited, func(done uint64) { records, took = done, time.Since(began) })
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil && limited.Err() == nil:
			return 0, err
		case records < 2:
			return 0, fmt.Errorf("no record was read within %s: give more time with --limit", limit)
		default:
			return float64(r.large.lasts[records-1]) / took.Seconds(), nil
		}
	}
}

func (r *benchReading) verify(ctx context.Context, done func(uint64)) error {
	_, err := r.store.log.Verify(ctx, func(records, _ uint64) { done(records) })
	return err
}

// fold starts a writer, as every start without a snapshot does.
func (r *benchReading) fold(ctx context.Context, done func(uint64)) error {
	return startWriter(ctx, r.store.log, domain.NewBook(), eventstore.Cursor{}, r.large.head, func(records, _ uint64) { done(records) })
}

// startWriter starts a writer whose index knows all commands, and ends it again.
func startWriter(ctx context.Context, log *eventstore.Log, book *domain.Book, from, through eventstore.Cursor, progress func(done, total uint64)) error {
	w := eventstore.NewWriter(log, book, projections.Codec{}, benchIndex{through: through}, eventstore.WriterOptions{From: from, Progress: progress})
	return errors.Join(w.Start(ctx), w.Close())
}

// decode reads the records as a fold does, with its checks, and decodes them into the same types.
func (r *benchReading) decode(ctx context.Context, done func(uint64)) error {
	for s, err := range r.store.log.Read(ctx, eventstore.Cursor{}) {
		if err != nil {
			return err
		}
		position := s.Record.First
		for i := range s.Record.Commands {
			for _, e := range s.Record.Commands[i].Events {
				if _, err := (projections.Codec{}).Decode(e, position, s.Record.Time); err != nil {
					return err
				}
				position++
			}
		}
		done(s.Sequence)
	}
	return nil
}

const (
	fetchRecords = 1024
	fetchBytes   = 1 << 20
)

// fetch is the limit of reading: batches of messages as large as the ledger's own reads, and the hash of
// each. The next batch is on its way while one is hashed.
func (r *benchReading) fetch(ctx context.Context, done func(uint64)) error {
	conn := r.store.server.Conn()
	inbox := conn.NewInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection outlives it
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	batches := make(chan [][]byte, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(batches)
		for next := uint64(1); next <= r.large.head.Sequence; {
			batch, err := fetchBatch(ctx, conn, sub, inbox, next)
			if err != nil {
				failed <- err
				return
			}
			next += uint64(len(batch))
			select {
			case batches <- batch:
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
		failed <- nil
	}()
	records := uint64(0)
	for batch := range batches {
		for _, record := range batch {
			_ = sha256.Sum256(record)
			records++
		}
		done(records)
	}
	return <-failed
}

// fetchBatch asks for the messages from a sequence on and gives what one request brings.
func fetchBatch(ctx context.Context, conn *nats.Conn, sub *nats.Subscription, inbox string, first uint64) (batch [][]byte, err error) {
	ask := fmt.Appendf(nil, `{"seq":%d,"batch":%d,"max_bytes":%d}`, first, fetchRecords, fetchBytes)
	if err := conn.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+benchStream, inbox, ask); err != nil {
		return nil, err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		switch {
		case err != nil && len(batch) > 0: // the status that ends a batch
			return batch, nil
		case err != nil:
			return nil, fmt.Errorf("message %d: status %s", first, m.Header.Get("Status"))
		case sequence != first+uint64(len(batch)):
			return nil, fmt.Errorf("message %d came, %d was expected", sequence, first+uint64(len(batch)))
		}
		batch = append(batch, m.Data)
	}
}
