package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"permledger/eventstore"
)

// segmentSuffix ends the name of a segment; before it stands the sequence of its
// first record.
const segmentSuffix = ".seg"

// segment is a file of an archive.
type segment struct {
	path  string
	first uint64
}

func segmentOf(dir string, first uint64) segment {
	return segment{filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentSuffix)), first}
}

func (s segment) name() string {
	return filepath.Join(filepath.Base(filepath.Dir(s.path)), filepath.Base(s.path))
}

// segments lists the segments of an archive in order. A directory that is not
// there holds none.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	var list []segment
	for _, e := range entries {
		number, isSegment := strings.CutSuffix(e.Name(), segmentSuffix)
		if first, err := strconv.ParseUint(number, 10, 64); isSegment && err == nil {
			list = append(list, segment{filepath.Join(dir, e.Name()), first})
		}
	}
	slices.SortFunc(list, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return list, nil
}

// reading is a pass over the segments of an archive, or over a backup.
type reading struct {
	ctx     context.Context
	checker *eventstore.Checker // nil until the first header has been read
	first   uint64              // record the first header must begin with
	yield   func(eventstore.Stored) bool

	// The rest is of the segment read last.
	name   string
	sum    hash.Hash // of its whole lines
	size   int64     // of its whole lines
	sealed bool      // it ends with its trailer
	torn   bool      // something follows its whole lines
}

// errStopped says that whoever takes the records wants no more.
var errStopped = errors.New("the reader stopped")

// read reads one segment and checks every byte of it. A segment that does not
// end with its trailer is no error here; whoever reads knows whether it may.
func (r *reading) read(name string, from io.Reader) error {
	r.name, r.sum, r.size, r.sealed, r.torn = name, sha256.New(), 0, false, false
	in := bufio.NewReaderSize(from, writeBuffer)
	line, err := r.line(in)
	if line == nil {
		return err
	}
	ledger, start, ok := parseHeader(line)
	if !ok {
		return r.damaged("its first line cannot be read")
	}
	if r.checker == nil {
		if first := start.Sequence + 1; first != r.first || first == 1 && start != (eventstore.Cursor{}) {
			return r.damaged("it begins with record %d after position %d, not with record %d", first, start.Position, r.first)
		}
		r.checker = eventstore.NewChecker(start, ledger)
	}
	before := r.checker.At()
	if ledger != r.checker.Ledger() || start.Sequence != before.Sequence || start.Position != before.Position || start.Hash != before.Hash {
		return r.damaged("it continues ledger %s after record %d with hash %s, but comes after record %d with hash %s of ledger %s",
			ledger, start.Sequence, start.Hash, before.Sequence, before.Hash, r.checker.Ledger())
	}
	r.took(line)
	for {
		line, err := r.line(in)
		if line == nil {
			return err
		}
		if bytes.HasPrefix(line, []byte(trailerWord)) {
			return r.end(line, in)
		}
		if err := r.record(line); err != nil {
			return err
		}
	}
}

// line returns the next line with its line end, nil at the end of the file. What
// has no line end is torn.
func (r *reading) line(in *bufio.Reader) ([]byte, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > eventstore.MaxRecordBytes+lineRoom:
			return nil, r.damaged("a line is longer than any record")
		case err == nil:
			return line, nil
		case errors.Is(err, io.EOF):
			r.torn = len(line) > 0
			return nil, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("read %s: %w", r.name, err)
		}
	}
}

func (r *reading) took(line []byte) {
	_, _ = r.sum.Write(line) // a hash never fails
	r.size += int64(len(line))
}

func (r *reading) record(line []byte) error {
	sequence, record, ok := parseFrame(line[:len(line)-1])
	want := r.checker.At().Sequence + 1
	switch {
	case !ok:
		return r.damaged("the checksum of its line does not hold")
	case sequence != want:
		return r.damaged("record %d follows record %d", sequence, want-1)
	}
	s, err := r.checker.Next(record)
	if e, ok := errors.AsType[*eventstore.IntegrityError](err); ok {
		return r.damaged("%s", e.Reason)
	}
	if err != nil {
		return err
	}
	r.took(line)
	if !r.yield(s) {
		return errStopped
	}
	return nil
}

// end checks the trailer, after which nothing may follow.
func (r *reading) end(line []byte, in *bufio.Reader) error {
	if !bytes.Equal(line, appendTrailer(nil, r.checker.At(), r.sum)) {
		return r.damaged("its last line does not fit what stands before it")
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return r.damaged("something follows its last line")
	}
	r.took(line)
	r.sealed = true
	return nil
}

// damaged describes damage at the record that should come next.
func (r *reading) damaged(format string, args ...any) error {
	e := &DamageError{File: r.name, Reason: fmt.Sprintf(format, args...)}
	if r.checker != nil {
		e.Sequence, e.Position = r.checker.At().Sequence+1, r.checker.At().Position+1
	}
	return e
}

// readFile reads a segment of an archive.
func (r *reading) readFile(s segment) error {
	f, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if r.checker != nil && r.checker.At().Sequence+1 != s.first {
		r.name = s.name()
		return r.damaged("record %d should come next: records are missing, or a file is", r.checker.At().Sequence+1)
	}
	return r.read(s.name(), f)
}
