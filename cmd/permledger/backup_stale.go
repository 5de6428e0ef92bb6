package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/handlers/ledger"
)

// An archive is a fraction of a second behind its log. One that is given archiveWait and still does not hold
// what the log held before cannot be written, or far too slowly.
const (
	archiveWait = 10 * time.Second
	archivePoll = 250 * time.Millisecond
)

// fromArchive backs up a ledger that a server has.
func (c *backupCommand) fromArchive(ctx context.Context, a *app) error {
	marks, err := eventstore.ReadMarks(a.Data)
	if err != nil {
		return err
	}
	dir := ledger.ArchiveDir(a.Data)
	if err := reached(ctx, dir, marks.Head.Sequence); err != nil {
		return err
	}
	return c.write(a, "archive", ofLog(marks, archive.Read(ctx, dir)), func(b *backedUp) error {
		late := behind(marks.Head, b)
		switch {
		case late == nil:
			return nil
		case !c.AllowStale:
			return fmt.Errorf("%w; no backup was written: /readyz of the server says why; --allow-stale writes what is there", late)
		}
		fmt.Fprintf(a.stderr, "permledger: %v\n", late) // with --quiet too
		return nil
	})
}

// reached waits for a time until the archive holds a record; how far it is then is for the backup to say.
func reached(ctx context.Context, dir string, sequence uint64) error {
	deadline := time.Now().Add(archiveWait)
	for {
		head, err := archive.Head(ctx, dir)
		if err != nil || head.Sequence >= sequence || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(archivePoll):
		}
	}
}

// behind says how far a backup is behind the head that the log had, nil when it is not.
func behind(head eventstore.Cursor, b *backedUp) error {
	switch {
	case head.Sequence == 0:
		return errors.New("the length of the log cannot be read from " + eventstore.HeadMarkFile + ", so the backup may lack any number of records")
	case b.Head.Sequence >= head.Sequence:
		return nil
	}
	b.Missing = head.Position - b.Head.Position
	if b.Records == 0 {
		return fmt.Errorf("the archive holds none of the log's %d events", b.Missing)
	}
	late := head.Time.Sub(b.Head.Time)
	b.BehindSeconds = late.Seconds()
	return fmt.Errorf("the archive is behind the log by %d events, the newest of them %s after its last one", b.Missing, late.Round(time.Millisecond))
}

// ofLog yields the records of an archive and ends with an error when they are not of the log: the server goes on
// without an archive that is of another ledger, or has another end.
func ofLog(marks eventstore.Marks, records iter.Seq2[eventstore.Stored, error]) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for s, err := range records {
			switch {
			case err != nil:
			case s.Record.Ledger != marks.Ledger:
				err = fmt.Errorf("%w: the archive is of ledger %s, the log of ledger %s", eventstore.ErrIntegrity, s.Record.Ledger, marks.Ledger)
			case s.Sequence == marks.Head.Sequence && s.Hash != marks.Head.Hash:
				err = fmt.Errorf("%w: record %d of the archive has hash %s, in the log it has %s", eventstore.ErrIntegrity, s.Sequence, s.Hash, marks.Head.Hash)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}
