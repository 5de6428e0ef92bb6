package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"permledger/eventstore"
	"permledger/projections/sqlite"
)

// Rebuild makes all rows anew from the log, in a database beside the one that goes on answering and
// following, and then replaces it at once. A crash at any moment leaves either the old or the new one.
func (m *Models) Rebuild(ctx context.Context, source Source, progress func(Progress)) error {
	m.rebuilding.Lock()
	defer m.rebuilding.Unlock()
	if _, err := m.verify(ctx, source); err != nil {
		return err
	}
	m.mu.RLock()
	next := m.generation + 1
	m.mu.RUnlock()
	final := m.path(next)
	if err := build(ctx, source, final, m.models, Until{}, progress); err != nil {
		return fmt.Errorf("rebuild the read models: %w", err)
	}
	return m.swap(ctx, source, final, next)
}

// swap lets a rebuilt database answer from now on and removes the one it replaces.
func (m *Models) swap(ctx context.Context, source Source, path string, generation int) error {
	if _, err := unseal(path); err != nil {
		return err
	}
	fresh, err := openStore(ctx, path, m.models, sqlite.Options{Readers: m.options.Readers})
	if err != nil {
		return err
	}
	old, err := m.replace(ctx, source, fresh, generation)
	if err != nil {
		return errors.Join(err, fresh.db.Close(), remove(path))
	}
	old.queries.Wait()
	return errors.Join(old.db.Close(), remove(old.db.Path()))
}

// replace puts a store in the place of the current one, once it has what that was given meanwhile: no
// reader ever goes back in time.
func (m *Models) replace(ctx context.Context, source Source, fresh *store, generation int) (old *store, err error) {
	m.applying.Lock()
	defer m.applying.Unlock()
	if fresh.cursor.Sequence < m.Checkpoint().Sequence {
		if err := fresh.fill(ctx, source, Until{}, newMeter(0, 0, nil)); err != nil {
			return nil, err
		}
	}
	if fresh.cursor.Sequence < m.Checkpoint().Sequence {
		return nil, fmt.Errorf("the log ended at record %d; the read models hold %d", fresh.cursor.Sequence, m.Checkpoint().Sequence)
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, ErrClosed
	}
	old = m.current
	m.current, m.generation, m.doubted = fresh, generation, false
	m.mu.Unlock()
	m.advance(fresh.cursor)
	return old, nil
}

// Until is where an as-of rebuild stops. The zero value does not stop before the head.
type Until struct {
	Position uint64    // the last event taken in; 0 for any
	Time     time.Time // the newest recorded time taken in; zero for any
}

// RebuildTo makes the rows as they were at a position or a moment, in a directory of its own, and gives
// the position reached. Open the directory to ask them; they follow the log no further.
func RebuildTo(ctx context.Context, source Source, dir string, until Until, progress func(Progress)) (uint64, error) {
	fingerprint := fingerprintOf(models)
	generation, err := newestGeneration(dir, fingerprint)
	if err != nil {
		return 0, err
	}
	if found, err := databases(dir); err != nil || len(found) > 0 {
		return 0, errors.Join(err, fmt.Errorf("%s holds read models already: give a directory of its own", dir))
	}
	path := databasePath(dir, fingerprint, generation)
	if err := build(ctx, source, path, models, until, progress); err != nil {
		return 0, fmt.Errorf("rebuild the read models into %s: %w", dir, err)
	}
	made, err := Open(ctx, dir, Options{Readers: 1})
	if err != nil {
		return 0, err
	}
	return made.Checkpoint().Position, made.Close()
}

// build fills a new database from the log, and gives it its name once it is complete and durable.
func build(ctx context.Context, source Source, path string, list []model, until Until, progress func(Progress)) error {
	head, err := source.Head(ctx)
	if err != nil {
		return fmt.Errorf("find the head of the log: %w", err)
	}
	if until.Position != 0 {
		head.Position = min(head.Position, until.Position)
	}
	unfinished := path + building
	if err := remove(unfinished); err != nil {
		return err
	}
	st, err := openStore(ctx, unfinished, list, sqlite.Options{Readers: 1, Bulk: true})
	if err != nil {
		return err
	}
	if err := st.fill(ctx, source, until, newMeter(0, head.Position, progress)); err != nil {
		return errors.Join(err, st.db.Close(), remove(unfinished))
	}
	if err := st.finish(ctx); err != nil {
		return errors.Join(err, st.db.Close(), remove(unfinished))
	}
	if err := publish(unfinished, path); err != nil {
		return err
	}
	return seal(path)
}

// fill folds the log from where the store stands up to the head, or to where until says.
func (s *store) fill(ctx context.Context, source Source, until Until, m *meter) error {
	f := newFeed(ctx, source.Read, s.cursor)
	defer f.stop()
	for {
		records, err := f.batch(ctx, ^uint64(0))
		if err != nil {
			return err
		}
		wanted := until.take(s.cursor, records)
		if len(wanted) == 0 {
			return nil
		}
		if err := s.apply(ctx, wanted, until.Position); err != nil {
			return err
		}
		m.report(s.cursor.Position)
		if len(wanted) < len(records) {
			return nil
		}
	}
}

// take gives those of the records that begin before the end: at or before the position, and not after
// the time.
func (u Until) take(at eventstore.Cursor, records []delivery) []delivery {
	for i, r := range records {
		if u.Position != 0 && at.Position >= u.Position || !u.Time.IsZero() && r.cursor.Time.After(u.Time) {
			return records[:i]
		}
		at = r.cursor
	}
	return records
}
