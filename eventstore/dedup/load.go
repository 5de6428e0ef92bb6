package dedup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// found is a file as it was found.
type found struct {
	path    string
	header  header   // what it says about itself; zero where that is damaged
	segment *segment // nil when it is damaged
	err     error    // why it is
}

// load opens the segments that cover the log from its first record on without
// gaps and removes the other files, once the log is known to hold the records
// that all of them were made from. A file that can not be read stays.
func (s *Store) load(ctx context.Context) ([]*segment, error) {
	files, err := scan(s.dir)
	if err != nil {
		return nil, err
	}
	used, err := s.choose(ctx, files)
	if err != nil {
		for _, f := range files {
			if f.segment != nil {
				_ = f.segment.retire()
			}
		}
		return nil, err
	}
	for _, f := range files {
		if f.segment != nil && slices.Contains(used, f.segment) {
			continue
		}
		if f.err != nil {
			s.options.Logger.Warn("command ids are built again from the log", "why", f.err)
		}
		if f.segment != nil {
			_ = f.segment.retire()
		}
		if _, unread := errors.AsType[syscall.Errno](f.err); unread {
			continue // it may be sound, and be read the next time
		}
		if err := os.Remove(f.path); err != nil {
			s.options.Logger.Warn("a file of command ids could not be removed", "error", err)
		}
	}
	return used, nil
}

// scan opens every segment of a directory and removes what was not finished.
func scan(dir string) ([]*found, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*found
	for _, e := range names {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), temporary):
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		case strings.HasSuffix(e.Name(), suffix):
			f := &found{path: path}
			f.segment, f.header, f.err = openSegment(path)
			files = append(files, f)
		}
	}
	return files, nil
}

// choose compares the files with the log and gives the segments to use.
func (s *Store) choose(ctx context.Context, files []*found) ([]*segment, error) {
	ledger := s.ledger()
	for _, f := range files {
		if f.header.first == 0 {
			continue
		}
		if f.header.ledger != ledger || ledger == uuid.Nil {
			f.err = errors.Join(f.err, fmt.Errorf("%s is of ledger %s", filepath.Base(f.path), f.header.ledger))
			continue
		}
		if err := stands(ctx, s.source, f.header.through); err != nil {
			return nil, err
		}
	}
	// Of two that begin with the same record the longer one was merged from the other.
	slices.SortFunc(files, func(a, b *found) int {
		return cmp.Or(cmp.Compare(a.header.first, b.header.first), cmp.Compare(b.header.through.Sequence, a.header.through.Sequence))
	})
	var used []*segment
	for _, f := range files {
		if f.err == nil && f.header.first == throughOf(used).Sequence+1 {
			used = append(used, f.segment)
		}
	}
	return used, nil
}

// stands checks that the log holds a record that ids were made from.
func stands(ctx context.Context, source Source, at eventstore.Cursor) error {
	fault := &eventstore.IntegrityError{Position: max(at.Position, 1), Sequence: at.Sequence}
	stored, err := source.Get(ctx, at.Sequence)
	switch {
	case errors.Is(err, eventstore.ErrNotFound):
		fault.Reason = "the log does not reach it, but the command ids were made from it: the log was cut short or replaced"
	case err != nil:
		return err
	case stored.Hash != at.Hash:
		fault.Reason = "it is not the record from which the command ids were made: the log was changed or replaced"
	default:
		return nil
	}
	return fault
}

// Fits checks that the log holds the newest record that the ids in a directory
// were made from. It returns an eventstore.IntegrityError when it does not.
func Fits(ctx context.Context, dir string, source Source) error {
	ledger, _, _ := source.Ledger()
	at, err := Reached(dir, ledger)
	if err != nil || at.Sequence == 0 {
		return err
	}
	return stands(ctx, source, at)
}

// Reached says how far the log went that the ids in a directory were made from:
// its last record that a segment of this ledger names. The zero cursor says that
// there is none.
func Reached(dir string, ledger uuid.UUID) (eventstore.Cursor, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return eventstore.Cursor{}, err
	}
	var reached eventstore.Cursor
	for _, path := range names {
		g, h, err := openSegment(path)
		if g != nil {
			err = errors.Join(err, g.retire())
		}
		var damage *DamageError
		if err != nil && !errors.As(err, &damage) {
			return reached, err
		}
		if h.ledger == ledger && h.through.Sequence > reached.Sequence {
			reached = h.through
		}
	}
	return reached, nil
}
