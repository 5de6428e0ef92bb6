package archive

import (
	"context"
	"errors"
	"iter"
	"time"

	"permledger/eventstore"
)

// Read yields the records of an archive in order and checks every byte of it. It
// may be used while another process archives into the same directory: it then
// ends with the last record that was there completely, so what it yields is the
// ledger as of that record. The first error is yielded once and ends the loop: a
// *DamageError, an *eventstore.ReadError or that of the context. An archive
// that is not there has no records.
func Read(ctx context.Context, dir string) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		r := &reading{ctx: ctx, first: 1, yield: func(s eventstore.Stored) bool { return yield(s, nil) }}
		if err := r.all(dir); err != nil && !errors.Is(err, errStopped) {
			yield(eventstore.Stored{}, eventstore.Unreadable(err))
		}
	}
}

// Head returns where an archive ends, without a time, the zero Cursor when it has
// no record. It reads the last segment, at most DefaultSegmentBytes and a record.
func Head(ctx context.Context, dir string) (eventstore.Cursor, error) {
	st, err := inspect(ctx, dir)
	if err != nil {
		return eventstore.Cursor{}, err
	}
	at := st.at
	at.Time = time.Time{}
	return at, nil
}

// all reads all segments of an archive.
func (r *reading) all(dir string) error {
	list, err := segments(dir)
	if err != nil {
		return err
	}
	if len(list) > 0 && list[0].first != 1 {
		return &DamageError{File: list[0].name(), Sequence: 1, Position: 1, Reason: "the segments before it are missing"}
	}
	for i, s := range list {
		if err := r.readFile(s); err != nil {
			return err
		}
		if !r.sealed && i < len(list)-1 {
			return r.damaged("it has no last line, but another segment follows")
		}
	}
	return nil
}

// Verify reads a whole archive and checks every byte of it: the checksum of each
// record, those of the sealed segments, and the chain. A last record that was
// not written completely is no damage; the archive ends before it. progress,
// when given, is told the sequence of each good record. The report is of what
// was good, also when a *DamageError ends it.
func Verify(ctx context.Context, dir string, progress func(done uint64)) (eventstore.Report, error) {
	var report eventstore.Report
	for s, err := range Read(ctx, dir) {
		if err != nil {
			return report, err
		}
		report.Take(&s)
		if progress != nil {
			progress(s.Sequence)
		}
	}
	return report, nil
}
