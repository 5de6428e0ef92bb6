package eventstore

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A watcher rings the log's bell when somebody else appends. It is only a
// doorbell: followers fetch the records themselves, with all checks. A notice
// that is lost costs time, never a record, because the head of the stream is
// asked for every pollInterval as well; that also finds a stream that has been
// cut short or has gone.
type watcher struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startWatch starts the watcher when there is none yet.
func (l *Log) startWatch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watch != nil || l.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{cancel: cancel}
	l.watch = w
	w.done.Go(func() { l.poll(ctx) })
	if l.opts.Shared {
		w.done.Go(func() { l.listen(ctx) })
	}
}

func (w *watcher) stop() {
	w.cancel()
	w.done.Wait()
}

// Grown returns once a record after a sequence is known to be stored. It reads
// nothing, so it is for readers that take many records at a time. It ends early
// with an *IntegrityError or the error of the context.
func (l *Log) Grown(ctx context.Context, sequence uint64) error {
	l.startWatch()
	for {
		bell := l.waiting()
		if err := l.Err(); err != nil {
			return err
		}
		if l.known.Load() > sequence {
			return nil
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// poll compares the head of the stream with what is known of it. What it finds
// wakes the followers: last keeps an integrity failure, which they look for.
func (l *Log) poll(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, err := l.last(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("the head of the ledger could not be read", "error", err)
		}
	}
}

// listen keeps a consumer on the server that sends the headers of each new
// record, and replaces it when it falls silent.
func (l *Log) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.listenOnce(ctx); err != nil && ctx.Err() == nil {
			l.log.Debug("the watch on the ledger is set up again", "error", err)
			_ = sleep(ctx, confirmWait)
		}
	}
}

func (l *Log) listenOnce(ctx context.Context) error {
	notices := make(chan *nats.Msg, 1024)
	inbox := l.js.Conn().NewInbox()
	sub, err := l.js.Conn().ChanSubscribe(inbox, notices)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	consumer, err := l.js.CreatePushConsumer(ctx, l.opts.Stream, jetstream.ConsumerConfig{
		DeliverSubject:    inbox,
		DeliverPolicy:     jetstream.DeliverNewPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		HeadersOnly:       true,
		MemoryStorage:     true,
		Replicas:          1,
		IdleHeartbeat:     pollInterval,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return err
	}
	defer func() {
		// The server forgets the consumer by itself; this is only tidy.
		name := consumer.CachedInfo().Name
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = l.js.DeleteConsumer(cleanup, l.opts.Stream, name)
	}()
	// What was stored before the consumer existed is known from here on.
	if _, err := l.last(ctx); err != nil {
		return err
	}
	silence := time.NewTimer(3 * pollInterval)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-silence.C:
			return nats.ErrTimeout
		case m := <-notices:
			silence.Reset(3 * pollInterval)
			l.ring(noticed(m))
		}
	}
}

// noticed returns the stream sequence a notice tells of, 0 when it tells none.
func noticed(m *nats.Msg) uint64 {
	if meta, err := m.Metadata(); err == nil {
		return meta.Sequence.Stream
	}
	n, _ := strconv.ParseUint(m.Header.Get("Nats-Last-Stream"), 10, 64)
	return n
}
