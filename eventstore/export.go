package eventstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Export writes the ledger as JSON Lines: each line is the stored bytes of one
// record, so SHA-256 of a line without its line end is the hash the next line
// names. Every record is checked before it is written. progress, when given, is
// told how many of how many records are done. It waits while a shared log is in
// doubt. An *IntegrityError ends it after all records before the damage have been
// written: they are an export of that part, which the report is of.
func (l *Log) Export(ctx context.Context, w io.Writer, progress func(done, total uint64)) (Report, error) {
	report := Report{Mark: l.mark.get()}
	total := l.known.Load()
	out := bufio.NewWriterSize(w, 1<<18)
	for s, err := range l.Firm(ctx, Cursor{}) {
		if errors.Is(err, ErrIntegrity) {
			return report, errors.Join(err, out.Flush())
		}
		if err != nil {
			return report, err
		}
		_, _ = out.Write(s.Bytes) // the writer keeps the error for Flush
		if err := out.WriteByte('\n'); err != nil {
			return report, fmt.Errorf("export: %w", err)
		}
		report.Take(&s)
		if progress != nil {
			progress(s.Sequence, max(total, s.Sequence))
		}
	}
	if err := out.Flush(); err != nil {
		return report, fmt.Errorf("export: %w", err)
	}
	return report, nil
}

// ImportError says which line of an import is at fault. Everything before that
// line is stored, nothing from it on.
type ImportError struct {
	// Line counts from 1 and is the sequence the record would have had.
	Line uint64
	Err  error
}

// Error names the line.
func (e *ImportError) Error() string {
	return fmt.Sprintf("line %d of the import cannot be used: %v", e.Line, e.Err)
}

// Unwrap returns what is wrong with the line.
func (e *ImportError) Unwrap() error { return e.Err }

// Import fills an empty ledger with an export, byte for byte, and checks each
// line before it is stored. It replaces nothing: a ledger that holds any record
// answers ErrNotEmpty. The directory takes on the identity of the imported
// ledger.
//
// An import that ends early leaves a ledger that can not be written
// (ErrImportUnfinished); importing the same export again continues it.
func (l *Log) Import(ctx context.Context, r io.Reader, progress func(done uint64)) (Report, error) {
	return l.Fill(ctx, Lines(r), progress)
}

// Fill does what Import does with records from anywhere. An error that the
// records yield ends it as a bad line ends an import.
func (l *Log) Fill(ctx context.Context, records iter.Seq2[[]byte, error], progress func(done uint64)) (Report, error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	var report Report
	resume, err := l.importable(ctx)
	if err != nil {
		return report, err
	}
	c := l.chain(Cursor{})
	window := filling{log: l}
	defer window.drain(ctx) //nolint:errcheck // an error that ended it has been returned
	for b, err := range records {
		if err == nil && len(b) > l.largest {
			err = fmt.Errorf("it is longer than %d bytes: %w", l.largest, ErrTooLarge)
		}
		var s Stored
		if err == nil {
			s, err = c.next(c.at.Sequence+1, b)
		}
		if err != nil {
			return report, &ImportError{Line: report.Records + 1, Err: err}
		}
		if s.Sequence == 1 && resume == 0 {
			// The identity of the ledger to come is noted before its first record.
			if err := l.identify(&s, stageImporting); err != nil {
				return report, err
			}
		}
		if err := l.importRecord(ctx, &window, &s, report.Head, resume); err != nil {
			return report, err
		}
		report.Take(&s)
		if progress != nil {
			progress(s.Sequence)
		}
	}
	switch {
	case report.Records == 0:
		return report, &ImportError{Line: 1, Err: errors.New("there is no record")}
	case report.Records < resume:
		return report, &ImportError{Line: report.Records + 1, Err: fmt.Errorf("it ends, but %d records were imported before", resume)}
	}
	if err := window.drain(ctx); err != nil {
		return report, err
	}
	return report, l.finishImport(&report)
}

// importable returns how many records an unfinished import has stored.
func (l *Log) importable(ctx context.Context) (resume uint64, err error) {
	l.mu.Lock()
	failure, id := l.failure, l.id
	l.mu.Unlock()
	if failure != nil {
		return 0, failure
	}
	last, err := l.last(ctx)
	if err != nil {
		return 0, err
	}
	unfinished := id != nil && id.Stage == stageImporting
	if last > 0 && !unfinished || id != nil && !unfinished {
		return 0, ErrNotEmpty
	}
	return last, nil
}

// importRecord stores one record, or compares it with the one an earlier
// attempt has stored.
func (l *Log) importRecord(ctx context.Context, window *filling, s *Stored, expected Cursor, resume uint64) error {
	if s.Sequence > resume && !l.opts.Shared {
		return window.put(ctx, s)
	}
	if s.Sequence > resume {
		stored, err := l.put(ctx, expected, s.Bytes, s.Record.Last(), s.Record.Time)
		if err != nil {
			return fmt.Errorf("import record %d: %w", s.Sequence, err)
		}
		l.took(stored)
		return nil
	}
	b, err := l.message(ctx, s.Sequence)
	if err != nil {
		return l.fail(err)
	}
	if !bytes.Equal(b, s.Bytes) {
		return &ImportError{Line: s.Sequence, Err: errors.New("it is not the record that was imported before")}
	}
	return nil
}

// finishImport makes the imported ledger one that can be written.
func (l *Log) finishImport(report *Report) error {
	id := &identity{Version: 1, Stream: l.opts.Stream, Ledger: report.Ledger, Genesis: report.Genesis, Stage: stageCreated}
	if err := id.write(l.opts.Dir); err != nil {
		return err
	}
	l.mu.Lock()
	l.id = id
	l.mu.Unlock()
	return nil
}

// Lines yields the records of an export, which are its lines without their line
// ends. The last line needs its line end too, so that a file cut off inside a
// record is noticed. A line longer than MaxRecordBytes is ErrTooLarge. The first
// error ends it.
func Lines(r io.Reader) iter.Seq2[[]byte, error] {
	in := bufio.NewReaderSize(r, 1<<18)
	return func(yield func([]byte, error) bool) {
		for {
			line, err := nextLine(in)
			if errors.Is(err, io.EOF) || !yield(line, err) || err != nil {
				return
			}
		}
	}
}

func nextLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxRecordBytes+1:
			return nil, fmt.Errorf("it is longer than %d bytes: %w", MaxRecordBytes, ErrTooLarge)
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, errors.New("it has no line end: the file is cut off")
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return nil, err
		}
	}
}
