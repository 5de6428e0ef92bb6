package projections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"permledger/projections/sqlite"
)

// batch is the transaction in which the folds write. Statements run at once and in order; appended rows
// are gathered and run many at a time, which spares most of what a single statement costs. A change writes
// what has been gathered first, for it may be about one of those rows.
type batch struct {
	ctx      context.Context
	tx       *sqlite.Tx
	gathered map[*appended][]any
}

func newBatch(ctx context.Context, tx *sqlite.Tx) *batch {
	return &batch{ctx: context.WithoutCancel(ctx), tx: tx, gathered: make(map[*appended][]any, len(appendedTables))}
}

// exec runs a statement now.
func (b *batch) exec(query string, args ...any) error {
	_, err := b.tx.Exec(b.ctx, query, args...)
	return err
}

// change runs an update that must find its row: an event about something that no event created means
// that the rows are not what the log says.
func (b *batch) change(what string, id fmt.Stringer, query string, args ...any) error {
	if err := b.flush(); err != nil {
		return err
	}
	result, err := b.tx.Exec(b.ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("%s %s is changed by an event, but no event created it (%w)", what, id, err)
	}
	return nil
}

// appended is a table to which rows are added.
type appended struct {
	one, many string // statements that insert one row, and rowsPerInsert rows
	columns   int
}

// rowsPerInsert is how many gathered rows one statement inserts: more gain nothing.
const rowsPerInsert = 16

// appendedTables are in the order in which what they gathered is written.
var appendedTables = []*appended{eventRows, activityRows, newOrders, newReservations}

func appendTo(table string, columns ...string) *appended {
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	insert := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + row
	return &appended{one: insert, many: insert + strings.Repeat(", "+row, rowsPerInsert-1), columns: len(columns)}
}

// add gathers a row.
func (b *batch) add(t *appended, values ...any) error {
	if len(values) != t.columns {
		return fmt.Errorf("%d values for %d columns: %s", len(values), t.columns, t.one)
	}
	rows := append(b.gathered[t], values...)
	if len(rows) < rowsPerInsert*t.columns {
		b.gathered[t] = rows
		return nil
	}
	b.gathered[t] = rows[:0]
	return b.exec(t.many, rows...)
}

// flush writes what is still gathered.
func (b *batch) flush() error {
	for _, t := range appendedTables {
		rows := b.gathered[t]
		for ; len(rows) > 0; rows = rows[t.columns:] {
			if err := b.exec(t.one, rows[:t.columns]...); err != nil {
				return err
			}
		}
		b.gathered[t] = b.gathered[t][:0]
	}
	return nil
}

// guid is how an id is stored: its 16 bytes, or NULL for none.
func guid(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

// instant is how a time is stored: nanoseconds since 1970, UTC.
func instant(t time.Time) any { return t.UnixNano() }

// text is how an optional text is stored: NULL when empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}
