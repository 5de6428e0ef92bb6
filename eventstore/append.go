package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Append stores the bytes of a record directly after expected, and returns the
// cursor of the stored record. It returns only when it knows, or can not know:
//
//   - nil: the record is stored, and durably so.
//   - ErrConflict: another record follows expected. This one is not stored and
//     never will be.
//   - ErrUnavailable, ErrTooLarge, ErrInvalid: it was not stored and never
//     will be. A *DoubtError is an ErrUnavailable.
//   - ErrOutcomeUnknown: it may be stored, or may still be. Settle tells.
//   - an *IntegrityError: the ledger is damaged.
//
// An acknowledgement that does not come is no answer. Then the leader is asked
// for its last sequence: when something follows expected, its bytes tell
// whether it is this record. When nothing does, the same bytes are sent again
// behind the same fence, of which at most one can be stored.
func (l *Log) Append(ctx context.Context, expected Cursor, record []byte) (Cursor, error) {
	r, err := l.appendable(expected, record)
	if err != nil {
		return Cursor{}, err
	}
	stored, err := l.append(ctx, expected, record, r.Last(), r.Time)
	if err == nil {
		l.took(stored)
	}
	return stored, err
}

// appendable checks what can be checked of a record before it is sent.
func (l *Log) appendable(expected Cursor, record []byte) (*Record, error) {
	if len(record) > l.largest {
		return nil, fmt.Errorf("a record of %d bytes, at most %d: %w", len(record), l.largest, ErrTooLarge)
	}
	c := l.chain(expected)
	s, err := c.next(expected.Sequence+1, record)
	if err != nil {
		// The record given is at fault, not the ledger: not an IntegrityError.
		return nil, fmt.Errorf("append: %w: %s", ErrInvalid, err.Error())
	}
	return &s.Record, nil
}

// append stores a record that has been checked, with its last position and its
// time. The head mark is the caller's to move.
func (l *Log) append(ctx context.Context, expected Cursor, record []byte, last uint64, at time.Time) (Cursor, error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.writable(); err != nil {
		return Cursor{}, err
	}
	if at.Before(expected.Time) || last < expected.Position { // whoever made it did not know what it follows
		return Cursor{}, fmt.Errorf("a record of %s up to position %d after one of %s and position %d: %w", at, last, expected.Time, expected.Position, ErrInvalid)
	}
	return l.put(ctx, expected, record, last, at)
}

// writable says why nothing can be appended, nil when it can.
func (l *Log) writable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failure != nil:
		return l.failure
	case l.closed:
		return fmt.Errorf("the ledger is closed: %w", ErrUnavailable)
	case l.id == nil:
		return fmt.Errorf("the ledger has no first record: %w", ErrInvalid)
	case l.id.Stage == stageImporting:
		return ErrImportUnfinished
	}
	return nil
}

// put stores a record and resolves what it can. The lock is held.
func (l *Log) put(ctx context.Context, expected Cursor, record []byte, position uint64, at time.Time) (Cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.AppendTimeout)
	defer cancel()
	stored := Cursor{Sequence: expected.Sequence + 1, Position: position, Time: at}
	// The hash is needed once the record is stored, and another core may have time for it.
	var hashing sync.WaitGroup
	hashing.Go(func() { stored.Hash = HashOf(record) })
	defer hashing.Wait()

	// inFlight says that a send may have reached the server without an answer.
	// From then on only the log itself can tell what became of the record.
	inFlight := false
	wait, patience := 10*time.Millisecond, l.firstPatience(record)
	for {
		sent := l.publish(ctx, expected.Sequence, record, patience)
		patience = min(2*patience, l.opts.AppendTimeout/4)
		switch sent.result {
		case sendStored:
			l.heard(&l.writing, true)
			if sent.sequence != stored.Sequence {
				return Cursor{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, l.fail(&IntegrityError{
					Position: expected.Position + 1, Sequence: stored.Sequence,
					Reason: fmt.Sprintf("the server stored it as record %d", sent.sequence),
				}))
			}
			hashing.Wait()
			return stored, nil
		case sendUnknown:
			inFlight = true
		case sendImpossible:
			if !inFlight {
				return Cursor{}, sent.err
			}
		case sendRefused, sendNobody:
		}

		found, err := l.glance(ctx, expected, record)
		// A refusal while nothing is there is none: a leader without the others
		// refuses what it has taken itself and cannot store.
		l.heard(&l.writing, err == nil && found != placeEmpty)
		err = l.fail(err)
		_, doubted := errors.AsType[*DoubtError](err)
		switch {
		case (doubted || errors.Is(err, ErrIntegrity)) && inFlight:
			return Cursor{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		case doubted || errors.Is(err, ErrIntegrity):
			return Cursor{}, err
		case err != nil: // the server can not be asked
		case found == placeOurs:
			hashing.Wait()
			return stored, nil
		case found == placeForeign:
			return Cursor{}, ErrConflict
		}
		if sleep(ctx, wait) != nil {
			if inFlight {
				return Cursor{}, fmt.Errorf("append record %d: %w (%s)", stored.Sequence, ErrOutcomeUnknown, sent.err.Error())
			}
			return Cursor{}, fmt.Errorf("append record %d: %w (%s)", stored.Sequence, ErrUnavailable, sent.err.Error())
		}
		wait = min(2*wait, longestRetry)
	}
}

