package projections

import (
	"context"
	"database/sql"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"github.com/google/uuid"

	"permledger/projections/sqlite"
)

const (
	// bitsPerID and probes make about one in a thousand unused ids look used.
	bitsPerID = 16
	probes    = 7
	// minFilterIDs and maxFilterIDs are between how many ids a filter has room for. Beyond the largest, 64 MiB,
	// it stays correct and sends more and more unused ids to the database.
	minFilterIDs = 1 << 20
	maxFilterIDs = 1 << 25
)

// idFilter knows which ids were never added, but not for certain which were (a Bloom filter). Most
// commands have a new id, and asking the database about each would cost more than deciding it.
type idFilter struct {
	seed  maphash.Seed // so that nobody can choose ids that collide
	words []atomic.Uint64
	mask  uint64
}

func newIDFilter(ids int) *idFilter {
	room := uint64(max(minFilterIDs, min(2*ids, maxFilterIDs)))
	size := uint64(1) << bits.Len64(room*bitsPerID/64-1)
	return &idFilter{seed: maphash.MakeSeed(), words: make([]atomic.Uint64, size), mask: size*64 - 1}
}

// loadIDs makes the filter of every command among the rows.
func loadIDs(ctx context.Context, tx *sqlite.Tx) (*idFilter, error) {
	var n int
	if _, err := tx.One(ctx, []any{&n}, `SELECT count(*) FROM commands`); err != nil {
		return nil, fmt.Errorf("count the commands: %w", err)
	}
	f := newIDFilter(n)
	var id sql.RawBytes
	err := tx.Query(ctx, func(row *sql.Rows) error {
		if err := row.Scan(&id); err != nil {
			return err
		}
		f.add(uuid.UUID(id))
		return nil
	}, `SELECT id FROM commands`)
	if err != nil {
		return nil, fmt.Errorf("load the command ids: %w", err)
	}
	return f, nil
}

// visit gives the bits that stand for an id until fn says stop.
func (f *idFilter) visit(id uuid.UUID, fn func(word *atomic.Uint64, bit uint64) bool) {
	hash := maphash.Bytes(f.seed, id[:])
	step := hash>>32 | 1
	for range probes {
		n := hash & f.mask
		if !fn(&f.words[n/64], 1<<(n%64)) {
			return
		}
		hash += step
	}
}

func (f *idFilter) add(id uuid.UUID) {
	f.visit(id, func(word *atomic.Uint64, bit uint64) bool {
		word.Or(bit)
		return true
	})
}

// mayHold is false only for an id that was never added.
func (f *idFilter) mayHold(id uuid.UUID) bool {
	held := true
	f.visit(id, func(word *atomic.Uint64, bit uint64) bool {
		held = word.Load()&bit != 0
		return held
	})
	return held
}
