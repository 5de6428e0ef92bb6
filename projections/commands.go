package projections

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"permledger/eventstore"
	"permledger/projections/sqlite"
)

var commandsModel = model{
	name:    "commands",
	version: 1,
	tables: []table{{
		name: "commands",
		schema: `(
	id       BLOB PRIMARY KEY,
	sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID`,
		key: "id",
	}},
	command: func(b *batch, sequence uint64, s sent) error {
		return b.add(commandRows, guid(s.id.UUID), int64(sequence))
	},
}

var commandRows = appendTo("commands", "id", "sequence")

var _ eventstore.Index = (*Models)(nil)

// Find gives the record that holds a command, whether or not the command led to an event. An id that was
// never used is answered from memory most of the time.
func (m *Models) Find(ctx context.Context, id uuid.UUID) (sequence uint64, found bool, err error) {
	st, err := m.acquire()
	if err != nil {
		return 0, false, err
	}
	defer st.queries.Done()
	if !st.ids.mayHold(id) {
		return 0, false, nil
	}
	err = st.db.Read(ctx, func(tx *sqlite.Tx) error {
		found, err = tx.One(ctx, []any{&sequence}, `SELECT sequence FROM commands WHERE id = ?`, id[:])
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("find command %s: %w", id, err)
	}
	return sequence, found, nil
}

// Through is the sequence of the newest record whose commands Find knows.
func (m *Models) Through() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.current.through.Load()
}
