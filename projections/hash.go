package projections

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash"

	"permledger/eventstore"
	"permledger/projections/sqlite"
)

// ContentHash is a digest of all rows. Two databases with the same position and the same hash hold the
// same rows, whatever the way in which they came to hold them.
type ContentHash struct {
	Position uint64                     `json:"position"`
	Hash     eventstore.Hash            `json:"hash"`
	Models   map[string]eventstore.Hash `json:"models"` // by the name of the read model
}

// ContentHash reads every row of every model from one state of the database.
func (m *Models) ContentHash(ctx context.Context) (ContentHash, error) {
	st, err := m.acquire()
	if err != nil {
		return ContentHash{}, err
	}
	defer st.queries.Done()
	var content ContentHash
	err = st.db.Read(ctx, func(tx *sqlite.Tx) (err error) {
		content, err = st.contentHash(ctx, tx)
		return err
	})
	return content, err
}

func (s *store) contentHash(ctx context.Context, tx *sqlite.Tx) (ContentHash, error) {
	content := ContentHash{Models: make(map[string]eventstore.Hash, len(s.models))}
	cursor, err := readCursor(ctx, tx)
	if err != nil {
		return ContentHash{}, err
	}
	content.Position = cursor.Position
	all := sha256.New()
	for _, model := range s.models {
		one := sha256.New()
		for _, t := range model.tables {
			if err := t.hash(ctx, tx, one); err != nil {
				return ContentHash{}, fmt.Errorf("hash table %s: %w", t.name, err)
			}
		}
		sum := eventstore.Hash(one.Sum(nil))
		content.Models[model.name] = sum
		writeField(all, 't', []byte(model.name))
		writeField(all, 'b', sum[:])
	}
	content.Hash = eventstore.Hash(all.Sum(nil))
	return content, nil
}

// hash adds a table's rows in the order of their key. Every value is written with its type and length,
// so that no two different tables give the same bytes.
func (t table) hash(ctx context.Context, tx *sqlite.Tx, h hash.Hash) error {
	writeField(h, 't', []byte(t.name))
	var values, into []any
	var number [8]byte
	return tx.Query(ctx, func(row *sql.Rows) error {
		if values == nil {
			columns, err := row.Columns()
			if err != nil {
				return err
			}
			values, into = make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
		}
		if err := row.Scan(into...); err != nil {
			return err
		}
		h.Write([]byte{'r'})
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				writeField(h, 'n', nil)
			case int64:
				writeField(h, 'i', binary.BigEndian.AppendUint64(number[:0], uint64(v)))
			case string:
				writeField(h, 't', []byte(v))
			case []byte:
				writeField(h, 'b', v)
			default:
				return fmt.Errorf("a column holds %T", v)
			}
		}
		return nil
	}, "SELECT * FROM "+t.name+" ORDER BY "+t.key)
}

// writeField adds one value with its type and length.
func writeField(h hash.Hash, kind byte, value []byte) {
	var head [9]byte
	head[0] = kind
	binary.BigEndian.PutUint64(head[1:], uint64(len(value)))
	h.Write(head[:])
	h.Write(value)
}
