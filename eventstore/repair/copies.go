// Package repair finds out what two damaged copies of a ledger still hold
// together: the files of the log and the archive beside it. It reads files alone
// and changes none of them.
package repair

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/embedded"
)

// Copy is what one copy of the ledger still holds.
type Copy struct {
	// Name is what people call it: the log, the archive.
	Name string
	// Remarks are damages that are of no record.
	Remarks []string

	files  []string
	open   map[uint32]*os.File
	places map[uint64]place
	broken map[uint64]bool // sequences whose record is there, but not whole
	last   uint64          // highest sequence it holds or has held
}

// place is where a whole record lies.
type place struct {
	file   uint32
	length uint32
	offset int64
}

func newCopy(name string) *Copy {
	return &Copy{Name: name, open: map[uint32]*os.File{}, places: map[uint64]place{}, broken: map[uint64]bool{}}
}

// ReadLog finds the records of a log in the files of its server. A file that cannot
// be read is an *eventstore.ReadError.
func ReadLog(storeDir, stream, subject string) (*Copy, error) {
	c := newCopy("log")
	err := embedded.ScanStream(storeDir, stream, subject, func(f embedded.Found) error {
		c.add(f.Sequence, f.File, f.Offset, f.Length, f.Whole, f.Cut)
		return nil
	})
	c.finish()
	return c, err
}

// ReadArchive finds the records of an archive. A file that cannot be read is an
// *eventstore.ReadError.
func ReadArchive(dir string) (*Copy, error) {
	c := newCopy("archive")
	err := archive.Scan(dir, func(f archive.Found) error {
		c.add(f.Sequence, f.File, f.Offset, f.Length, f.Whole, f.Cut)
		return nil
	}, func(e *archive.DamageError) { c.Remarks = append(c.Remarks, e.Error()) })
	c.finish()
	return c, eventstore.Unreadable(err)
}

func (c *Copy) add(sequence uint64, file string, offset, length int64, whole, cut bool) {
	if !whole {
		if !cut && sequence > 0 {
			c.broken[sequence] = true
		}
		return
	}
	if len(c.files) == 0 || c.files[len(c.files)-1] != file {
		c.files = append(c.files, file)
	}
	if _, twice := c.places[sequence]; twice {
		c.Remarks = append(c.Remarks, fmt.Sprintf("the %s holds record %d twice", c.Name, sequence))
		return
	}
	c.places[sequence] = place{file: uint32(len(c.files) - 1), length: uint32(length), offset: offset}
}

// finish finds where the copy ends. The sequence of a broken record may itself be
// broken, so it counts only where it continues what is whole.
func (c *Copy) finish() {
	for sequence := range c.places {
		c.last = max(c.last, sequence)
	}
	for _, sequence := range slices.SortedFunc(maps.Keys(c.broken), cmp.Compare) {
		if sequence == c.last+1 {
			c.last = sequence
		}
	}
}

// Empty says that the copy holds no whole record.
func (c *Copy) Empty() bool { return len(c.places) == 0 }

// get returns the bytes of a record; false when it is not there or not whole.
func (c *Copy) get(sequence uint64) ([]byte, bool, error) {
	p, ok := c.places[sequence]
	if !ok {
		return nil, false, nil
	}
	f := c.open[p.file]
	if f == nil {
		var err error
		if f, err = os.Open(c.files[p.file]); err != nil {
			return nil, false, &eventstore.ReadError{File: c.files[p.file], Err: err}
		}
		c.open[p.file] = f
	}
	b := make([]byte, p.length)
	if _, err := io.ReadFull(io.NewSectionReader(f, p.offset, int64(p.length)), b); err != nil {
		return nil, false, &eventstore.ReadError{File: c.files[p.file], Err: err}
	}
	return b, true, nil
}

// Close closes the files of the copy.
func (c *Copy) Close() error {
	var errs []error
	for _, f := range c.open {
		errs = append(errs, f.Close())
	}
	clear(c.open)
	return errors.Join(errs...)
}
