package archive

import (
	"fmt"

	"permledger/eventstore"
)

// DamageError says that an archive or a backup is not what was written. It
// matches eventstore.ErrIntegrity, but says nothing of the log.
type DamageError struct {
	// File is the name of the file at fault, empty when it is the whole.
	File string
	// Sequence is the sequence of the record at fault, 0 when it is none in
	// particular, and Position that of the first event that can not be trusted.
	Sequence, Position uint64
	// Reason says in a sentence what was found.
	Reason string
}

// Error gives the place and the reason.
func (e *DamageError) Error() string {
	switch {
	case e.File == "":
		return "the archive is damaged: " + e.Reason
	case e.Sequence == 0:
		return fmt.Sprintf("%s is damaged: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s is damaged at record %d, position %d: %s", e.File, e.Sequence, e.Position, e.Reason)
}

// Is reports that every DamageError is an eventstore.ErrIntegrity.
func (e *DamageError) Is(target error) bool { return target == eventstore.ErrIntegrity }