// firstPatience is how long the first send of a record waits for its answer. A
// message lost on its way is then found while there is time to send it again. A
// cluster loses messages whenever its leader changes, so it is given less.
func (l *Log) firstPatience(record []byte) time.Duration {
	if !l.opts.Shared {
		return l.opts.AppendTimeout / 4
	}
	return min(firstSend+time.Duration(len(record))*time.Microsecond/10, l.opts.AppendTimeout/4)
}

// glance is look, given up early enough to send the record again.
func (l *Log) glance(ctx context.Context, expected Cursor, record []byte) (place, error) {
	if l.opts.Shared {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.opts.AppendTimeout/4)
		defer cancel()
	}
	return l.look(ctx, expected, record)
}

// took notes a stored record. A mark that can not be written weakens only the
// search for a truncated tail, so the append stands.
func (l *Log) took(c Cursor) {
	if err := l.note(c); err != nil {
		l.log.Warn("the head mark could not be written", "error", err)
	}
}

type sendResult int

const (
	sendUnknown    sendResult = iota // no answer, or one that says nothing
	sendStored                       // acknowledged
	sendRefused                      // this send was refused by the fence
	sendNobody                       // this send reached no server
	sendImpossible                   // this send can never succeed
)

type sending struct {
	result   sendResult
	sequence uint64
	err      error
}

// publish sends a record once, behind its fence, and sorts the answer. Only
// what is certain about this one send is reported as certain.
func (l *Log) publish(ctx context.Context, last uint64, record []byte, patience time.Duration) sending {
	if !l.line.Up() {
		return sending{result: sendNobody, err: errNoServer}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := nats.NewMsg(l.opts.Subject)
	m.Data = record
	ack, err := l.js.PublishMsg(ctx, m,
		jetstream.WithExpectLastSequence(last), jetstream.WithExpectStream(l.opts.Stream), jetstream.WithRetryAttempts(0))
	if err == nil {
		if ack.Stream != l.opts.Stream || ack.Duplicate {
			return sending{result: sendUnknown, err: fmt.Errorf("the acknowledgement is of stream %q", ack.Stream)}
		}
		return sending{result: sendStored, sequence: ack.Sequence}
	}
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused):
		switch refused.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return sending{result: sendRefused, err: err}
		case codeTooLarge:
			return sending{result: sendImpossible, err: fmt.Errorf("%w: %w", ErrTooLarge, err)}
		}
		// Anything else may be said after the record was proposed to a
		// cluster, or while a disk fails; only the log knows.
		return sending{result: sendUnknown, err: err}
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return sending{result: sendNobody, err: err}
	case errors.Is(err, nats.ErrMaxPayload):
		return sending{result: sendImpossible, err: fmt.Errorf("%w: %w", ErrTooLarge, err)}
	case errors.Is(err, nats.ErrConnectionDraining), errors.Is(err, nats.ErrReconnectBufExceeded):
		return sending{result: sendNobody, err: err} // said before anything is sent
	}
	// A connection that is closed says so to requests under way as well.
	return sending{result: sendUnknown, err: err}
}

