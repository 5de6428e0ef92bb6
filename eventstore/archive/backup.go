package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"permledger/eventstore"
)

// WriteBackup writes records as a backup: one sealed segment that begins with
// the first record of the ledger and names ledger and head. The records must
// come from whoever checks them, such as Read or eventstore.Log.Read. progress,
// when given, is told the sequence of each record.
func WriteBackup(w io.Writer, records iter.Seq2[eventstore.Stored, error], progress func(done uint64)) (eventstore.Report, error) {
	var report eventstore.Report
	var out *encoder
	for s, err := range records {
		if err != nil {
			return report, err
		}
		if out == nil {
			if out, err = newEncoder(w, s.Record.Ledger, eventstore.Cursor{}); err != nil {
				return report, fmt.Errorf("write the backup: %w", err)
			}
		}
		if err := out.record(&s); err != nil {
			return report, fmt.Errorf("write the backup: %w", err)
		}
		report.Take(&s)
		if progress != nil {
			progress(s.Sequence)
		}
	}
	if out == nil {
		return report, fmt.Errorf("there is no record to back up yet: %w", eventstore.ErrNotFound)
	}
	if err := out.seal(report.Head); err != nil {
		return report, fmt.Errorf("write the backup: %w", err)
	}
	return report, nil
}

// ReadBackup yields the records of a backup and checks every byte of it. A
// backup is good only when the loop ends without an error, because the checksum
// of the whole stands at its end. Any damage is a *DamageError.
func ReadBackup(ctx context.Context, from io.Reader) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		r := &reading{ctx: ctx, first: 1, yield: func(s eventstore.Stored) bool { return yield(s, nil) }}
		err := r.read("the backup", from)
		switch {
		case errors.Is(err, errStopped):
			return
		case err != nil:
		case !r.sealed:
			err = r.damaged("it is cut off")
		}
		if err != nil {
			yield(eventstore.Stored{}, err)
		}
	}
}

// CheckBackup reads a whole backup as ReadBackup does and reports what it holds.
func CheckBackup(ctx context.Context, from io.Reader, progress func(done uint64)) (eventstore.Report, error) {
	var report eventstore.Report
	for s, err := range ReadBackup(ctx, from) {
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

// Bytes yields the stored bytes of records.
func Bytes(records iter.Seq2[eventstore.Stored, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for s, err := range records {
			if !yield(s.Bytes, err) {
				return
			}
		}
	}
}
