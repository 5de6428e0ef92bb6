package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/projections/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes a database with one table of numbers.
func open(t *testing.T, path string, o sqlite.Options) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Write(t.Context(), func(tx *sqlite.Tx) error {
		return tx.Script(t.Context(), `CREATE TABLE IF NOT EXISTS numbers (n INTEGER PRIMARY KEY) STRICT; CREATE TABLE IF NOT EXISTS other (n INTEGER) STRICT;`)
	}))
	return db
}

func add(ctx context.Context, n int) func(*sqlite.Tx) error {
	return func(tx *sqlite.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO numbers VALUES (?)`, n)
		return err
	}
}

func count(ctx context.Context, tx *sqlite.Tx) (n int, err error) {
	_, err = tx.One(ctx, []any{&n}, `SELECT count(*) FROM numbers`)
	return n, err
}

func counted(t *testing.T, db *sqlite.DB) (n int) {
	t.Helper()
	require.NoError(t, db.Read(t.Context(), func(tx *sqlite.Tx) (err error) {
		n, err = count(t.Context(), tx)
		return err
	}))
	return n
}

func TestATransactionThatFailsOrPanicsLeavesNothing(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "a b?c#d.db"), sqlite.Options{})
	failed := errors.New("failed")
	require.ErrorIs(t, db.Write(t.Context(), func(tx *sqlite.Tx) error {
		return errors.Join(add(t.Context(), 1)(tx), failed)
	}), failed)
	require.Panics(t, func() {
		_ = db.Write(t.Context(), func(tx *sqlite.Tx) error {
			if err := add(t.Context(), 1)(tx); err != nil {
				return err
			}
			panic("in the middle")
		})
	})
	require.Zero(t, counted(t, db))
	require.NoError(t, db.Write(t.Context(), add(t.Context(), 1)), "and the next one works")
	require.Equal(t, 1, counted(t, db))
	require.FileExists(t, db.Path())
}

func TestAReaderSeesOneStateAndCannotWrite(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "db"), sqlite.Options{})
	require.NoError(t, db.Read(t.Context(), func(tx *sqlite.Tx) error {
		before, err := count(t.Context(), tx)
		require.NoError(t, err)
		require.NoError(t, db.Write(t.Context(), add(t.Context(), 1)))
		after, err := count(t.Context(), tx)
		require.Equal(t, before, after)
		require.Error(t, add(t.Context(), 2)(tx))
		return err
	}))
	require.Equal(t, 1, counted(t, db))
}

func TestAReaderWaitsForAConnectionAsLongAsItIsLet(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "db"), sqlite.Options{Readers: 1})
	require.NoError(t, db.Read(t.Context(), func(*sqlite.Tx) error {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, db.Read(gone, func(*sqlite.Tx) error { return nil }), context.Canceled)
		return nil
	}))
}

func TestMoreStatementsThanAreKeptWorkAsWell(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "db"), sqlite.Options{Readers: 1})
	require.NoError(t, db.Read(t.Context(), func(tx *sqlite.Tx) error {
		for n := range 600 {
			var got int
			found, err := tx.One(t.Context(), []any{&got}, fmt.Sprintf(`SELECT %d WHERE ?`, n), true)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, n, got)
		}
		return nil
	}))
	require.NoError(t, db.Write(t.Context(), func(tx *sqlite.Tx) error {
		for n := range 600 {
			if _, err := tx.Exec(t.Context(), fmt.Sprintf(`INSERT INTO other VALUES (%d)`, n)); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestWhatScanSaysEndsTheQuery(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "db"), sqlite.Options{Readers: 1})
	require.NoError(t, db.Write(t.Context(), add(t.Context(), 1)))
	enough := errors.New("enough")
	require.ErrorIs(t, db.Read(t.Context(), func(tx *sqlite.Tx) error {
		return tx.Query(t.Context(), func(*sql.Rows) error { return enough }, `SELECT n FROM numbers`)
	}), enough)
	require.Equal(t, 1, counted(t, db))
}

func TestASealedFileAloneHoldsEverything(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, sqlite.Options{Bulk: true})
	for n := range 1000 {
		require.NoError(t, db.Write(t.Context(), add(t.Context(), n)))
	}
	require.NoError(t, db.Seal(t.Context()))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	alone := filepath.Join(t.TempDir(), "alone")
	require.NoError(t, os.WriteFile(alone, content, 0o600))
	require.Equal(t, 1000, counted(t, open(t, alone, sqlite.Options{})))
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	require.NoError(t, os.WriteFile(path, []byte("this is no database, however long it may be: "+fmt.Sprint(make([]int, 2000))), 0o600))
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.Error(t, err)
	_, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "missing", "db"), sqlite.Options{})
	require.Error(t, err)
}
