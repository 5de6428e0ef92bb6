package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// proof is of a log that is sound.
type proof struct {
	last     uint64    // record
	created  time.Time // of the stream
	replaced bool      // it is not the stream that was there before
	rechecks int       // how many checks of others passed besides
}

// prove looks at a log that something spoke against as if nothing were known
// but its head, and changes nothing. A doubt is about a place: the records from
// there to the head have to lead to the head's hash, which proves them. After
// damage, or when the stream is another one, all records are read.
func (l *Log) prove(ctx context.Context) (proof, error) {
	l.mu.Lock()
	head, failure, again, created := l.head, l.failure, l.again, l.created
	l.mu.Unlock()
	s := l.inspector()
	info, err := s.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return proof{}, l.gone()
	}
	if err != nil {
		return proof{}, err
	}
	p := proof{last: info.State.LastSeq, created: info.Created, replaced: l.opts.Shared && !info.Created.Equal(created), rechecks: len(again)}
	err = s.checkConfig(&info.Config)
	if err == nil {
		needed := l.known.Load()
		if p.replaced {
			needed = head.Sequence
		}
		err = s.reaches(&info.State, needed)
	}
	if err == nil {
		s.known.Store(p.last)
		doubt, doubted := errors.AsType[*DoubtError](failure)
		from := Cursor{}
		if doubted && !p.replaced {
			from, err = s.before(ctx, doubt.Finding.Sequence, head)
		}
		if err == nil {
			err = s.leads(ctx, from, head)
		}
	}
	for _, recheck := range again {
		if err == nil {
			err = recheck(ctx, s)
		}
	}
	if _, found := errors.AsType[*IntegrityError](err); found {
		return p, l.backed(ctx, err)
	}
	return p, err
}

// inspector returns a log that reads the same stream and finds nothing out for
// anybody but its caller.
func (l *Log) inspector() *Log {
	s := &Log{
		js: l.js, opts: l.opts, prefix: l.prefix, log: l.log, mark: l.mark, largest: l.largest,
		line: l.line, clock: l.clock, life: l.life, bell: make(chan struct{}), inspecting: true,
	}
	l.mu.Lock()
	s.id, s.head = l.id, l.head
	l.mu.Unlock()
	return s
}

// gone is the failure of a ledger without its stream.
func (l *Log) gone() *IntegrityError {
	return &IntegrityError{Reason: fmt.Sprintf("stream %s is gone", l.opts.Stream)}
}

// reaches checks that the server counts as many records as are known, and none
// missing.
func (l *Log) reaches(state *jetstream.StreamState, needed uint64) error {
	if state.LastSeq < needed {
		return l.shorter(state.LastSeq, needed)
	}
	return counted(state, Cursor{})
}

// counted checks that the server misses none of the records it counts.
func counted(state *jetstream.StreamState, at Cursor) error {
	if state.LastSeq > 0 && (state.FirstSeq != 1 || state.Msgs != state.LastSeq || state.NumDeleted > 0) {
		return &IntegrityError{
			Position: at.Position + 1, Sequence: at.Sequence,
			Reason: fmt.Sprintf("the server counts %d records from %d to %d", state.Msgs, state.FirstSeq, state.LastSeq),
		}
	}
	return nil
}

// before returns the cursor from which on records are in doubt: the one before
// the place, or the head where that comes earlier. What it says of a record is
// true only if its records lead to the head.
func (l *Log) before(ctx context.Context, place uint64, head Cursor) (Cursor, error) {
	switch {
	case place == 0 || place > head.Sequence:
		return head, nil
	case place == 1:
		return Cursor{}, nil
	}
	s, err := l.Get(ctx, place-1)
	if err != nil {
		return Cursor{}, err
	}
	return s.Cursor(), nil
}

// leads checks the records from a cursor on, and that the head is among them.
func (l *Log) leads(ctx context.Context, from, head Cursor) error {
	at := from
	for s, err := range l.Outlines(ctx, from) {
		if err != nil {
			return err
		}
		at = s.Cursor()
		if at.Sequence == head.Sequence && at.Hash != head.Hash {
			return &IntegrityError{
				Position: s.Record.First, Sequence: s.Sequence,
				Reason: fmt.Sprintf("it has hash %s, but it was stored with hash %s", s.Hash, head.Hash),
			}
		}
	}
	if at.Sequence < head.Sequence {
		return l.shorter(at.Sequence, head.Sequence)
	}
	return nil
}
