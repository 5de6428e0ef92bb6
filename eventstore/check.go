package eventstore

import (
	"fmt"

	"github.com/google/uuid"
)

// chain checks one record after the other and stands where the last good one
// ended. The zero Ledger and Genesis accept whatever the first record says.
type chain struct {
	at      Cursor
	ledger  uuid.UUID
	genesis Hash
}

// next checks that the bytes stored at a sequence continue the chain, and moves
// on. It returns an *IntegrityError for anything that does not fit.
func (c *chain) next(sequence uint64, b []byte) (Stored, error) {
	if sequence != c.at.Sequence+1 {
		return Stored{}, c.fault("record %d follows record %d: records are missing between them", sequence, c.at.Sequence)
	}
	s := Stored{Sequence: sequence, Hash: HashOf(b), Bytes: b}
	var err error
	if s.Record, err = DecodeRecord(b); err != nil {
		return Stored{}, c.fault("%v", err)
	}
	return s, c.accept(&s)
}

// accept checks a decoded record against the one before it, and moves on.
func (c *chain) accept(s *Stored) error {
	r := &s.Record
	switch {
	case s.Sequence != c.at.Sequence+1:
		return c.fault("record %d follows record %d: records are missing between them", s.Sequence, c.at.Sequence)
	case c.ledger != uuid.Nil && r.Ledger != c.ledger:
		return c.fault("it belongs to ledger %s, this is ledger %s", r.Ledger, c.ledger)
	case r.Previous != c.at.Hash:
		return c.fault("it follows a record with hash %s, but the record before it has hash %s", r.Previous, c.at.Hash)
	case r.First != c.at.Position+1:
		return c.fault("its first event has position %d, expected %d", r.First, c.at.Position+1)
	case r.Time.Before(c.at.Time):
		return c.fault("its time %s is before that of the record before it, %s", r.Time, c.at.Time)
	case s.Sequence == 1 && s.size().commands > 0:
		return c.fault("the first record of a ledger has no commands")
	case s.Sequence == 1 && !c.genesis.IsZero() && s.Hash != c.genesis:
		return c.fault("the first record has hash %s, this ledger began with %s", s.Hash, c.genesis)
	}
	if c.ledger == uuid.Nil {
		c.ledger = r.Ledger
	}
	c.at = s.Cursor()
	return nil
}

// fault describes a fault in the record that should come next.
func (c *chain) fault(format string, args ...any) *IntegrityError {
	return &IntegrityError{Position: c.at.Position + 1, Sequence: c.at.Sequence + 1, Reason: fmt.Sprintf(format, args...)}
}

// Checker checks records that do not come from a Log, such as those of an
// archive or a backup, as a Log checks its own: sequence, position, ledger, time
// and hash. It is used by one goroutine.
type Checker struct{ chain chain }

// NewChecker returns a checker of the records after from. With uuid.Nil it
// accepts whatever ledger the first record names, and only that one from then on.
func NewChecker(from Cursor, ledger uuid.UUID) *Checker {
	return &Checker{chain{at: from, ledger: ledger}}
}

// Next checks that b is the stored form of the record that comes next, and moves
// on. It returns an *IntegrityError when it is not, and then stays where it was.
// The record returned keeps b.
func (c *Checker) Next(b []byte) (Stored, error) { return c.chain.next(c.chain.at.Sequence+1, b) }

// At returns where the last good record ended.
func (c *Checker) At() Cursor { return c.chain.at }

// Ledger returns the id of the ledger, uuid.Nil while no record has named it.
func (c *Checker) Ledger() uuid.UUID { return c.chain.ledger }
