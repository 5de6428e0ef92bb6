package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// A ledger begins on purpose only. What looks like nothing may be a ledger whose
// directory or stream was lost, and a new one in its place would have every
// permission off.

// admit decides, before anything is created, whether Open may go on with the
// directory as it is.
func (l *Log) admit(ctx context.Context) error {
	id, err := readIdentity(l.opts.Dir)
	if err != nil {
		return err
	}
	mark, err := peekMark(l.opts.Dir)
	if err != nil {
		return err
	}
	join := l.opts.Join
	switch {
	case id == nil && mark.Sequence > 0:
		return &IntegrityError{Reason: fmt.Sprintf("the identity file %s is missing, but the head mark knows a ledger of %d records", IdentityFile, mark.Sequence)}
	case l.opts.Found:
		return nil
	case id != nil && id.Stage == stageImporting:
		return ErrImportUnfinished
	case id != nil && id.Stage == stageCreating && join == uuid.Nil:
		return ErrFoundingUnfinished
	case id != nil && id.Stage == stageCreated:
		if join != uuid.Nil && join != id.Ledger {
			return &JoinError{Ledger: id.Ledger, Asked: join, Own: true}
		}
		return nil
	case join != uuid.Nil:
		return nil
	}
	return l.meet(ctx)
}

// meet says what a directory without an identity finds.
func (l *Log) meet(ctx context.Context) error {
	state, err := l.state(ctx)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return l.nothing("missing")
	case err != nil:
		return fmt.Errorf("open the ledger: %w", err)
	case state.LastSeq == 0:
		return l.nothing("empty")
	}
	return l.recognise(ctx, nil)
}

// may decides whether a directory without an identity, or with one that never
// got its first record, may take the ledger it found as its own.
func (l *Log) may(genesis *Stored, id *identity) error {
	founded := l.opts.Found && id != nil && id.Genesis == genesis.Hash
	if founded || l.opts.Join == genesis.Record.Ledger {
		return nil
	}
	return l.joinError(genesis.Record.Ledger)
}

func (l *Log) joinError(found uuid.UUID) *JoinError {
	return &JoinError{Ledger: found, Asked: l.opts.Join}
}

// nothing says that the stream is missing or empty.
func (l *Log) nothing(how string) error {
	if l.opts.Join != uuid.Nil {
		return fmt.Errorf("%w: stream %s is %s, so ledger %s cannot be joined", ErrNoLedger, l.opts.Stream, how, l.opts.Join)
	}
	return fmt.Errorf("%w: stream %s is %s", ErrNoLedger, l.opts.Stream, how)
}
