package dedup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"permledger/eventstore"
)

const (
	magic     = "PLCMDID\x01"
	blockSize = 4096
	content   = blockSize - sha256.Size // bytes of a block that the checksum guards
	perBlock  = content / entrySize
	entrySize = 32
	suffix    = ".ids"
)

// tag stands for a tenant: the first bytes of the SHA-256 of its text.
type tag [8]byte

func tagOf(tenant string) (t tag) {
	sum := sha256.Sum256([]byte(tenant))
	copy(t[:], sum[:])
	return t
}

// hit says which record holds a command id, sent by a tenant with this tag.
type hit struct {
	tag      tag
	sequence uint64
}

// entry is a command id, the tag of its sender and the sequence of its record,
// as they are stored. Entries are sorted as bytes.
type entry [entrySize]byte

func newEntry(id uuid.UUID, h hit) (e entry) {
	copy(e[:], id[:])
	copy(e[16:], h.tag[:])
	binary.BigEndian.PutUint64(e[24:], h.sequence)
	return e
}

func (e *entry) id() uuid.UUID { return uuid.UUID(e[:16]) }

func (e *entry) hit() hit { return hit{tag(e[16:24]), binary.BigEndian.Uint64(e[24:])} }

func compareEntries(a, b entry) int { return bytes.Compare(a[:], b[:]) }

// header says what a segment holds.
type header struct {
	ledger  uuid.UUID
	first   uint64            // sequence of the first record it covers
	through eventstore.Cursor // the last record it covers
	count   uint64            // of its entries
}

func (h *header) name() string {
	return fmt.Sprintf("%016x-%016x%s", h.first, h.through.Sequence, suffix)
}

// blocks is how many blocks of entries follow the header.
func (h *header) blocks() int { return int((h.count + perBlock - 1) / perBlock) }

// size is the length of the file.
func (h *header) size() int64 { return int64(1+h.blocks()) * blockSize }

// entries is how many entries block n, from 1, holds.
func (h *header) entries(n int) int { return int(min(h.count-uint64(n-1)*perBlock, perBlock)) }

// encode gives block 0.
func (h *header) encode() *block {
	b := append(make([]byte, 0, blockSize), magic...)
	b = append(b, h.ledger[:]...)
	for _, n := range []uint64{h.first, h.through.Sequence, h.through.Position, uint64(h.through.Time.UnixNano())} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, h.through.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, h.count)
	out := new(block)
	copy(out[:], b)
	out.seal(out.sum(checksum{}, 0))
	return out
}

// decodeHeader reads block 0.
func decodeHeader(b *block) (h header, err error) {
	if b.stored() != b.sum(checksum{}, 0) {
		return h, errors.New("the checksum of its first block differs")
	}
	if !bytes.HasPrefix(b[:], []byte(magic)) {
		return h, errors.New("it is not of a form this release knows")
	}
	at := b[len(magic):]
	next := func() (n uint64) {
		n, at = binary.BigEndian.Uint64(at), at[8:]
		return n
	}
	h.ledger, at = uuid.UUID(at[:16]), at[16:]
	h.first, h.through.Sequence, h.through.Position = next(), next(), next()
	h.through.Time = time.Unix(0, int64(next())).UTC()
	h.through.Hash, at = eventstore.Hash(at[:len(h.through.Hash)]), at[len(h.through.Hash):]
	h.count = next()
	if h.first == 0 || h.through.Sequence < h.first || h.count >= 1<<40 {
		return h, errors.New("its first block names no range of records")
	}
	return h, nil
}

type checksum [sha256.Size]byte

// block is one block as it lies in a file.
type block [blockSize]byte

// sum computes the checksum of block n of the segment whose block 0 has the
// checksum bound; block 0 itself is bound to nothing.
func (b *block) sum(bound checksum, n int) checksum {
	if n == 0 {
		return sha256.Sum256(b[:content])
	}
	var guarded [len(bound) + 8 + content]byte
	copy(guarded[:], bound[:])
	binary.BigEndian.PutUint64(guarded[len(bound):], uint64(n))
	copy(guarded[len(bound)+8:], b[:content])
	return sha256.Sum256(guarded[:])
}

func (b *block) seal(sum checksum) { copy(b[content:], sum[:]) }

func (b *block) stored() checksum { return checksum(b[content:]) }

// sound reports whether it is block n of that segment, as it was written.
func (b *block) sound(bound checksum, n int) bool { return b.stored() == b.sum(bound, n) }

func (b *block) entry(i int) *entry { return (*entry)(b[i*entrySize:]) }
