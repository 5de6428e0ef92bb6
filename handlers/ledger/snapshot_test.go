package ledger

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
	"permledger/projections"
)

// saved is the directory of a closed ledger with a snapshot and some events after it.
func saved(t *testing.T) (dir string, bought, later domain.CommandID, at eventstore.Cursor) {
	t.Helper()
	dir = t.TempDir()
	l, err := Open(t.Context(), Config{Dir: dir, Found: true})
	require.NoError(t, err)
	ready(t, l)
	bought, later = domain.CommandID{UUID: uuid.New()}, domain.CommandID{UUID: uuid.New()}
	_, err = l.Execute(t.Context(), Call{ID: bought, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
	require.NoError(t, err)
	at, err = l.writeSnapshot(t.Context())
	require.NoError(t, err)
	_, err = l.Execute(t.Context(), Call{ID: later, Actor: domaintest.Admin, Command: domaintest.Revoke(domain.AzureReservedInstances)})
	require.NoError(t, err)
	require.NoError(t, l.models.WaitFor(t.Context(), l.Head().Position))
	require.NoError(t, l.Close())
	return dir, bought, later, at
}

func TestAStartFromASnapshotIsAStartFromTheLog(t *testing.T) {
	t.Parallel()
	dir, bought, later, at := saved(t)
	book, from, err := readSnapshot(dir, ledgerOf(t, dir))
	require.NoError(t, err)
	require.Equal(t, at, from)
	require.Equal(t, at.Position, book.Head())

	l := opened(t, dir)
	require.Equal(t, at.Position+1, l.Book().Head(), "what came after the snapshot was folded")
	_, err = l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
	require.ErrorIs(t, err, &domain.Error{Code: domain.CodePermissionOff})
	for id, command := range map[domain.CommandID]domain.Command{bought: domaintest.Purchase(1), later: domaintest.Revoke(domain.AzureReservedInstances)} {
		actor := domaintest.Admin
		if id == bought {
			actor = domaintest.Buyer
		}
		answer, err := l.Execute(t.Context(), Call{ID: id, Actor: actor, Command: command})
		require.NoError(t, err)
		require.Len(t, answer.Events, 1, "ids from before the snapshot and after it keep their answers (L3)")
		require.LessOrEqual(t, answer.Position, at.Position+1)
	}
}

// ledgerOf opens a closed ledger's log for its id.
func ledgerOf(t *testing.T, dir string) uuid.UUID {
	t.Helper()
	s, err := OpenStore(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	id, _, known := s.Log.Ledger()
	require.True(t, known)
	return id
}

func TestASnapshotThatCannotBeUsedCostsOnlyTime(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func([]byte) []byte{
		"a flipped bit":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated":      func(b []byte) []byte { return b[:len(b)/2] },
		"empty":          func([]byte) []byte { return nil },
		"something else": func([]byte) []byte { return bytes.Repeat([]byte("x"), 4096) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _, _, at := saved(t)
			path := filepath.Join(dir, snapshotFile)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, spoil(data), 0o600))
			_, _, err = readSnapshot(dir, ledgerOf(t, dir))
			require.ErrorIs(t, err, errNoSnapshot)
			require.Equal(t, at.Position+1, opened(t, dir).Book().Head())
		})
	}
}

func TestASnapshotOfAnotherLedgerIsNotUsed(t *testing.T) {
	t.Parallel()
	dir, _, _, _ := saved(t)
	_, _, err := readSnapshot(dir, uuid.New())
	require.ErrorIs(t, err, errNoSnapshot)
}

func TestASnapshotWhoseRecordTheLogDoesNotHoldIsAnIntegrityFailure(t *testing.T) {
	t.Parallel()
	dir, _, _, at := saved(t)
	book, _, err := readSnapshot(dir, ledgerOf(t, dir))
	require.NoError(t, err)
	store, err := OpenStore(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	at.Hash[0] ^= 1
	w := eventstore.NewWriter(store.Log, book, projections.Codec{}, upTo(at.Sequence), eventstore.WriterOptions{From: at})
	require.ErrorIs(t, w.Start(t.Context()), eventstore.ErrIntegrity)
}

// upTo is an index that has taken in a number of records.
type upTo uint64

func (u upTo) Find(context.Context, uuid.UUID) (uint64, bool, error) { return 0, false, nil }
func (u upTo) Through() uint64                                       { return uint64(u) }
