package embedded

import (
	"fmt"

	"permledger/eventstore"
)

// DamageError says that the files of the stream are not what the server wrote. A
// server that opened them would cut off what follows the damage. Nothing was
// changed. It matches eventstore.ErrIntegrity.
type DamageError struct {
	File string
	// Sequence is that of the message that is not whole, 0 when the damage is of
	// no message.
	Sequence uint64
	// Before is the last whole message before it; its sequence is 0 when there is
	// none.
	Before Found
	// Reason says in a sentence what was found.
	Reason string
}

// Error names the file and what was found.
func (e *DamageError) Error() string { return fmt.Sprintf("%s: %s", e.File, e.Reason) }

// Is reports that every DamageError is an eventstore.ErrIntegrity.
func (e *DamageError) Is(target error) bool { return target == eventstore.ErrIntegrity }

// DroppedError says that the server did not open the whole stream although its
// files were sound. They have been put back as they were. It matches
// eventstore.ErrUnavailable.
type DroppedError struct {
	// Missing says what the server did not open.
	Missing string
	// Said is what the server logged meanwhile.
	Said []string
}

// Error says what was missing, and what the server said.
func (e *DroppedError) Error() string {
	return fmt.Sprintf("the server did not open the whole log (%s) although its files are sound; they were put back as they were: start again%s", e.Missing, quoted(e.Said))
}

// Is reports that every DroppedError is an eventstore.ErrUnavailable.
func (e *DroppedError) Is(target error) bool { return target == eventstore.ErrUnavailable }

// RoomError says that the disk has no room for a start. Nothing was changed. It
// matches eventstore.ErrUnavailable.
type RoomError struct {
	Dir string
	Err error
}

// Error names the directory and how much room is needed.
func (e *RoomError) Error() string {
	return fmt.Sprintf("%s cannot be written (a start needs at least %d MiB): %v; nothing was changed: make room, then try again", e.Dir, startRoom>>20, e.Err)
}

// Unwrap gives the cause.
func (e *RoomError) Unwrap() error { return e.Err }

// Is reports that every RoomError is an eventstore.ErrUnavailable.
func (e *RoomError) Is(target error) bool { return target == eventstore.ErrUnavailable }
