package dedup

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"permledger/eventstore"
)

// keep does what has to be done to the files until ctx ends. It alone writes
// them and takes segments out of the view.
func (s *Store) keep(ctx context.Context) {
	for {
		err := s.tend(ctx)
		if ctx.Err() != nil {
			return
		}
		s.note(err)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-after(err):
		}
	}
}

// note remembers a failure, and tells of it once.
func (s *Store) note(err error) {
	before := s.failed.Load()
	if err == nil {
		s.failed.Store(nil)
		if before != nil {
			s.options.Logger.Info("command ids can be written again")
		}
		return
	}
	s.failed.Store(&failure{err})
	if before == nil || before.err.Error() != err.Error() {
		s.options.Logger.Warn("command ids could not be written; they stay in memory, or are built from the log again", "error", err)
	}
}

// tend writes, mends and merges until there is nothing left to do.
func (s *Store) tend(ctx context.Context) error {
	for {
		var errs []error
		did := false
		for _, step := range []func(context.Context) (bool, error){s.flush, s.mend, s.merge} {
			some, err := step(ctx)
			did = did || some
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil || !did || ctx.Err() != nil {
			return err
		}
	}
}

// flush writes the tables that are full.
func (s *Store) flush(context.Context) (bool, error) {
	v := s.view.Load()
	full := v.tables[:len(v.tables)-1]
	h, entries, some := gathered(full, s.ledger())
	if !some {
		return false, nil
	}
	g, err := writeSegment(s.dir, h, listed(entries))
	if err != nil {
		return false, err
	}
	s.replace(func(v *view) {
		v.segments = append(slices.Clip(v.segments), g)
		v.tables = v.tables[len(full):]
	})
	return true, nil
}

// merge turns segments of a size into one.
func (s *Store) merge(context.Context) (bool, error) {
	v := s.view.Load()
	from, to := s.mergeable(v.segments)
	if from == to {
		return false, nil
	}
	old := v.segments[from:to]
	h := header{ledger: old[0].ledger, first: old[0].first, through: throughOf(old)}
	for _, g := range old {
		h.count += g.count
	}
	g, err := writeSegment(s.dir, h, merged(old))
	if _, damaged := errors.AsType[*DamageError](err); damaged {
		return true, nil // it was noted with the segment; mend comes first then
	}
	if err != nil {
		return false, err
	}
	return true, s.exchange(old, []*segment{g})
}

// mergeable finds segments next to each other, at least mergeWidth of which have
// the same size and none a larger one.
func (s *Store) mergeable(segments []*segment) (from, to int) {
	for size := 0; ; size++ {
		larger := false
		from, same := 0, 0
		for i, g := range segments {
			switch n := s.sizeOf(g); {
			case n > size || g.damaged.Load():
				larger = larger || n > size
				if same >= mergeWidth {
					return from, i
				}
				from, same = i+1, 0
			case n == size:
				same++
			}
		}
		if same >= mergeWidth {
			return from, len(segments)
		}
		if !larger {
			return 0, 0
		}
	}
}

// sizeOf counts how often segments have been merged to get one of such a size.
func (s *Store) sizeOf(g *segment) int {
	times := g.count / uint64(s.options.Gather)
	return bits.Len64(times) / 2 // 0 below 2, 1 below 8, 2 below 32 …
}

// mend makes damaged segments again from the log.
func (s *Store) mend(ctx context.Context) (bool, error) {
	v := s.view.Load()
	i := slices.IndexFunc(v.segments, func(g *segment) bool { return g.damaged.Load() })
	if i < 0 {
		return false, nil
	}
	old := v.segments[i]
	s.options.Logger.Warn("damaged command ids are being built again from the log", "file", old.name())
	fresh, err := s.rebuild(ctx, throughOf(v.segments[:i]), old, rebuildIDs)
	if err != nil {
		return false, fmt.Errorf("build %s again from the log: %w", old.name(), err)
	}
	if err := s.exchange([]*segment{old}, fresh); err != nil {
		return true, err
	}
	s.options.Logger.Info("damaged command ids were built again from the log", "file", old.name())
	return true, nil
}

// rebuild reads the records that a segment covers again. A segment of more ids
// than a part becomes several.
func (s *Store) rebuild(ctx context.Context, from eventstore.Cursor, old *segment, part int) (fresh []*segment, err error) {
	defer func() {
		if err != nil {
			for _, g := range fresh {
				_ = g.retire() // its file is whole, and found or replaced later
			}
		}
	}()
	t := newTable(old.first)
	var tags tags
	write := func() error {
		h, entries, _ := gathered([]*table{t}, old.ledger) // the last part may have no id
		g, err := writeSegment(s.dir, h, listed(entries))
		if err == nil {
			fresh = append(fresh, g)
			t = newTable(h.through.Sequence + 1)
		}
		return err
	}
	for stored, err := range s.source.Read(ctx, from) {
		if err != nil {
			return fresh, err
		}
		at := stored.Cursor()
		t.take(at, stored.CommandKeys(), &tags)
		if at.Sequence == old.through.Sequence {
			if at.Hash != old.through.Hash {
				return fresh, &eventstore.IntegrityError{
					Position: stored.Record.First, Sequence: at.Sequence,
					Reason: "it is not the record from which the command ids were made: the log was changed or replaced",
				}
			}
			return fresh, write()
		}
		if len(t.at) >= part {
			if err := write(); err != nil {
				return fresh, err
			}
		}
	}
	return fresh, fmt.Errorf("the log ends before record %d", old.through.Sequence)
}

// exchange puts segments in the place of others, whose files it removes.
func (s *Store) exchange(old, fresh []*segment) error {
	s.replace(func(v *view) {
		i := slices.Index(v.segments, old[0])
		v.segments = slices.Concat(v.segments[:i], fresh, v.segments[i+len(old):])
	})
	var errs []error
	for _, g := range old {
		errs = append(errs, g.retire())
		if !slices.ContainsFunc(fresh, func(f *segment) bool { return f.name() == g.name() }) {
			errs = append(errs, os.Remove(filepath.Join(s.dir, g.name())))
		}
	}
	return errors.Join(errs...)
}
