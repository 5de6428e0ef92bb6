package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"permledger/eventstore"
	"permledger/projections/sqlite"
)

// store is one database file with all models in it.
type store struct {
	db     *sqlite.DB
	models []model
	cursor eventstore.Cursor // owned by whoever applies

	queries sync.WaitGroup // queries under way; none begin once the store is replaced
}

// openStore opens a database file, making its tables where there are none. With bulk, the indexes that
// only queries use are left out until finish.
func openStore(ctx context.Context, path string, list []model, o sqlite.Options) (*store, error) {
	db, err := sqlite.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	s := &store{db: db, models: list}
	if err := s.load(ctx, o.Bulk); err != nil {
		_ = db.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

func (s *store) load(ctx context.Context, bulk bool) error {
	return s.db.Write(ctx, func(tx *sqlite.Tx) error {
		var made bool
		if _, err := tx.One(ctx, []any{&made}, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'checkpoint')`); err != nil {
			return fmt.Errorf("read the schema: %w", err)
		}
		if !made {
			if err := tx.Script(ctx, schemaOf(s.models)); err != nil {
				return fmt.Errorf("make the tables: %w", err)
			}
			if !bulk {
				if err := s.index(ctx, tx); err != nil {
					return err
				}
			}
		}
		var err error
		s.cursor, err = readCursor(ctx, tx)
		return err
	})
}

func (s *store) index(ctx context.Context, tx *sqlite.Tx) error {
	if err := tx.Script(ctx, indexesOf(s.models)); err != nil {
		return fmt.Errorf("make the indexes: %w", err)
	}
	return nil
}

// finish turns a database filled in bulk into one like any other, durable and closed.
func (s *store) finish(ctx context.Context) error {
	if err := s.db.Write(ctx, func(tx *sqlite.Tx) error { return s.index(ctx, tx) }); err != nil {
		return err
	}
	if err := s.db.Seal(ctx); err != nil {
		return err
	}
	return s.db.Close()
}

// apply folds records into the rows, in one transaction with the checkpoint. Events after position
// until are left out together with everything behind them; 0 leaves out none.
func (s *store) apply(ctx context.Context, records []delivery, until uint64) error {
	cursor := s.cursor
	err := s.db.Write(ctx, func(tx *sqlite.Tx) error {
		b := newBatch(ctx, tx)
		for i := range records {
			next, err := s.fold(b, cursor, &records[i], until)
			if err != nil {
				return err
			}
			cursor = next
		}
		if err := b.flush(); err != nil {
			return err
		}
		return writeCursor(b, cursor)
	})
	if err != nil {
		return fmt.Errorf("fold into the read models after position %d: %w", s.cursor.Position, err)
	}
	s.cursor = cursor
	return nil
}

// fold takes in one record, which must be the one after the cursor. One that was taken in before changes
// nothing.
func (s *store) fold(b *batch, cursor eventstore.Cursor, d *delivery, until uint64) (eventstore.Cursor, error) {
	if d.cursor.Sequence <= cursor.Sequence {
		return cursor, nil
	}
	if err := follows(cursor, d); err != nil {
		return cursor, err
	}
	for _, e := range d.events {
		if until != 0 && e.Position > until {
			// The checkpoint keeps the last whole record, beside the position of the last event.
			cursor.Position, cursor.Time = until, d.cursor.Time
			return cursor, nil
		}
		if err := s.foldEvent(b, e); err != nil {
			return cursor, fmt.Errorf("event %d (%s): %w", e.Position, e.Event.EventType(), err)
		}
	}
	return d.cursor, nil
}

func (s *store) foldEvent(b *batch, e Entry) error {
	for _, m := range s.models {
		if err := m.event(b, e); err != nil {
			return fmt.Errorf("read model %s: %w", m.name, err)
		}
	}
	return nil
}

// follows refuses a record that is not the very next one.
func follows(cursor eventstore.Cursor, d *delivery) error {
	fault := &eventstore.IntegrityError{Position: cursor.Position + 1, Sequence: d.cursor.Sequence}
	switch {
	case d.cursor.Sequence != cursor.Sequence+1:
		fault.Reason = fmt.Sprintf("records %d to %d did not reach the read models", cursor.Sequence+1, d.cursor.Sequence-1)
	case d.previous != cursor.Hash:
		fault.Reason = "it does not follow the record from which the read models were made"
	case d.first != cursor.Position+1:
		fault.Reason = fmt.Sprintf("its first event is %d; the read models hold %d", d.first, cursor.Position)
	default:
		return nil
	}
	return fault
}

// readCursor gives the checkpoint as of the transaction's state.
func readCursor(ctx context.Context, tx *sqlite.Tx) (eventstore.Cursor, error) {
	var c eventstore.Cursor
	var hash []byte
	var nanos int64
	found, err := tx.One(ctx, []any{&c.Sequence, &c.Position, &hash, &nanos}, `SELECT sequence, position, hash, time FROM checkpoint`)
	if err != nil {
		return c, fmt.Errorf("read the checkpoint: %w", err)
	}
	if !found || copy(c.Hash[:], hash) != len(c.Hash) {
		return c, errors.New("the read models have no checkpoint: remove their directory to make them anew")
	}
	if c.Sequence > 0 {
		c.Time = time.Unix(0, nanos).UTC()
	}
	return c, nil
}

func writeCursor(b *batch, c eventstore.Cursor) error {
	nanos := int64(0)
	if !c.Time.IsZero() {
		nanos = c.Time.UnixNano()
	}
	return b.exec(`UPDATE checkpoint SET sequence = ?, position = ?, hash = ?, time = ?`,
		int64(c.Sequence), int64(c.Position), c.Hash[:], nanos)
}
