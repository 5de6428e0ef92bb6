package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
	"permledger/projections/sqlite"
)

func TestWhoWaitsForAPositionReadsItsWrite_G6(t *testing.T) {
	t.Parallel()
	b := tell(t)
	var wait sync.WaitGroup
	for n := range 20 {
		id := domain.TenantID{UUID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "customer %d", n))}
		facts := b.send(cast.Admin, domain.RegisterCustomer{CustomerID: id, CompanyName: "Customer", Domain: "customer.example"})
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := b.WaitFor(ctx, facts[0].Position); err != nil {
				t.Error(err)
			}
			if _, position, err := b.Customer(ctx, OfCustomer(cast.Partner, id)); err != nil || position < facts[0].Position {
				t.Errorf("at position %d: %v", position, err)
			}
		})
	}
	wait.Wait()
	short, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.WaitFor(short, 1<<40), context.Canceled)
}

func TestWaitingAndReadingEndWhenTheModelsClose(t *testing.T) {
	t.Parallel()
	m, err := Open(t.Context(), t.TempDir(), Options{})
	require.NoError(t, err)
	waited := make(chan error, 1)
	go func() { waited <- m.WaitFor(context.Background(), 1) }()
	require.NoError(t, m.Close())
	require.ErrorIs(t, <-waited, ErrClosed)
	_, err = m.Customers(t.Context(), OfPartner(partnerA), CustomerFilter{}, Paging{})
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, m.Close(), "a second time as well")
}

func TestAStreamHearsOfEveryAdvance(t *testing.T) {
	t.Parallel()
	b := tell(t)
	position, changed := b.Advanced()
	require.Equal(t, b.head().Position, position)
	b.send(cast.Admin, domain.RecordSubscription{CustomerID: cast.Customer, SubscriptionID: cast.Subscription, Kind: domain.AzurePlan, Name: "Prod"})
	<-changed
	again, _ := b.Advanced()
	require.Equal(t, position+1, again)
}

// columnsOf lists the columns of a table.
func columnsOf(t *testing.T, m *Models, table string) (columns []string) {
	t.Helper()
	require.NoError(t, m.current.db.Read(t.Context(), func(tx *sqlite.Tx) error {
		return tx.Query(t.Context(), func(row *sql.Rows) error {
			var name string
			err := row.Scan(&name)
			columns = append(columns, name)
			return err
		}, `SELECT name FROM pragma_table_info(?)`, table)
	}))
	return columns
}

// emptyColumn names a column that holds no value in any row; empty when every column does somewhere.
func emptyColumn(t *testing.T, m *Models) (empty string) {
	t.Helper()
	for _, model := range models {
		for _, table := range model.tables {
			for _, column := range columnsOf(t, m, table.name) {
				var held bool
				require.NoError(t, m.current.db.Read(t.Context(), func(tx *sqlite.Tx) error {
					_, err := tx.One(t.Context(), []any{&held}, fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM %s WHERE %s IS NOT NULL)`, table.name, column))
					return err
				}))
				if !held {
					return table.name + "." + column
				}
			}
		}
	}
	return ""
}

func TestTheContentHashSeesEverySingleCell(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	h := newHistory(l, 65)
	m := folded(t, l)
	for rounds := 0; emptyColumn(t, m) != ""; rounds++ {
		require.Less(t, rounds, 50, "%s holds a value somewhere", emptyColumn(t, m))
		h.play(60)
		caughtUp(t, m, l)
	}
	before := contentOf(t, m)
	require.Equal(t, l.head().Position, before.Position)
	require.Len(t, before.Models, len(models))
	seen := map[string]bool{before.Hash.String(): true}
	undo := errors.New("undo")
	for _, model := range models {
		for _, table := range model.tables {
			for _, column := range columnsOf(t, m, table.name) {
				// One cell of one row, by a little; what it holds now comes back afterwards.
				change := fmt.Sprintf(`UPDATE %[1]s SET %[2]s = CASE typeof(%[2]s)
					WHEN 'integer' THEN %[2]s + 1000000000 WHEN 'text' THEN %[2]s || ' ' WHEN 'blob' THEN randomblob(16) ELSE NULL END
					WHERE (%[3]s) IN (SELECT %[3]s FROM %[1]s WHERE %[2]s IS NOT NULL LIMIT 1)`, table.name, column, table.key)
				err := m.current.db.Write(t.Context(), func(tx *sqlite.Tx) error {
					result, err := tx.Exec(t.Context(), change)
					require.NoError(t, err, change)
					n, err := result.RowsAffected()
					require.NoError(t, err)
					require.EqualValues(t, 1, n, change)
					content, err := m.current.contentHash(t.Context(), tx)
					require.NoError(t, err)
					require.NotContains(t, seen, content.Hash.String(), "%s.%s", table.name, column)
					require.NotEqual(t, before.Models[model.name], content.Models[model.name])
					seen[content.Hash.String()] = true
					return undo
				})
				require.ErrorIs(t, err, undo)
			}
		}
	}
	require.Equal(t, before, contentOf(t, m))
}

func TestRandomHistoriesHoldEveryEvent(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 61).play(2000)
	seen := map[string]int{}
	for _, r := range l.records {
		for _, c := range r.Record.Commands {
			for _, e := range c.Events {
				seen[e.Type]++
			}
		}
	}
	for _, kind := range domain.EventKinds() {
		require.Positive(t, seen[kind.Name], kind.Name)
		require.NotEqual(t, kind.Name, Label(kind.Name, "en"), "it has a label")
		require.NotEqual(t, Label(kind.Name, "en"), Label(kind.Name, "zh-TW"))
	}
	require.Equal(t, "PermissionLent", Label("PermissionLent", "en"))
}

func TestEveryCommandNamesWhatItAttempts(t *testing.T) {
	t.Parallel()
	for _, c := range domain.Commands() {
		_, named := attempts[c.CommandName()]
		_, purchase := purchaseAttempts[c.CommandName()]
		require.NotEqual(t, named, purchase, "%s: one of both", c.CommandName())
	}
	for _, p := range purchaseAttempts {
		require.Contains(t, labels, p.by(cast.Buyer))
		require.Contains(t, labels, p.by(cast.Admin))
	}
	for _, action := range attempts {
		require.Contains(t, labels, action)
	}
}
