package projections

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/projections/sqlite"
)

// benchLedger holds about 20,000 events.
func benchLedger(b *testing.B) *ledger {
	b.Helper()
	l := newLedger(b)
	newHistory(l, 1).play(40_000)
	return l
}

// BenchmarkRebuild measures how many events a second a rebuild takes in, from records in memory to a
// database that is durable.
func BenchmarkRebuild(b *testing.B) {
	l := benchLedger(b)
	for n := 0; b.Loop(); n++ {
		path := filepath.Join(b.TempDir(), "rebuilt.db")
		require.NoError(b, build(b.Context(), l, path, models, Until{}, nil))
	}
	b.ReportMetric(float64(l.head().Position)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRawInsertion is what BenchmarkRebuild is compared with: the rows that a rebuild makes,
// inserted from memory into the same tables without reading, decoding or folding anything.
func BenchmarkRawInsertion(b *testing.B) {
	ctx := context.Background()
	l := benchLedger(b)
	made := filepath.Join(b.TempDir(), "made.db")
	require.NoError(b, build(ctx, l, made, models, Until{}, nil))
	rows := rowsOf(b, made)
	inserted := 0
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "raw.db")
		st, err := openStore(ctx, path, models, sqlite.Options{Readers: 1, Bulk: true})
		require.NoError(b, err)
		inserted = 0
		for _, t := range rows {
			for ; len(t.rows) > 0; t.rows = t.rows[min(batchEvents, len(t.rows)):] {
				require.NoError(b, st.db.Write(ctx, func(tx *sqlite.Tx) error {
					for _, row := range t.rows[:min(batchEvents, len(t.rows))] {
						if _, err := tx.Exec(ctx, t.insert, row...); err != nil {
							return err
						}
						inserted++
					}
					return nil
				}))
			}
		}
		require.NoError(b, st.finish(ctx))
	}
	b.ReportMetric(float64(l.head().Position)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(inserted)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

type tableRows struct {
	insert string
	rows   [][]any
}

func rowsOf(b *testing.B, path string) []tableRows {
	b.Helper()
	st, err := openStore(b.Context(), path, models, sqlite.Options{Readers: 1})
	require.NoError(b, err)
	var all []tableRows
	require.NoError(b, st.db.Read(b.Context(), func(tx *sqlite.Tx) error {
		for _, m := range models {
			for _, t := range m.tables {
				var found tableRows
				if err := tx.Query(b.Context(), func(row *sql.Rows) error {
					columns, err := row.Columns()
					if err != nil {
						return err
					}
					values, into := make([]any, len(columns)), make([]any, len(columns))
					for i := range values {
						into[i] = &values[i]
					}
					found.insert = fmt.Sprintf("INSERT INTO %s VALUES (?%s)", t.name, strings.Repeat(", ?", len(columns)-1))
					found.rows = append(found.rows, values)
					return row.Scan(into...)
				}, "SELECT * FROM "+t.name); err != nil {
					return err
				}
				all = append(all, found)
			}
		}
		return nil
	}))
	require.NoError(b, st.db.Close())
	require.NoError(b, os.Remove(path))
	return all
}

// BenchmarkActivityPage measures a page of fifty in the middle of a long list.
func BenchmarkActivityPage(b *testing.B) {
	l := newLedger(b)
	newHistory(l, 1).play(5000)
	m := live(b, l, b.TempDir())
	defer func() { require.NoError(b, m.Close()) }()
	for b.Loop() {
		if _, err := m.Activity(context.Background(), OfPartner(partnerA), ActivityFilter{}, Paging{}); err != nil {
			b.Fatal(err)
		}
	}
}
