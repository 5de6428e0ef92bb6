package eventstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// raw is a record as it came from the server, not yet checked.
type raw struct {
	sequence uint64
	data     []byte
}

// A fetcher reads runs of records in batches: one request, many answers. It
// keeps one subscription for its life and is used by one goroutine.
type fetcher struct {
	log   *Log
	inbox string
	sub   *nats.Subscription
	batch uint64
}

func (l *Log) newFetcher() (*fetcher, error) {
	inbox := l.js.Conn().NewInbox()
	sub, err := l.js.Conn().SubscribeSync(inbox + ".*")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", unavailable(err))
	}
	// Answers are bounded by what is asked for, not by the client's default.
	_ = sub.SetPendingLimits(-1, -1)
	return &fetcher{log: l, inbox: inbox, sub: sub}, nil
}

func (f *fetcher) close() { _ = f.sub.Unsubscribe() }

// fetch returns the next records from first on, at least one and none beyond
// last, which is known to be stored. A record the batch does not deliver is
// asked for by itself, so the answer for it is definite: an *IntegrityError
// when it is missing or unreadable, ErrUnavailable when nobody could be asked.
func (f *fetcher) fetch(ctx context.Context, first, last uint64) ([]raw, error) {
	got, err := f.request(ctx, first, last)
	if len(got) > 0 || ctx.Err() != nil {
		return got, ctx.Err()
	}
	if errors.Is(err, nats.ErrBadSubscription) || errors.Is(err, nats.ErrConnectionClosed) {
		return nil, fmt.Errorf("read the ledger: %w", unavailable(err))
	}
	data, err := f.log.message(ctx, first)
	if err != nil {
		return nil, err
	}
	return []raw{{first, data}}, nil
}

// request asks whichever replica answers for one batch, and returns the part of
// the answer that has no gap. A replica may lag behind and return less. In a
// cluster the one asked may hang, so while nothing has come it is asked again,
// which may be another one; the first to answer is listened to.
func (f *fetcher) request(ctx context.Context, first, last uint64) ([]raw, error) {
	f.batch++
	prefix := f.inbox + "." + strconv.FormatUint(f.batch, 10) + "-"
	want := min(last-first+1, batchRecords)
	ask := fmt.Appendf(nil, `{"seq":%d,"batch":%d,"max_bytes":%d}`, first, want, batchBytes)
	asked := 0
	again := func() error {
		asked++
		return f.log.js.Conn().PublishRequest(f.log.prefix+"DIRECT.GET."+f.log.opts.Stream, prefix+strconv.Itoa(asked), ask)
	}
	if err := again(); err != nil {
		return nil, err
	}
	for f.log.hung.lately() && asked < batchAsked-1 {
		if err := again(); err != nil {
			return nil, err
		}
	}
	got := make([]raw, 0, min(want, 64))
	from := "" // the answer that is listened to
	for uint64(len(got)) < want {
		// The wait is bounded, because a server that can not read a record may end
		// a batch without a word.
		patience, hopeful := f.log.replicaTimeout(), from == "" && f.log.opts.Shared && asked < batchAsked
		if hopeful {
			patience = min(patience, askReplicaAgain)
		}
		waiting, cancel := context.WithTimeout(ctx, patience)
		m, err := f.sub.NextMsgWithContext(waiting)
		cancel()
		switch {
		case err != nil && hopeful && waiting.Err() != nil && ctx.Err() == nil:
			f.log.hung.note()
			if err := again(); err != nil {
				return got, err
			}
			continue
		case err != nil:
			return got, err
		case !strings.HasPrefix(m.Subject, prefix), from != "" && m.Subject != from:
			continue // a late answer to a batch that was given up, or one too many
		}
		from = m.Subject
		// A status says that the batch ended, or that nobody had it.
		sequence, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil || sequence != first+uint64(len(got)) {
			return got, err
		}
		got = append(got, raw{sequence, m.Data})
	}
	return got, nil
}

// decoded is a record of a batch, before the chain is checked.
type decoded struct {
	Stored
	err error
}

// decode hashes and decodes a batch on all cores: that costs most of the time of
// a replay, and records can be decoded in any order.
func decode(batch []raw, with decoder) []decoded {
	records := make([]decoded, len(batch))
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < len(batch); i = int(next.Add(1)) - 1 {
			d := &records[i]
			d.Stored = Stored{Sequence: batch[i].sequence, Hash: HashOf(batch[i].data), Bytes: batch[i].data}
			d.Record, d.outline, d.err = with(batch[i].data)
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(batch)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return records
}
