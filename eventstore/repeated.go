package eventstore

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/google/uuid"
)

// Repeated is a command that is recorded a second time. A fold lives with it: the
// first record counts. But no writer makes one, so somebody should look into it.
type Repeated struct {
	// Tenant and ID name the command.
	Tenant string    `json:"tenant"`
	ID     uuid.UUID `json:"id"`
	// First is the position of its first event, or where it would be, where the
	// command is recorded first. Position is the same of its second record,
	// which has the sequence Sequence.
	First    uint64 `json:"first"`
	Position uint64 `json:"position"`
	Sequence uint64 `json:"sequence"`
}

// Err is the integrity failure that it is.
func (r *Repeated) Err() error {
	return &IntegrityError{
		Position: r.Position, Sequence: r.Sequence,
		Reason: fmt.Sprintf("command %s of tenant %s is recorded a second time; the first time is at position %d", r.ID, r.Tenant, r.First),
	}
}

// printSeed makes the fingerprints this process's own, so that nobody can choose
// commands that look alike.
var printSeed = maphash.MakeSeed()

// printOf is the fingerprint of a command: 64 bits, so that among a hundred
// million commands two different ones look alike once in three thousand ledgers.
func printOf(tenant []byte, id uuid.UUID) uint64 {
	var h maphash.Hash
	h.SetSeed(printSeed)
	_, _ = h.Write(id[:]) // it never fails
	_, _ = h.Write(tenant)
	return h.Sum64()
}

// repeatedPrints sorts fingerprints and returns those that are there twice.
func repeatedPrints(prints []uint64) map[uint64]bool {
	slices.Sort(prints)
	alike := make(map[uint64]bool)
	for i := 1; i < len(prints); i++ {
		if prints[i] == prints[i-1] {
			alike[prints[i]] = true
		}
	}
	return alike
}

// repeated finds the first command that is recorded a second time among those
// with certain fingerprints; nil when they only looked alike.
func (l *Log) repeated(ctx context.Context, alike map[uint64]bool) (*Repeated, error) {
	first := make(map[CommandKey]uint64) // position by command
	for s, err := range l.Read(ctx, Cursor{}) {
		if err != nil {
			return nil, err
		}
		position := s.Record.First
		for i := range s.Record.Commands {
			c := &s.Record.Commands[i]
			if key := c.Key(); alike[printOf([]byte(key.Tenant), key.ID)] {
				if before, twice := first[key]; twice {
					return &Repeated{Tenant: key.Tenant, ID: key.ID, First: before, Position: position, Sequence: s.Sequence}, nil
				}
				first[key] = position
			}
			position += uint64(len(c.Events))
		}
	}
	return nil, nil
}
