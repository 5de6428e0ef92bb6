package eventstore

import (
	"time"

	"github.com/google/uuid"
)

// Decider judges commands of type C and folds events of type E. The Writer
// calls it from one goroutine only.
//
// It keeps a current state, which is the fold of the log up to some position,
// and a pending state on top of it: the events of the group being decided and,
// below them, those of the group decided before while that is being stored.
type Decider[C, E any] interface {
	// Decide judges cmd on the pending state. The events it returns would get
	// the positions next, next+1 … and the time at. An error is a refusal:
	// nothing is recorded. Decide itself changes no state.
	Decide(cmd C, next uint64, at time.Time) ([]E, error)
	// Evolve folds one event into the pending state.
	Evolve(e E)
	// Seal ends the group being decided; what is decided next belongs to
	// another one. Never more than one sealed group waits for its Commit.
	Seal()
	// Commit makes the oldest pending group part of the current state, which
	// from now on is the fold of the log up to and including position head: the
	// sealed group, or the one being decided where none is sealed.
	Commit(head uint64)
	// Retract forgets the group being decided, and keeps the sealed one.
	Retract()
	// Discard forgets the pending state.
	Discard()
}

// Codec translates between a caller's events and stored ones. Encode is called
// from several goroutines at once.
type Codec[E any] interface {
	// Encode gives the stored form of an event. Its Data is one JSON value
	// without line ends.
	Encode(e E) (Event, error)
	// Decode gives the event back. It returns an error for a type or version
	// it does not know; the Writer then refuses to start.
	Decode(e Event, position uint64, at time.Time) (E, error)
}

// CommandKey is what makes a command the same: the tenant that sends it, as it
// is recorded, and the id the tenant gave it. Nobody uses up another tenant's ids.
type CommandKey struct {
	Tenant string
	ID     uuid.UUID
}

// Index knows in which record each command of the log is, up to Through. The
// Writer feeds it: before it takes any command it folds into the index whatever
// of the log that lacks, and every record from then on before it answers those
// whose commands are in it. So the index never lags behind the decisions.
//
// Through, Take and Newer are called from the Writer's goroutine alone, the
// others from any.
type Index interface {
	// Through is the last record taken in.
	Through() Cursor
	// Take takes in the commands of the record after Through. It does not wait
	// for a disk.
	Take(through Cursor, commands []CommandKey)
	// Find returns the sequences of the records that hold the command, the
	// oldest first. There may be others among them: whoever asks reads the
	// records. An error says that it is not known whether there are any. seen is
	// for Newer.
	Find(key CommandKey) (records []uint64, seen Seen, err error)
	// Newer returns what Find would find now in the records taken in since a
	// Find, and perhaps in some taken in before.
	Newer(seen Seen, key CommandKey) []uint64
	// FindAll returns the sequences of the records that hold a command with an
	// id, whoever sent it.
	FindAll(id uuid.UUID) (records []uint64, err error)
}

// Seen says up to where an Index was searched. It is the index's own.
type Seen any

// Submission is a command on its way to the Writer.
type Submission[C any] struct {
	// ID is chosen by the sender and makes the command idempotent for ever, among
	// those of the same tenant.
	ID uuid.UUID
	// Name is the stored name of the command.
	Name string
	// Digest is the hash of the command's content. The same id with another
	// digest is refused.
	Digest Hash
	// Actor is who sent it.
	Actor Actor
	// Reason and CorrelationID are recorded as they are; see limits.go.
	Reason, CorrelationID string
	// Command is what the Decider judges.
	Command C
	// DryRun asks for the decision alone: nothing is recorded.
	DryRun bool
}

// Outcome is what became of a command.
type Outcome[E any] struct {
	// ID is the id of the command.
	ID uuid.UUID
	// Sequence is the sequence of its record, 0 for a dry run.
	Sequence uint64
	// Position is the position of its last event, or of the head it was judged
	// at when it has none.
	Position uint64
	// FirstPosition is the position of its first event, 0 when it has none.
	FirstPosition uint64
	// Time is the time of its record.
	Time time.Time
	// Name is the stored name of the command.
	Name string
	// Events are its events, Stored the same events as they are stored.
	Events []E
	Stored []Event
	// Replayed says that the command had been recorded by an earlier
	// submission. It is the only field in which two answers to the same
	// command differ.
	Replayed bool
}
