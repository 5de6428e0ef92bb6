package dedup

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// writeSegment stores sorted entries, as many as the header says, and gives the
// segment back, open. After a crash at any moment the name stands for nothing or
// for the whole file.
func writeSegment(dir string, h header, entries iter.Seq2[entry, error]) (*segment, error) {
	file, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return nil, fmt.Errorf("write command ids: %w", err)
	}
	g, err := filled(file, h, entries)
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, h.name()))
	}
	if err == nil {
		err = eventstore.SyncDir(dir)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // fails, as it should, once renamed
		return nil, fmt.Errorf("write command ids: %w", errors.Join(err, file.Close()))
	}
	return g, nil
}

// temporary is how the names of unfinished files begin.
const temporary = ".writing-"

// filled writes a segment's content and syncs it.
func filled(file *os.File, h header, entries iter.Seq2[entry, error]) (*segment, error) {
	first := h.encode()
	w := &blockWriter{segment: &segment{
		header: h, bound: first.stored(), file: file, filter: newFilter(h.count), fences: make([]uuid.UUID, 0, h.blocks()),
	}}
	w.buffer = append(w.buffer, first[:]...)
	for e, err := range entries {
		if err == nil {
			err = w.add(e)
		}
		if err != nil {
			return nil, err
		}
	}
	if w.count != h.count {
		return nil, fmt.Errorf("there are %d ids, not %d", w.count, h.count)
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	return w.segment, file.Sync()
}

// blockWriter puts entries into blocks.
type blockWriter struct {
	segment  *segment
	count    uint64
	pending  block  // the block being filled
	buffer   []byte // blocks to be written
	unsynced int
}

func (w *blockWriter) add(e entry) error {
	at := int(w.count % perBlock)
	if at == 0 {
		if w.count > 0 {
			if err := w.next(); err != nil {
				return err
			}
		}
		w.segment.fences = append(w.segment.fences, e.id())
	}
	copy(w.pending[at*entrySize:], e[:])
	w.segment.filter.add(hashOf(e.id()))
	w.count++
	return nil
}

// next ends the block being filled.
func (w *blockWriter) next() error {
	w.pending.seal(w.pending.sum(w.segment.bound, len(w.segment.fences)))
	w.buffer = append(w.buffer, w.pending[:]...)
	w.pending = block{}
	if len(w.buffer) < checkBlocks*blockSize {
		return nil
	}
	return w.write()
}

func (w *blockWriter) write() error {
	n, err := w.segment.file.Write(w.buffer)
	w.buffer = w.buffer[:0]
	if w.unsynced += n; err == nil && w.unsynced >= syncBytes {
		w.unsynced, err = 0, w.segment.file.Sync()
	}
	return err
}

func (w *blockWriter) flush() error {
	if w.count > 0 {
		if err := w.next(); err != nil {
			return err
		}
	}
	return w.write()
}

// listed yields entries that are in memory.
func listed(entries []entry) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// merged yields the entries of several segments in order.
func merged(segments []*segment) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		type source struct {
			at   entry
			next func() (entry, error, bool)
		}
		var sources []*source
		step := func(s *source) (more bool, err error) {
			s.at, err, more = s.next()
			return more, err
		}
		for _, g := range segments {
			next, stop := iter.Pull2(g.all())
			defer stop()
			s := &source{next: next}
			more, err := step(s)
			if err != nil {
				yield(entry{}, err)
				return
			}
			if more {
				sources = append(sources, s)
			}
		}
		for len(sources) > 0 {
			least := 0
			for i := range sources {
				if compareEntries(sources[i].at, sources[least].at) < 0 {
					least = i
				}
			}
			if !yield(sources[least].at, nil) {
				return
			}
			more, err := step(sources[least])
			if err != nil {
				yield(entry{}, err)
				return
			}
			if !more {
				sources = append(sources[:least], sources[least+1:]...)
			}
		}
	}
}
