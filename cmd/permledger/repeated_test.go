package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// repeating adds the last record of an export to it once more, as if its commands had been carried out again,
// and gives the position of its first event.
func repeating(t *testing.T, export string) (position uint64) {
	t.Helper()
	data, err := os.ReadFile(export)
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	last := lines[len(lines)-1]
	r, err := eventstore.DecodeRecord(last)
	require.NoError(t, err)
	r.First, r.Previous = r.Last()+1, eventstore.HashOf(last)
	data = append(eventstore.AppendRecord(data, &r), '\n')
	require.NoError(t, os.WriteFile(export, data, 0o600))
	return r.First
}

func TestG4ACommandRecordedTwiceIsRefusedByVerifyAndLivedWith(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ledger")
	s, admin, _ := prepared(t, dir)
	s.accepted(admin, "RevokePurchasePermission", permission)
	id := uuid.NewString()
	grant := func(s *server) answer {
		a, err := s.request(t.Context(), http.MethodPost, "/api/commands/GrantPurchasePermission", admin, id, permission)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		return a
	}
	first := grant(s)
	s.stop()
	export := exported(t, dir)
	position := repeating(t, export)

	again := filepath.Join(t.TempDir(), "again")
	imported := invoke(t, again, "import", export)
	require.Zero(t, imported.code, imported.stderr)
	require.Contains(t, imported.stderr, fmt.Sprintf("command %s of tenant %s is recorded", id, fabrikam))
	refused := invoke(t, again, "verify")
	require.Equal(t, exitIntegrity, refused.code)
	require.Contains(t, refused.stderr, fmt.Sprintf("position %d", position))
	require.Contains(t, refused.stderr, id)
	succeeds(t, again, "-q", "replay")

	keys, err := os.ReadFile(filepath.Join(dir, "dev-token-key.pem")) // the same tokens
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(again, "dev-token-key.pem"), keys, 0o600))
	s = serve(t, again)
	require.Equal(t, string(first.body), string(grant(s).body), "the first record is the answer")
	require.Equal(t, strconv.FormatUint(position, 10), s.get("/api/customers", admin).header.Get("Ledger-Position"))
	s.stop()

	backup := filepath.Join(t.TempDir(), "backup")
	succeeds(t, again, "backup", backup)
	restored := invoke(t, filepath.Join(t.TempDir(), "restored"), "restore", backup)
	require.Zero(t, restored.code, restored.stderr)
	require.Contains(t, restored.stderr, id)
}
