package eventstore

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// The errors of this package. Compare with errors.Is; the text is for people
// and may change.
var (
	// ErrConflict says that another writer stored a record first, so the
	// expected head is no longer the head. Nothing was written. The Writer
	// resolves conflicts itself; only callers of Log.Append see it.
	ErrConflict = errors.New("another writer appended first: read what it stored, decide again, then retry")

	// ErrOutcomeUnknown says that an append was sent and nobody answered in
	// time: it may or may not be stored. Sending the same command id again
	// later gives the recorded outcome or decides the command once.
	ErrOutcomeUnknown = errors.New("the outcome is unknown: send the same command id again to learn it")

	// ErrIntegrity says that the ledger is not what was written: something is
	// missing, changed, foreign or unreadable. Every IntegrityError matches it.
	ErrIntegrity = errors.New("the ledger failed its integrity check: do not write, verify it and restore it from a copy")

	// ErrNotFound says that there is no such record or command.
	ErrNotFound = errors.New("not found in the ledger")

	// ErrBusy says that the writer's queue is full. Nothing was written.
	ErrBusy = errors.New("the writer is busy: nothing was written, try again later")

	// ErrUnavailable says that the log cannot be reached, or that the writer
	// is not started, is closed, or is still resolving an earlier append.
	// Nothing was written.
	ErrUnavailable = errors.New("the ledger is unavailable: nothing was written, try again later")

	// ErrClock says that the clock of this machine cannot be right. Nothing was
	// written. Every ClockError matches it, and ErrUnavailable too.
	ErrClock = errors.New("the clock of this machine cannot be right: nothing was written, set the clock")

	// ErrNotWritten says that the submitter gave up before its command was
	// taken into a group. Nothing was written and nothing will be.
	ErrNotWritten = errors.New("gave up waiting: nothing was written")

	// ErrCommandIDReused says that the command id is recorded with other
	// content. Nothing was written; a new command needs a new id.
	ErrCommandIDReused = errors.New("the command id was used before with other content: use a new id")

	// ErrTooLarge says that a command, or a record, exceeds a limit of
	// limits.go. Nothing was written.
	ErrTooLarge = errors.New("too large: nothing was written, send less")

	// ErrInvalid says that a submission or a record is malformed. Nothing was
	// written.
	ErrInvalid = errors.New("invalid: nothing was written")

	// ErrReplicas says that the stream has another number of replicas than was
	// asked for. Nothing was written.
	ErrReplicas = errors.New("the stream does not have the number of replicas that was asked for")

	// ErrNotEmpty says that an import was refused because the ledger already
	// holds records.
	ErrNotEmpty = errors.New("the ledger is not empty: import into a new data directory")

	// ErrNoLedger says that a directory or a stream holds no ledger, and that
	// none was to be founded. Nothing was changed.
	ErrNoLedger = errors.New("there is no ledger")

	// ErrFoundingUnfinished says that a ledger was being founded and has no
	// first record for certain. Founding it again finishes that.
	ErrFoundingUnfinished = errors.New("the founding of this ledger did not finish")

	// ErrImportUnfinished says that an import into this ledger was started
	// and did not end. Importing the same file again continues it; otherwise
	// remove the data directory and start over.
	ErrImportUnfinished = errors.New("an import into this ledger did not finish: import the same file again")
)

// JoinError says that a directory is of no node, or of a node of another
// ledger, and was not told to join the ledger it met. Nothing was changed.
type JoinError struct {
	// Ledger is the ledger that is there.
	Ledger uuid.UUID
	// Asked is the ledger that was to be joined, uuid.Nil when none was named.
	Asked uuid.UUID
	// Own says that Ledger is the directory's own and not only the stream's.
	Own bool
}

// Error names the ledgers.
func (e *JoinError) Error() string {
	switch {
	case e.Own:
		return fmt.Sprintf("the directory belongs to ledger %s, not to %s", e.Ledger, e.Asked)
	case e.Asked != uuid.Nil:
		return fmt.Sprintf("the stream holds ledger %s, not %s", e.Ledger, e.Asked)
	}
	return fmt.Sprintf("the stream holds ledger %s, which this directory has not joined", e.Ledger)
}

// IntegrityError says where the ledger is not what was written, and why.
type IntegrityError struct {
	// Position is the position of the first event that can not be trusted:
	// one more than the last position known to be good.
	Position uint64
	// Sequence is the sequence of the record at fault, 0 when it is the
	// ledger as a whole (identity, stream).
	Sequence uint64
	// Reason says in a sentence what was found.
	Reason string
}

// Error gives the place and the reason.
func (e *IntegrityError) Error() string {
	if e.Sequence == 0 {
		return "integrity failure: " + e.Reason
	}
	return fmt.Sprintf("integrity failure at record %d, position %d: %s", e.Sequence, e.Position, e.Reason)
}

// Is reports that every IntegrityError is an ErrIntegrity.
func (e *IntegrityError) Is(target error) bool { return target == ErrIntegrity }
