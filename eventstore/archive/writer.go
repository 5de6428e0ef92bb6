package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// state is where an archive ends.
type state struct {
	ledger uuid.UUID // uuid.Nil when it has no record
	at     eventstore.Cursor

	// open is the segment to go on with, nil when the next record begins one.
	open *segment
	size int64     // of the segment's whole lines
	sum  hash.Hash // of the same
}

// inspect finds where an archive ends, and changes nothing. It reads the whole
// last segment, and of the others the first and the last line.
func inspect(ctx context.Context, dir string) (*state, error) {
	list, err := segments(dir)
	if err != nil || len(list) == 0 {
		return &state{}, err
	}
	at := eventstore.Cursor{}
	ledger := uuid.Nil
	for i, s := range list[:len(list)-1] {
		l, from, to, err := edges(s)
		if err != nil {
			return nil, err
		}
		if from != at || i > 0 && l != ledger || s.first != at.Sequence+1 {
			return nil, &DamageError{
				File: s.name(), Sequence: at.Sequence + 1, Position: at.Position + 1,
				Reason: fmt.Sprintf("it does not continue the segment before it, which ends with record %d", at.Sequence),
			}
		}
		ledger, at = l, to
	}
	last := list[len(list)-1]
	r := &reading{ctx: ctx, first: at.Sequence + 1, yield: func(eventstore.Stored) bool { return true }}
	if ledger != uuid.Nil {
		r.checker = eventstore.NewChecker(at, ledger)
	} else if last.first != r.first {
		return nil, &DamageError{File: last.name(), Sequence: 1, Position: 1, Reason: "the segments before it are missing"}
	}
	if err := r.readFile(last); err != nil {
		return nil, err
	}
	st := &state{size: r.size, sum: r.sum}
	if r.checker != nil {
		st.ledger, st.at = r.checker.Ledger(), r.checker.At()
	}
	if !r.sealed {
		st.open = &last
	}
	return st, nil
}

// edges reads the first and the last line of a sealed segment.
func edges(s segment) (ledger uuid.UUID, from, to eventstore.Cursor, err error) {
	damaged := &DamageError{File: s.name(), Sequence: s.first, Reason: "its first or its last line cannot be read"}
	f, err := os.Open(s.path)
	if err != nil {
		return uuid.Nil, from, to, fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return uuid.Nil, from, to, fmt.Errorf("read the archive: %w", err)
	}
	head, _, _ := bytes.Cut(readAt(f, 0), []byte("\n"))
	ledger, from, ok := parseHeader(append(head, '\n'))
	tail := readAt(f, max(info.Size()-lineRoom, 0))
	tail = tail[bytes.LastIndexByte(bytes.TrimSuffix(tail, []byte("\n")), '\n')+1:]
	var sum string
	if _, err := fmt.Sscanf(string(tail), trailerWord+"%d %d %s %s\n", &to.Sequence, &to.Position, &sum, new(string)); err != nil || !ok {
		return uuid.Nil, from, to, damaged
	}
	if to.Hash, err = eventstore.ParseHash(sum); err != nil {
		return uuid.Nil, from, to, damaged
	}
	return ledger, from, to, nil
}

// readAt reads a little of a file; what can not be read is missing.
func readAt(f io.ReaderAt, at int64) []byte {
	b, _ := io.ReadAll(io.NewSectionReader(f, at, lineRoom))
	return b
}

// writer appends to an archive. It is used by one goroutine at a time.
type writer struct {
	dir   string
	limit int64
	at    eventstore.Cursor

	file   *os.File // nil when the next record begins a segment
	out    *bufio.Writer
	enc    *encoder
	synced int64 // bytes of the segment that are known to be durable
}

// newWriter goes on where an archive ends. What a crash left of a last line is
// cut off.
func newWriter(dir string, limit int64, st *state) (*writer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	w := &writer{dir: dir, limit: limit, at: st.at}
	if st.open == nil {
		return w, nil
	}
	if st.size == 0 { // not even its first line is there
		if err := os.Remove(st.open.path); err != nil {
			return nil, fmt.Errorf("open the archive: %w", err)
		}
		return w, nil
	}
	f, err := os.OpenFile(st.open.path, os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Truncate(st.size)
	}
	if err == nil {
		_, err = f.Seek(st.size, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the archive: %w", err), f.Close())
	}
	w.file, w.out = f, bufio.NewWriterSize(f, writeBuffer)
	w.enc, w.synced = &encoder{out: w.out, sum: st.sum, size: st.size}, st.size
	return w, nil
}

// append adds the record after those it has. It may stay in memory until sync.
func (w *writer) append(s *eventstore.Stored) error {
	if s.Sequence != w.at.Sequence+1 || s.Record.Previous != w.at.Hash {
		return fmt.Errorf("record %d does not follow record %d: %w", s.Sequence, w.at.Sequence, eventstore.ErrInvalid)
	}
	if w.file == nil {
		if err := w.begin(s.Record.Ledger); err != nil {
			return fmt.Errorf("begin a segment of the archive: %w", err)
		}
	}
	if err := w.enc.record(s); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	w.at = s.Cursor()
	if w.enc.size < w.limit {
		return nil
	}
	err := w.enc.seal(w.at)
	if err == nil {
		err = w.close()
	}
	if err != nil {
		return fmt.Errorf("seal a segment of the archive: %w", err)
	}
	return nil
}

// begin begins the segment of the next record.
func (w *writer) begin(ledger uuid.UUID) error {
	s := segmentOf(w.dir, w.at.Sequence+1)
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w.file, w.out, w.synced = f, bufio.NewWriterSize(f, writeBuffer), 0
	if w.enc, err = newEncoder(w.out, ledger, w.at); err != nil {
		return err
	}
	return eventstore.SyncDir(w.dir)
}

// sync makes everything appended durable.
func (w *writer) sync() error {
	if w.file == nil {
		return nil
	}
	err := w.out.Flush()
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("sync the archive: %w", err)
	}
	w.synced = w.enc.size
	return nil
}

// abandon ends the open segment where it was synced last. What was written since
// then and could not be synced may be read back and yet not be on the disk.
func (w *writer) abandon() error {
	if w.file == nil {
		return nil
	}
	_ = w.file.Close() // it may be closed already, and what it holds beyond is not wanted
	if err := os.Truncate(w.file.Name(), w.synced); err != nil {
		return fmt.Errorf("shorten the archive: %w", err)
	}
	w.file = nil
	return nil
}

// close syncs and ends the open segment without sealing it.
func (w *writer) close() error {
	err := w.sync()
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
		w.file = nil
	}
	return err
}

// Write writes records into a directory that holds no archive yet, as a Follower
// would, and syncs them. The records must come from whoever checks them.
func Write(dir string, records iter.Seq2[eventstore.Stored, error]) (eventstore.Cursor, error) {
	w, err := newWriter(dir, DefaultSegmentBytes, &state{})
	if err != nil {
		return eventstore.Cursor{}, err
	}
	for s, err := range records {
		if err == nil {
			err = w.append(&s)
		}
		if err != nil {
			return w.at, errors.Join(err, w.close())
		}
	}
	return w.at, w.close()
}
