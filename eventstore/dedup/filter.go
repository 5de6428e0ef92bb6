package dedup

import (
	"hash/maphash"
	"math/bits"

	"github.com/google/uuid"
)

const (
	// bitsPerID and probes make about one in a thousand ids that are not there look as
	// if it were.
	bitsPerID = 16
	probes    = 7
	// lineWords is how many words make a line: the bits of one id lie in one
	// cache line of the processor, so that a "no" costs one access to memory.
	lineWords = 8
)

// seed makes the filters' hashes this process's own, so that nobody can choose
// ids that collide.
var seed = maphash.MakeSeed()

// hashOf is what a filter knows of an id.
func hashOf(id uuid.UUID) uint64 { return maphash.Bytes(seed, id[:]) }

// filter knows which ids are not in a segment, but not for certain which are
// (a Bloom filter, divided into lines).
type filter [][lineWords]uint64

func newFilter(ids uint64) filter {
	return make(filter, max(1, (ids*bitsPerID+64*lineWords-1)/(64*lineWords)))
}

func (f filter) line(hash uint64) *[lineWords]uint64 {
	high, _ := bits.Mul64(hash, uint64(len(f)))
	return &f[high]
}

// spread gives the bits within a line, nine for each probe. It mixes the hash
// again, because ids in the same line have hashes that begin alike.
func spread(hash uint64) uint64 {
	hash ^= hash >> 32
	hash *= 0xd6e8feb86659fd93
	return hash ^ hash>>32
}

func (f filter) add(hash uint64) {
	line, at := f.line(hash), spread(hash)
	for range probes {
		line[at>>6%lineWords] |= 1 << (at % 64)
		at >>= 9
	}
}

// mayHold is false only for an id that was never added.
func (f filter) mayHold(hash uint64) bool {
	line, at := f.line(hash), spread(hash)
	for range probes {
		if line[at>>6%lineWords]&(1<<(at%64)) == 0 {
			return false
		}
		at >>= 9
	}
	return true
}
