package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"permledger/projections"
	"permledger/projections/sqlite"
)

const (
	// rebuiltEvents is how much of the log is rebuilt in every round. The same rows lie in memory meanwhile.
	rebuiltEvents      = 100_000
	rebuiltEventsQuick = 20_000
	// insertedEvents is how many events' rows one transaction inserts, as many as a rebuild's.
	insertedEvents = 1000
	// insertedRows is how many rows one statement inserts where it can, as a rebuild does.
	insertedRows = 16
)

// modelsSuite measures rebuilds of the read models, beside the insertion of the rows that they make.
var modelsSuite = benchSuite{
	name: "read models",
	measures: []benchMeasure{
		{"all read models rebuilt", perEvent, "rebuild", "the same rows inserted from memory", "insert", ratioAtLeast(0.6)},
		{"all read models of the large ledger rebuilt", perEvent, "rebuild large", "the same rows inserted from memory, of a part", "insert", figureAtLeast(1_000_000.0 / 120)},
	},
	open: openModels,
}

func openModels(ctx context.Context, b *bench) ([]benchLane, func() error, error) {
	large, err := b.largeLog(ctx)
	if err != nil {
		return nil, nil, err
	}
	m := &benchModels{bench: b, large: large, until: uint64(min(b.env.Events, rebuiltEvents))}
	if b.env.Events <= rebuiltEvents {
		m.until = uint64(min(b.env.Events, rebuiltEventsQuick))
	}
	if m.store, err = openBenchStore(ctx, large.dir, false); err != nil {
		return nil, nil, err
	}
	if err := m.load(ctx); err != nil {
		return nil, m.close, err
	}
	return []benchLane{
		lane("rebuild", m.rebuild), lane("insert", m.insert),
		{gives: []string{"rebuild large"}, once: true, run: m.rebuildLarge},
	}, m.close, nil
}

type benchModels struct {
	*bench
	large   *benchLarge
	store   *benchStore
	until   uint64
	made    int // directories made
	tables  []benchTable
	schema  string // of the tables
	indexes string
}

// benchTable is a table with its rows in the order in which the log made them.
type benchTable struct {
	one, many string // statements that insert one row, and insertedRows rows
	columns   int
	values    []any // of all rows, one after the other
}

func (m *benchModels) close() error {
	if m.store == nil {
		return nil
	}
	return m.store.close()
}

// fresh names a directory that is not there yet.
func (m *benchModels) fresh() string {
	m.made++
	return m.subdirectory(fmt.Sprint("models-", m.made))
}

// rebuild makes all read models as of a position, from nothing to a durable file with its indexes.
func (m *benchModels) rebuild(ctx context.Context, _ time.Duration) (float64, error) {
	dir := m.fresh()
	defer os.RemoveAll(dir) //nolint:errcheck // the whole run's directory is removed at the end
	started := time.Now()
	position, err := projections.RebuildTo(ctx, m.store.log, dir, projections.Until{Position: m.until}, nil)
	return float64(position) / time.Since(started).Seconds(), err
}

// rebuildLarge makes those of the whole large ledger, which later suites use.
func (m *benchModels) rebuildLarge(ctx context.Context, _ time.Duration) (benchFigures, error) {
	if err := m.store.close(); err != nil {
		return nil, err
	}
	m.store = nil
	large, err := m.largeModels(ctx)
	if err != nil {
		return nil, err
	}
	m.store, err = openBenchStore(ctx, large.dir, false)
	return benchFigures{"rebuild large": large.rebuilt}, err
}

// load reads the rows of a rebuild and its schema into memory.
func (m *benchModels) load(ctx context.Context) (err error) {
	dir := m.fresh()
	defer os.RemoveAll(dir) //nolint:errcheck // the whole run's directory is removed at the end
	if _, err := projections.RebuildTo(ctx, m.store.log, dir, projections.Until{Position: m.until}, nil); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 1 {
		return errors.Join(err, fmt.Errorf("%d databases were rebuilt, not one", len(files)))
	}
	db, err := sqlite.Open(ctx, files[0], sqlite.Options{Readers: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Read(ctx, func(tx *sqlite.Tx) error {
		var names []string
		err := tx.Query(ctx, func(row *sql.Rows) error {
			var kind, name, statement string
			if err := row.Scan(&kind, &name, &statement); err != nil {
				return err
			}
			if kind == "table" {
				names = append(names, name)
				m.schema += statement + ";\n"
			} else {
				m.indexes += statement + ";\n"
			}
			return nil
		}, `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid`)
		for _, name := range names {
			if err == nil {
				err = m.loadTable(ctx, tx, name)
			}
		}
		return err
	})
}

func (m *benchModels) loadTable(ctx context.Context, tx *sqlite.Tx, name string) error {
	columns, order := 0, ""
	err := tx.Query(ctx, func(row *sql.Rows) error {
		var column string
		columns++
		err := row.Scan(&column)
		if column == "position" || column == "sequence" {
			order = " ORDER BY " + column // as the log made them, not as their key sorts them
		}
		return err
	}, `SELECT name FROM pragma_table_info(?)`, name)
	if err != nil {
		return err
	}
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	t := benchTable{one: "INSERT INTO " + name + " VALUES " + row, columns: columns}
	t.many = t.one + strings.Repeat(", "+row, insertedRows-1)
	into := make([]any, columns)
	err = tx.Query(ctx, func(row *sql.Rows) error {
		at := len(t.values)
		t.values = append(t.values, into...)
		for i := range into {
			into[i] = &t.values[at+i]
		}
		return row.Scan(into...)
	}, "SELECT * FROM "+name+order)
	m.tables = append(m.tables, t)
	return err
}

// insert puts the rows into the same tables of an empty database, opened like that of a rebuild, and makes
// the same indexes. Nothing is read, decoded or folded.
func (m *benchModels) insert(ctx context.Context, _ time.Duration) (figure float64, err error) {
	dir := m.fresh()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the whole run's directory is removed at the end
	started := time.Now()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "inserted.db"), sqlite.Options{Readers: 1, Bulk: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Write(ctx, func(tx *sqlite.Tx) error { return tx.Script(ctx, m.schema) }); err != nil {
		return 0, err
	}
	transactions := int(m.until+insertedEvents-1) / insertedEvents
	for n := range transactions {
		err := db.Write(ctx, func(tx *sqlite.Tx) error {
			for i := range m.tables {
				rows := len(m.tables[i].values) / m.tables[i].columns
				if err := m.tables[i].insert(ctx, tx, rows*n/transactions, rows*(n+1)/transactions); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	if err := db.Write(ctx, func(tx *sqlite.Tx) error { return tx.Script(ctx, m.indexes) }); err != nil {
		return 0, err
	}
	err = db.Seal(ctx)
	return float64(m.until) / time.Since(started).Seconds(), err
}

// insert inserts the rows from one up to another, many with a statement.
func (t *benchTable) insert(ctx context.Context, tx *sqlite.Tx, from, to int) error {
	for from < to {
		statement, n := t.one, 1
		if to-from >= insertedRows {
			statement, n = t.many, insertedRows
		}
		if _, err := tx.Exec(ctx, statement, t.values[from*t.columns:(from+n)*t.columns]...); err != nil {
			return err
		}
		from += n
	}
	return nil
}
