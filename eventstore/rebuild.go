package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"
)

// rebuildSuffix is added to the subject of a stream that is being made anew.
// Until it is complete no node takes it for the ledger's, because its subject is
// another, and nobody's records reach it.
const rebuildSuffix = ".rebuild"

// Rebuild replaces the stream of a ledger by one that holds only the records
// given, which are those that Sift has told from the rest. It deletes the stream
// that was sifted, and only that one. The new one gets the ledger's subject in
// one step, once it is complete and has been read again, so that other nodes see
// the whole ledger or none.
//
// A Rebuild that ended early is continued by another one with the same records.
func Rebuild(ctx context.Context, js jetstream.JetStream, opts Options, sifted Sifted, records iter.Seq2[[]byte, error], progress func(done uint64)) error {
	opts.AppendTimeout = max(opts.AppendTimeout, DefaultAppendTimeout)
	opts.Replicas = sifted.Replicas
	subject := opts.Subject
	opts.Subject += rebuildSuffix
	l := reader(js, opts)
	there, complete, err := l.makeRoom(ctx, subject, sifted)
	if err != nil || complete {
		return err
	}
	if err := l.refill(ctx, there, records, progress); err != nil {
		return err
	}
	state, err := l.state(ctx)
	if err == nil {
		err = counted(&state, sifted.Head)
	}
	if err == nil {
		err = l.endsWith(ctx, sifted.Head)
	}
	if err != nil {
		return fmt.Errorf("read what was built: %w", err)
	}
	finished := reader(js, Options{Stream: opts.Stream, Subject: subject, Replicas: opts.Replicas}).streamConfig()
	if _, err := js.UpdateStream(ctx, finished); err != nil {
		return fmt.Errorf("give the stream its subject: %w", unavailable(err))
	}
	return nil
}

// makeRoom removes the stream that was sifted and makes an empty one, or finds
// one that an earlier Rebuild has begun and says how many records it holds.
func (l *Log) makeRoom(ctx context.Context, subject string, sifted Sifted) (there uint64, complete bool, err error) {
	info, err := l.info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, false, l.createStream(ctx)
	case err != nil:
		return 0, false, err
	case len(info.Config.Subjects) == 1 && info.Config.Subjects[0] == l.opts.Subject:
		return info.State.LastSeq, false, nil
	case !info.Created.Equal(sifted.Created):
		finished := reader(l.js, Options{Stream: l.opts.Stream, Subject: subject, Timeout: l.opts.Timeout})
		return 0, true, finished.contains(ctx, sifted.Head)
	}
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	if err := l.js.DeleteStream(ctx, l.opts.Stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, false, fmt.Errorf("remove stream %s: %w", l.opts.Stream, unavailable(err))
	}
	return 0, false, l.createStream(ctx)
}

// refill stores the records that the stream does not hold yet, and compares the
// others.
func (l *Log) refill(ctx context.Context, there uint64, records iter.Seq2[[]byte, error], progress func(done uint64)) error {
	window := filling{log: l}
	defer window.drain(ctx) //nolint:errcheck // an error that ended it has been returned
	var c chain
	for b, err := range records {
		if err != nil {
			return err
		}
		s, err := c.next(c.at.Sequence+1, b)
		if err != nil {
			return err
		}
		if s.Sequence > there {
			err = window.put(ctx, &s)
		} else {
			var stored []byte
			if stored, err = l.message(ctx, s.Sequence); err == nil && !bytes.Equal(stored, b) {
				err = &IntegrityError{Position: s.Record.First, Sequence: s.Sequence, Reason: "it is not the record that was stored by an earlier attempt"}
			}
		}
		if err != nil {
			return err
		}
		if progress != nil {
			progress(s.Sequence)
		}
	}
	return window.drain(ctx)
}

// endsWith reads the whole log and checks that it ends with a record.
func (l *Log) endsWith(ctx context.Context, head Cursor) error {
	var at Cursor
	for s, err := range l.Outlines(ctx, Cursor{}) {
		if err != nil {
			return err
		}
		at = s.Cursor()
	}
	if at.Sequence != head.Sequence || at.Hash != head.Hash {
		return &IntegrityError{
			Position: at.Position + 1, Sequence: at.Sequence + 1,
			Reason: fmt.Sprintf("it ends with record %d and hash %s, not with record %d and hash %s", at.Sequence, at.Hash, head.Sequence, head.Hash),
		}
	}
	return nil
}

// contains checks that the stream is a whole ledger that holds a record.
func (l *Log) contains(ctx context.Context, head Cursor) error {
	if _, err := l.state(ctx); err != nil {
		return err
	}
	return l.leads(ctx, Cursor{}, head)
}
