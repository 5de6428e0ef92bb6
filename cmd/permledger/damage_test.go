package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// filled is a data directory with a procedure and some purchases, closed.
func filled(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	s, _, buyer := prepared(t, dir)
	for range 50 {
		s.accepted(buyer, "PurchaseReservation", wanted(1))
	}
	s.stop()
	return dir
}

// copied copies a data directory, as an auditor would before looking at a damaged one.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	copiedTo(t, dir, to)
	return to
}

func copiedTo(t *testing.T, dir, to string) {
	t.Helper()
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	require.NoError(t, filepath.WalkDir(to, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600) // as the originals are
	}))
}

// block finds the file that holds the log's messages.
func block(t *testing.T, dir string) string {
	t.Helper()
	var found string
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "jetstream"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".blk") && strings.Contains(path, "PERMLEDGER") {
			found = path
		}
		return err
	}))
	require.NotEmpty(t, found)
	return found
}

func alter(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, change(data), 0o600))
}

// damages are what may happen to a log on disk; each leaves the index as it is or, as after a kill,
// without.
var damages = map[string]func(t *testing.T, dir string){
	"a flipped byte": func(t *testing.T, dir string) {
		alter(t, block(t, dir), func(b []byte) []byte {
			at := bytes.Index(b, []byte("CustomerPurchasedReservation"))
			require.Positive(t, at)
			b[at] ^= 0x01
			return b
		})
	},
	"a removed record": func(t *testing.T, dir string) {
		alter(t, block(t, dir), func(b []byte) []byte {
			starts := records(b)
			require.Greater(t, len(starts), 20)
			return append(append([]byte{}, b[:starts[10]]...), b[starts[11]:]...)
		})
	},
	"a truncated file": func(t *testing.T, dir string) {
		alter(t, block(t, dir), func(b []byte) []byte { return b[:len(b)*2/3] })
	},
}

// records gives where each stored message begins, by the subject in its header.
func records(b []byte) (starts []int) {
	const header = 4 + 8 + 8 + 2 // length, sequence, time, length of the subject
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("permledger.commits"))
		if i < 0 {
			return starts
		}
		starts = append(starts, at+i-header)
		at += i + 1
	}
}

func TestG10DamageIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	whole := filled(t)
	require.Zero(t, invoke(t, copied(t, whole), "verify").code, "the copy itself is sound")
	for name, damage := range damages {
		for _, index := range []string{"with its index", "without its index"} {
			t.Run(name+" "+index, func(t *testing.T) {
				t.Parallel()
				dir := copied(t, whole)
				damage(t, dir)
				if index == "without its index" {
					require.NoError(t, os.Remove(filepath.Join(filepath.Dir(block(t, dir)), "index.db")))
				}
				served := copied(t, dir)
				r := invoke(t, dir, "verify")
				require.Equal(t, exitIntegrity, r.code, "%s%s", r.stdout, r.stderr)
				require.Regexp(t, `position \d+`, r.stderr)
				refusesToServe(t, served)
			})
		}
	}
}

// refusesToServe: G11. A damaged ledger writes nothing, answers nothing and says why.
func refusesToServe(t *testing.T, dir string) {
	t.Helper()
	s := serve(t, dir)
	ready, err := http.Get(s.url + "/readyz")
	require.NoError(t, err)
	defer ready.Body.Close() //nolint:errcheck // it was read
	require.Equal(t, http.StatusServiceUnavailable, ready.StatusCode)
	var health struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons"`
	}
	require.NoError(t, json.NewDecoder(ready.Body).Decode(&health))
	require.False(t, health.Ready)
	require.Contains(t, strings.Join(health.Reasons, " "), "integrity")
	admin := mint(t, dir, "--role", "AdminAgent", "--partner", fabrikam)
	s.refused(admin, "RevokePurchasePermission", permission, http.StatusServiceUnavailable, "", "integrity-failure")
	require.Equal(t, http.StatusServiceUnavailable, s.get("/api/orders", admin).status, "no silently partial reads")
	alive, err := http.Get(s.url + "/livez")
	require.NoError(t, err)
	defer alive.Body.Close() //nolint:errcheck // only the status counts
	require.Equal(t, http.StatusOK, alive.StatusCode)
}
