package eventstore

import (
	"context"
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

// Index finds the record in which a command was stored long ago. It is a read
// model of the log and may lag behind it. Its methods are called from several
// goroutines at once.
type Index interface {
	// Find returns the sequence of the record that holds the command.
	Find(ctx context.Context, id uuid.UUID) (sequence uint64, found bool, err error)
	// Through returns the highest record sequence the index has taken in. It
	// finds every command recorded up to there, and never goes back while the
	// process lives.
	Through() uint64
}

// Submission is a command on its way to the Writer.
type Submission[C any] struct {
	// ID is chosen by the sender and makes the command idempotent for ever.
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
