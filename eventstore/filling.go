package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// filling sends the records of an import without waiting for the answer to each
// before the next. Between writers that would be wrong: after a foreign record
// the later ones of a window could be stored behind a hole. Here nothing else
// writes, because the server is this process's own or the stream is under a subject
// that nobody uses; each answer must name the sequence of its record, and a ledger
// whose import did not end without an error is never written.
type filling struct {
	log   *Log
	sent  []sentRecord // not yet answered, in order
	bytes int          // of those
}

// sentRecord is a record on its way.
type sentRecord struct {
	answer jetstream.PubAckFuture
	cursor Cursor
	bytes  int
}

// put sends a record, and first waits for others where too much is on its way.
func (f *filling) put(ctx context.Context, s *Stored) error {
	for len(f.sent) > 0 && (len(f.sent) >= windowRecords || f.bytes+len(s.Bytes) > windowBytes) {
		if err := f.settle(ctx); err != nil {
			return err
		}
	}
	m := nats.NewMsg(f.log.opts.Subject)
	m.Data = s.Bytes
	answer, err := f.log.js.PublishMsgAsync(m,
		jetstream.WithExpectLastSequence(s.Sequence-1), jetstream.WithExpectStream(f.log.opts.Stream))
	if err != nil {
		return fmt.Errorf("import record %d: %w", s.Sequence, err)
	}
	f.sent = append(f.sent, sentRecord{answer, s.Cursor(), len(s.Bytes)})
	f.bytes += len(s.Bytes)
	return nil
}

// settle waits for the answer to the oldest record.
func (f *filling) settle(ctx context.Context) error {
	oldest := f.sent[0]
	f.sent, f.bytes = f.sent[1:], f.bytes-oldest.bytes
	ctx, cancel := context.WithTimeout(ctx, f.log.opts.AppendTimeout)
	defer cancel()
	var err error
	select {
	case ack := <-oldest.answer.Ok():
		if ack.Stream == f.log.opts.Stream && ack.Sequence == oldest.cursor.Sequence && !ack.Duplicate {
			f.log.took(oldest.cursor)
			return nil
		}
		err = fmt.Errorf("the server stored it as record %d of %s", ack.Sequence, ack.Stream)
	case err = <-oldest.answer.Err():
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	return fmt.Errorf("import record %d: %w", oldest.cursor.Sequence, err)
}

// drain waits until all records are answered and returns the first error.
func (f *filling) drain(ctx context.Context) error {
	var errs []error
	for len(f.sent) > 0 {
		errs = append(errs, f.settle(ctx))
	}
	return errors.Join(errs...)
}
