package eventstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// HeadMarkFile is the name of the file in which a node notes the last head it
// saw stored. The log may be longer than the mark, never shorter: that is how
// a truncated tail is found, which looks to the server like a shorter stream.
const HeadMarkFile = "head.mark"

// A mark lies in one of two slots that are written in turn, so a write torn by
// a crash leaves the one before it. Each slot is
//
//	magic 8 · sequence 8 · position 8 · time 8 (ns) · hash 32 · SHA-256 of all that 32
const (
	markMagic = "PLHEAD\x00\x01"
	markSlot  = 96
)

// headMark is the file of the mark. It is not synced after each record: after
// a power loss an older mark is still a true lower bound.
type headMark struct {
	mu    sync.Mutex
	file  *os.File
	last  Cursor
	slot  int64
	image [2 * markSlot]byte // what the file holds
	torn  bool               // a write failed, so nobody knows what it holds
}

// openHeadMark reads or creates the mark. damaged says that there was a file
// without one readable slot.
func openHeadMark(dir string) (m *headMark, damaged bool, err error) {
	path := filepath.Join(dir, HeadMarkFile)
	_, statErr := os.Stat(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("open the head mark: %w", err)
	}
	m = &headMark{file: f}
	buf := make([]byte, 2*markSlot)
	n, err := f.ReadAt(buf, 0)
	if n == 0 && errors.Is(statErr, fs.ErrNotExist) {
		// Its blocks exist from now on, so later writes change them in place.
		_, err = f.WriteAt(buf, 0)
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = SyncDir(dir)
		}
		if err != nil {
			_ = f.Close()
			return nil, false, fmt.Errorf("create the head mark: %w", err)
		}
		return m, false, nil
	}
	if err != nil && !errors.Is(err, io.EOF) { // a short file has no readable slot, which is found below
		_ = f.Close()
		return nil, false, fmt.Errorf("read the head mark: %w", err)
	}
	copy(m.image[:], buf)
	m.last, m.slot = newestMark(buf)
	blank := bytes.Count(buf, []byte{0}) == len(buf) && n == len(buf)
	return m, m.last.Sequence == 0 && !blank, nil
}

// peekMark reads the newest mark of a directory and changes nothing.
func peekMark(dir string) (Cursor, error) {
	slots := make([]byte, 2*markSlot)
	b, err := os.ReadFile(filepath.Join(dir, HeadMarkFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Cursor{}, fmt.Errorf("read the head mark: %w", err)
	}
	copy(slots, b)
	newest, _ := newestMark(slots)
	return newest, nil
}

// newestMark returns the newest mark of the two slots, the zero Cursor when none
// can be read, and the slot to write next.
func newestMark(slots []byte) (newest Cursor, next int64) {
	for i := range int64(2) {
		if c, ok := decodeMark(slots[i*markSlot : (i+1)*markSlot]); ok && c.Sequence > newest.Sequence {
			newest, next = c, 1-i
		}
	}
	return newest, next
}

// get returns the mark, the zero Cursor when there is none.
func (m *headMark) get() Cursor {
	if m == nil { // of a log without a directory
		return Cursor{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// note moves the mark forward.
func (m *headMark) note(c Cursor) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Sequence <= m.last.Sequence {
		return nil
	}
	var slot [markSlot]byte
	mark := encodeMark(slot[:0], c)
	if _, err := m.file.WriteAt(mark, m.slot*markSlot); err != nil {
		m.torn = true
		return fmt.Errorf("write the head mark: %w", err)
	}
	m.torn = false
	copy(m.image[m.slot*markSlot:], mark)
	m.last, m.slot = c, 1-m.slot
	return nil
}

// check compares the file with what was written into it, and writes that again
// where it differs.
func (m *headMark) check(path string) (differs bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.torn {
		return false, nil // the next mark goes into the same place
	}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || bytes.Equal(b, m.image[:]) {
		return false, err
	}
	_, err = m.file.WriteAt(m.image[:], 0)
	return true, err
}

func (m *headMark) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.file.Sync()
	if cerr := m.file.Close(); err == nil {
		err = cerr
	}
	return err
}

func encodeMark(b []byte, c Cursor) []byte {
	b = append(b, markMagic...)
	b = binary.BigEndian.AppendUint64(b, c.Sequence)
	b = binary.BigEndian.AppendUint64(b, c.Position)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Time.UnixNano()))
	b = append(b, c.Hash[:]...)
	sum := HashOf(b)
	return append(b, sum[:]...)
}

func decodeMark(b []byte) (Cursor, bool) {
	sum := HashOf(b[:markSlot-len(Hash{})])
	if string(b[:len(markMagic)]) != markMagic || !bytes.Equal(sum[:], b[markSlot-len(Hash{}):]) {
		return Cursor{}, false
	}
	b = b[len(markMagic):]
	c := Cursor{
		Sequence: binary.BigEndian.Uint64(b),
		Position: binary.BigEndian.Uint64(b[8:]),
		Time:     time.Unix(0, int64(binary.BigEndian.Uint64(b[16:]))).UTC(),
	}
	copy(c.Hash[:], b[24:])
	return c, true
}
