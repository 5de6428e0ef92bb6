package dedup

import (
	"errors"
	"fmt"
)

// DamageError says that a segment is not what was written. While the ledger
// serves, its ids are made again from the log in the background.
type DamageError struct {
	// File is the name of the segment.
	File string
	// Block is the block at fault, from 0; -1 when it is the file as a whole.
	Block int
	// Err says what was found.
	Err error
}

// Error names the file and the block.
func (e *DamageError) Error() string {
	if e.Block < 0 {
		return fmt.Sprintf("the command ids in %s are damaged: %v", e.File, e.Err)
	}
	return fmt.Sprintf("the command ids in %s are damaged at block %d: %v", e.File, e.Block, e.Err)
}

// Unwrap returns what was found.
func (e *DamageError) Unwrap() error { return e.Err }

var (
	errChecksum = errors.New("the checksum differs")
	errRetired  = errors.New("the segment was replaced") // look at the newest view
)
