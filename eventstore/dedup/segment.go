package dedup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
)

// segment is one file of ids, open for lookups.
type segment struct {
	header
	bound   checksum // of its block 0, as it was when it was opened
	filter  filter
	fences  []uuid.UUID // first id of each block of entries
	damaged atomic.Bool // a block was found that is not what was written

	mu     sync.RWMutex
	file   *os.File
	closed bool // guarded by mu
}

// openSegment reads a whole file and checks every block on the way. A
// *DamageError comes with the header where that is sound: what it says about the
// log still counts.
func openSegment(path string) (*segment, header, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, header{}, &DamageError{filepath.Base(path), -1, err}
	}
	g, h, err := scanned(file)
	if err != nil {
		_ = file.Close()
		return nil, h, err
	}
	return g, h, nil
}

func scanned(file *os.File) (*segment, header, error) {
	name := filepath.Base(file.Name())
	in := make([]byte, checkBlocks*blockSize)
	if _, err := io.ReadFull(file, in[:blockSize]); err != nil {
		return nil, header{}, &DamageError{name, 0, err}
	}
	first := (*block)(in)
	h, err := decodeHeader(first)
	if err != nil {
		return nil, header{}, &DamageError{name, 0, err}
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, h, &DamageError{name, -1, err}
	case info.Size() != h.size():
		return nil, h, &DamageError{name, -1, fmt.Errorf("it has %d bytes, not %d", info.Size(), h.size())}
	case h.name() != name:
		return nil, h, &DamageError{name, -1, fmt.Errorf("it was written as %s", h.name())}
	}
	g := &segment{header: h, bound: first.stored(), file: file, filter: newFilter(h.count), fences: make([]uuid.UUID, 0, h.blocks())}
	var last entry
	for n := 1; n <= h.blocks(); {
		part := in[:min(checkBlocks, h.blocks()+1-n)*blockSize]
		if _, err := io.ReadFull(file, part); err != nil {
			return nil, h, &DamageError{name, n, err}
		}
		for ; len(part) > 0; part, n = part[blockSize:], n+1 {
			b := (*block)(part)
			if !b.sound(g.bound, n) {
				return nil, h, &DamageError{name, n, errChecksum}
			}
			g.fences = append(g.fences, b.entry(0).id())
			for i := range h.entries(n) {
				e := b.entry(i)
				if compareEntries(last, *e) > 0 {
					return nil, h, &DamageError{name, n, errors.New("its entries are not in order")}
				}
				last = *e
				g.filter.add(hashOf(e.id()))
			}
		}
	}
	return g, h, nil
}

// blocks lends memory for one block.
var blocks = sync.Pool{New: func() any { return new(block) }}

// find adds every hit of an id, the oldest first of each tenant. It returns a
// *DamageError when a block that could hold the id is not what was written, and
// errRetired when the segment has been replaced.
func (g *segment) find(id uuid.UUID, hits []hit) ([]hit, error) {
	b := blocks.Get().(*block) //nolint:forcetypeassert // it makes nothing else
	defer blocks.Put(b)
	// The id may begin within the block before the first one that begins with it.
	n, _ := slices.BinarySearchFunc(g.fences, id, compareIDs)
	for n = max(n, 1); n <= g.blocks() && compareIDs(g.fences[n-1], id) <= 0; n++ {
		if err := g.read(n, b[:]); err != nil {
			return nil, err
		}
		if !b.sound(g.bound, n) {
			return nil, g.damage(n, errChecksum)
		}
		count := g.entries(n)
		for i := firstOf(b, count, id); i < count && b.entry(i).id() == id; i++ {
			hits = append(hits, b.entry(i).hit())
		}
	}
	return hits, nil
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// firstOf finds the first entry of a block that is not before an id.
func firstOf(b *block, count int, id uuid.UUID) int {
	low, high := 0, count
	for low < high {
		middle := (low + high) / 2
		if bytes.Compare(b.entry(middle)[:len(id)], id[:]) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// read reads blocks from n on.
func (g *segment) read(n int, into []byte) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return errRetired
	}
	if _, err := g.file.ReadAt(into, int64(n)*blockSize); err != nil {
		return g.damage(n, err)
	}
	return nil
}

func (g *segment) damage(n int, err error) error {
	g.damaged.Store(true)
	return &DamageError{g.name(), n, err}
}

// all yields the entries in order. An error ends it.
func (g *segment) all() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		err := g.each(func(b *block, n int) error {
			for i := range g.entries(n) {
				if !yield(*b.entry(i), nil) {
					return errStopped
				}
			}
			return nil
		}, nil)
		if err != nil && !errors.Is(err, errStopped) {
			yield(entry{}, err)
		}
	}
}

var errStopped = errors.New("the reader stopped")

// each reads and checks every block of entries. pace, when given, is told before
// each read how many bytes come next.
func (g *segment) each(visit func(b *block, n int) error, pace func(bytes int) error) error {
	in := make([]byte, checkBlocks*blockSize)
	for n := 1; n <= g.blocks(); {
		part := in[:min(checkBlocks, g.blocks()+1-n)*blockSize]
		if pace != nil {
			if err := pace(len(part)); err != nil {
				return err
			}
		}
		if err := g.read(n, part); err != nil {
			return err
		}
		for ; len(part) > 0; part, n = part[blockSize:], n+1 {
			b := (*block)(part)
			if !b.sound(g.bound, n) {
				return g.damage(n, errChecksum)
			}
			if err := visit(b, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// check reads the file from the disk, where the system lets it, and compares
// every block.
func (g *segment) check(pace func(bytes int) error) error {
	// What the system keeps of the file in memory may be sound where the disk is not.
	g.mu.RLock()
	if !g.closed {
		forget(g.file)
	}
	g.mu.RUnlock()
	var first block
	if err := g.read(0, first[:]); err != nil {
		return err
	}
	if first.stored() != g.bound || !first.sound(checksum{}, 0) {
		return g.damage(0, errChecksum)
	}
	return g.each(func(*block, int) error { return nil }, pace)
}

// retire closes the file once nobody reads it.
func (g *segment) retire() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	return g.file.Close()
}