// codeTooLarge is the server's "message size exceeds maximum allowed".
const codeTooLarge jetstream.ErrorCode = 10054

// place says what follows a cursor.
type place int

const (
	placeEmpty place = iota
	placeOurs
	placeForeign
)

// look asks the stream's leader what follows expected. The last sequence is
// asked for first: it counts only what was written and synced completely,
// while a record whose sync failed can still be read back.
func (l *Log) look(ctx context.Context, expected Cursor, record []byte) (place, error) {
	last, err := l.last(ctx)
	if err != nil || last <= expected.Sequence {
		return placeEmpty, err
	}
	b, err := l.message(ctx, expected.Sequence+1)
	if err != nil {
		return placeEmpty, err
	}
	if bytes.Equal(b, record) {
		return placeOurs, nil
	}
	return placeForeign, nil
}

// Settle finds out, for good, what became of a record whose Append returned
// ErrOutcomeUnknown, and reports whether it is stored. When nothing follows
// expected yet, a record without commands is stored there, so that the fence
// refuses the record should it still be on its way. It returns
// ErrOutcomeUnknown or ErrUnavailable while that can not be done.
func (l *Log) Settle(ctx context.Context, expected Cursor, record []byte) (stored bool, err error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.writable(); err != nil {
		return false, err
	}
	found, err := l.look(ctx, expected, record)
	if err != nil {
		return false, l.fail(err)
	}
	if found == placeEmpty {
		barrier := l.barrier(expected)
		end, err := l.put(ctx, expected, AppendRecord(nil, &barrier), barrier.Last(), barrier.Time)
		if err == nil {
			l.took(end)
			return false, nil
		}
		if !errors.Is(err, ErrConflict) {
			return false, err
		}
		if found, err = l.look(ctx, expected, record); err != nil {
			return false, l.fail(err)
		}
	}
	return found == placeOurs, nil
}

// barrier is a record without commands behind a cursor. Storing it takes what
// storing any record takes, and changes nothing. It has the time of the record
// before it while the clock is in doubt: nobody's clock is needed to end a doubt.
func (l *Log) barrier(at Cursor) Record {
	ledger, _, _ := l.Ledger()
	now, err := l.clock.next(at.Time)
	if err != nil {
		now = at.Time
	}
	return Record{Version: RecordVersion, Ledger: ledger, First: at.Position + 1, Time: now, Previous: at.Hash, Commands: []Command{}}
}

// EnsureGenesis stores the first record of a new ledger, which gives it a
// random id; a ledger that has one keeps it. It is ErrNoLedger where
// Options.Found does not allow it. When two nodes do this at once, the fence
// lets one win; the other gets a *JoinError that names the winner's ledger.
func (l *Log) EnsureGenesis(ctx context.Context) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	id := l.id
	l.mu.Unlock()
	if id != nil {
		if id.Stage == stageImporting {
			return ErrImportUnfinished
		}
		return nil
	}
	if !l.opts.Found {
		return l.nothing("empty")
	}
	ledger, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("create the ledger: %w", err)
	}
	at, err := l.clock.next(time.Time{})
	if err != nil {
		return fmt.Errorf("create the ledger: %w", err)
	}
	genesis := Record{Version: RecordVersion, Ledger: ledger, First: 1, Time: at, Commands: []Command{}}
	b := AppendRecord(nil, &genesis)
	creating := &identity{Version: 1, Stream: l.opts.Stream, Ledger: ledger, Genesis: HashOf(b), Stage: stageCreating}
	if err := creating.write(l.opts.Dir); err != nil {
		return err
	}
	_, err = l.put(ctx, Cursor{}, b, genesis.Last(), genesis.Time)
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("create the ledger: %w", err)
	}
	first, err := l.genesis(ctx)
	if err != nil {
		return l.fail(err)
	}
	if l.opts.Shared && first.Hash != creating.Genesis {
		// Nothing of this directory's own is stored, and never will be.
		return errors.Join(l.joinError(first.Record.Ledger), removeIdentity(l.opts.Dir))
	}
	if err := l.identify(&first, stageCreated); err != nil {
		return err
	}
	return l.note(first.Cursor())
}
