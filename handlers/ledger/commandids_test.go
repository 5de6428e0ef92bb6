package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
)

// turnedOff is the directory of a ledger, as a kill leaves it, in which a permission was granted and revoked
// over and over, with the grants' answers. Some ids are in segments, some were in memory.
func turnedOff(t *testing.T) (dir string, grants map[domain.CommandID]Answer) {
	t.Helper()
	dir, grants = t.TempDir(), make(map[domain.CommandID]Answer)
	for range 3 {
		l, err := Open(t.Context(), Config{Dir: dir, Found: true})
		require.NoError(t, err)
		if len(grants) == 0 {
			ready(t, l)
		}
		for range 70 {
			l.must(t, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
			id := domain.CommandID{UUID: uuid.New()}
			grants[id], err = l.Execute(t.Context(), Call{ID: id, Actor: domaintest.Admin, Command: domaintest.Grant(domain.AzureReservedInstances)})
			require.NoError(t, err)
		}
		l.must(t, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
		_, err = l.writeSnapshot(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
	return dir, grants
}

// resend sends every old grant again: its first answer or "not now" is right. It gives how many were told to
// come again.
func (l *Ledger) resend(t *testing.T, grants map[domain.CommandID]Answer) (later int) {
	t.Helper()
	for id, first := range grants {
		answer, err := l.Execute(t.Context(), Call{ID: id, Actor: domaintest.Admin, Command: domaintest.Grant(domain.AzureReservedInstances)})
		if errors.Is(err, eventstore.ErrUnavailable) {
			later++
			continue
		}
		require.NoError(t, err)
		require.Equal(t, first, answer)
	}
	_, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1), DryRun: true})
	require.ErrorIs(t, err, &domain.Error{Code: domain.CodePermissionOff})
	require.NoError(t, l.Fault())
	return later
}

// flipEach flips one bit in every entry of every file of command ids, in place.
func flipEach(t *testing.T, dir string, bit int) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(CommandIDsDir(dir), "*.ids"))
	require.NoError(t, err)
	require.NotEmpty(t, list)
	for _, path := range list {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		for at := 4096; at < len(content); at += 32 {
			content[at+bit/8] ^= 1 << (bit % 8)
		}
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
}

// The bits of an entry that are flipped: of the id, of the sender's tag, of the record.
var entryBits = map[string]int{"id": 8*15 + 3, "tag": 8*20 + 1, "record": 8*31 + 2}

func TestG4ABitFlippedAmongTheIDsAtRestRepeatsNothing(t *testing.T) {
	t.Parallel()
	for name, bit := range entryBits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, grants := turnedOff(t)
			flipEach(t, dir, bit)
			require.Zero(t, opened(t, dir).resend(t, grants), "the ids are complete before a command is taken")
		})
	}
}

func TestG4ABitFlippedAmongTheIDsOfAServingLedgerRepeatsNothing(t *testing.T) {
	t.Parallel()
	for name, bit := range entryBits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, grants := turnedOff(t)
			l := opened(t, dir)
			flipEach(t, dir, bit)
			require.Positive(t, l.resend(t, grants), "damage under the ledger is noticed")
			for deadline := time.Now().Add(time.Minute); l.resend(t, grants) > 0; {
				require.True(t, time.Now().Before(deadline), "and made good")
			}
			require.True(t, l.Health().Ready)
		})
	}
}

func TestG4LostCommandIDsComeBackFromTheLog(t *testing.T) {
	t.Parallel()
	dir, grants := turnedOff(t)
	require.NoError(t, os.RemoveAll(CommandIDsDir(dir)))
	require.Zero(t, opened(t, dir).resend(t, grants), "though the state came from a snapshot")
}

func TestCommandIDsOfALongerLogAreAnIntegrityFailure(t *testing.T) {
	t.Parallel()
	dir, _ := turnedOff(t)
	early := filepath.Join(t.TempDir(), "early")
	require.NoError(t, os.CopyFS(early, os.DirFS(dir)))
	l, err := Open(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	l.must(t, domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances))
	require.NoError(t, l.Close())
	require.NoError(t, os.RemoveAll(CommandIDsDir(early)))
	require.NoError(t, os.CopyFS(CommandIDsDir(early), os.DirFS(CommandIDsDir(dir))))
	l, err = Open(t.Context(), Config{Dir: early})
	require.NoError(t, err)
	require.ErrorIs(t, l.Fault(), eventstore.ErrIntegrity)
	require.NoError(t, l.Close())
}
