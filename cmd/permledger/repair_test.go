package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// headOf verifies a ledger, its archive and its read models, and gives the hash of its head.
func headOf(t *testing.T, dir string) string {
	t.Helper()
	var report struct {
		Head struct {
			Hash string `json:"hash"`
		} `json:"head"`
	}
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, "-o", "json", "verify", "--models")), &report))
	require.Len(t, report.Head.Hash, 64)
	return report.Head.Hash
}

// contents reads the log, the archive and the marks of a data directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(path, "readmodels") || e.Name() == "lock" {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(b)
		return err
	}))
	return all
}

// spoil flips a bit of a record in the log.
func spoil(t *testing.T, dir string, record int) {
	t.Helper()
	alter(t, block(t, dir), func(b []byte) []byte {
		at := bytes.Index(b[records(b)[record-1]:], []byte(`"commands"`))
		require.Positive(t, at)
		b[records(b)[record-1]+at+3] ^= 0x01
		return b
	})
}

// spoilArchive flips a bit of a record in the archive.
func spoilArchive(t *testing.T, dir string, record int) {
	t.Helper()
	alter(t, segment(t, dir), func(b []byte) []byte {
		lines := bytes.SplitAfter(b, []byte("\n"))
		lines[record][len(lines[record])/2] ^= 0x01
		return bytes.Join(lines, nil)
	})
}

// segment finds the only file of the archive.
func segment(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "archive", "*.seg"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// repairable are damages of a log that its archive makes good, besides those that leave a file.
var repairable = map[string]func(t *testing.T, dir string){
	"a deleted store":    func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "jetstream"))) },
	"a deleted identity": func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "ledger.json"))) },
	"a damaged identity": func(t *testing.T, dir string) {
		alter(t, filepath.Join(dir, "ledger.json"), func(b []byte) []byte { return b[:len(b)/2] })
	},
	"everything deleted but the archive": func(t *testing.T, dir string) {
		for _, name := range []string{"jetstream", "ledger.json", "head.mark", "readmodels"} {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
		}
	},
	"a damaged description of the stream": func(t *testing.T, dir string) {
		alter(t, filepath.Join(filepath.Dir(filepath.Dir(block(t, dir))), "meta.inf"), func(b []byte) []byte { return b[:len(b)/2] })
	},
	"different records damaged in both": func(t *testing.T, dir string) {
		spoil(t, dir, 12)
		spoilArchive(t, dir, 31)
	},
	"a flipped byte in the archive": func(t *testing.T, dir string) { spoilArchive(t, dir, 31) },
	"a damaged end of the archive": func(t *testing.T, dir string) {
		alter(t, segment(t, dir), func(b []byte) []byte { return append(b, "and more\n"...) })
	},
	"an archive cut off, and a flipped byte before": func(t *testing.T, dir string) {
		require.NoError(t, os.Truncate(segment(t, dir), 20_000))
		spoil(t, dir, 8)
	},
}

func TestRepairRestoresTheLedgerAndKeepsTheEvidence(t *testing.T) {
	t.Parallel()
	whole := filled(t)
	head := headOf(t, copied(t, whole))
	cases := map[string]func(t *testing.T, dir string){}
	for name, damage := range damages {
		cases[name] = damage
		cases[name+", opened before"] = func(t *testing.T, dir string) {
			damage(t, dir)
			require.Equal(t, exitIntegrity, invoke(t, dir, "verify").code)
		}
	}
	maps.Copy(cases, repairable)
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, whole)
			damage(t, dir)
			require.Equal(t, exitIntegrity, invoke(t, copied(t, dir), "verify").code, "the damage is found")
			before := contents(t, dir)
			succeeds(t, dir, "repair", "--dry-run")
			require.Equal(t, before, contents(t, dir), "a dry run changes nothing")

			var repaired struct {
				Replaced []string `json:"replaced"`
				Kept     string   `json:"kept"`
			}
			require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, "-o", "json", "repair")), &repaired))
			require.NotEmpty(t, repaired.Replaced)
			require.Equal(t, head, headOf(t, dir))
			kept := contents(t, filepath.Join(dir, repaired.Kept))
			for path, content := range before {
				top, _, _ := strings.Cut(path, string(filepath.Separator))
				if slices.Contains(repaired.Replaced, top) {
					require.Equal(t, content, kept[path], "%s is kept as it was", path)
				}
			}
			again := invoke(t, dir, "repair")
			require.Zero(t, again.code, again.stderr)
			require.Contains(t, again.stderr, "nothing was changed")
			s := serve(t, dir)
			s.accepted(buyerToken(t, dir), "PurchaseReservation", wanted(1))
			s.stop()
			headOf(t, dir)
		})
	}
}

func TestRepairOfASoundLedgerChangesNothing(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	before := contents(t, dir)
	r := invoke(t, dir, "repair")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "nothing was changed")
	require.Equal(t, before, contents(t, dir))
}

func TestRepairRefusesWhatNeitherCopyProves(t *testing.T) {
	t.Parallel()
	whole := filled(t)
	other := filled(t)
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		says   string
	}{
		// Record 1 has no event; each other one here has one, so record n holds position n-1.
		"the same record damaged in both": {func(t *testing.T, dir string) {
			spoil(t, dir, 20)
			spoilArchive(t, dir, 20)
		}, `position 19 \(record 20\)`},
		"a run lost in both": {func(t *testing.T, dir string) {
			for record := 20; record < 25; record++ {
				spoil(t, dir, record)
				spoilArchive(t, dir, record)
			}
		}, `positions 19 to 23 \(records 20 to 24\)`},
		"an end that the head mark knows": {func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "jetstream")))
			require.NoError(t, os.Truncate(segment(t, dir), 20_000))
		}, `positions \d+ to 56`},
		"an archive of another ledger": {func(t *testing.T, dir string) {
			spoil(t, dir, 20)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "archive")))
			require.NoError(t, os.CopyFS(filepath.Join(dir, "archive"), os.DirFS(filepath.Join(other, "archive"))))
		}, "the archive belongs to ledger"},
		"no archive": {func(t *testing.T, dir string) {
			spoil(t, dir, 20)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "archive")))
		}, `position 19 \(record 20\)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, whole)
			c.damage(t, dir)
			before := contents(t, dir)
			for _, args := range [][]string{{"repair", "--dry-run"}, {"repair"}} {
				r := invoke(t, dir, args...)
				require.Equal(t, exitIntegrity, r.code, "%s%s", r.stdout, r.stderr)
				require.Regexp(t, c.says, r.stderr)
			}
			require.Equal(t, before, contents(t, dir))
		})
	}
}

// TestRepairAfterAKillLosesNothingAcknowledged damages the log of a server that was killed under load:
// the newest records are in the log alone, because the archive follows a moment later.
func TestRepairAfterAKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _, buyer := prepared(t, dir)
	known := &acknowledged{answers: make(map[string][]byte)}
	for range 3 {
		running := known.load(s, buyer, 8)
		s.archives(100) // record 9 among them
		target := known.count() + 100
		require.Eventually(t, func() bool { return known.count() >= target }, time.Minute, time.Millisecond)
		r := invoke(t, dir, "repair")
		require.Equal(t, exitFailed, r.code, "not while it is served")
		require.Contains(t, r.stderr, "in use")
		s.kill()
		running.Wait()
		spoil(t, dir, 9)
		require.Equal(t, exitIntegrity, invoke(t, copied(t, dir), "verify").code)
		succeeds(t, dir, "repair")
		headOf(t, dir)
		s = serve(t, dir)
		require.Empty(t, known.missing(s, buyer))
	}
}

// TestAnInterruptedRepairIsCompleted leaves a repair at each point between its steps of moving files.
func TestAnInterruptedRepairIsCompleted(t *testing.T) {
	t.Parallel()
	whole := filled(t)
	head := headOf(t, copied(t, whole))
	names := []string{"archive", "jetstream", "head.mark", "ledger.json"}
	for moves := range 2 * len(names) {
		dir := copied(t, whole)
		ready, evidence := filepath.Join(dir, "repaired-1"), filepath.Join(dir, "damaged-1")
		require.NoError(t, os.MkdirAll(evidence, 0o700))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "repairing-2", "jetstream"), 0o700))
		for _, name := range names {
			sound := copied(t, whole)
			require.NoError(t, os.MkdirAll(ready, 0o700))
			require.NoError(t, os.Rename(filepath.Join(sound, name), filepath.Join(ready, name)))
		}
		spoil(t, dir, 20)
		for move := range moves {
			name := names[move/2]
			if move%2 == 0 {
				require.NoError(t, os.Rename(filepath.Join(dir, name), filepath.Join(evidence, name)))
			} else {
				require.NoError(t, os.Rename(filepath.Join(ready, name), filepath.Join(dir, name)))
			}
		}
		succeeds(t, dir, "repair")
		require.Equal(t, head, headOf(t, dir), "after %d moves", moves)
		require.NoDirExists(t, ready)
		require.NoDirExists(t, filepath.Join(dir, "repairing-2"))
		require.FileExists(t, filepath.Join(evidence, "ledger.json"))
	}
}

// TestRepairSetsAsideReadModelsOfAnotherLedger: the log is sound, but what was made from another one
// would keep it from serving.
func TestRepairSetsAsideReadModelsOfAnotherLedger(t *testing.T) {
	t.Parallel()
	dir, other := filled(t), filled(t)
	head := headOf(t, dir)
	models := filepath.Join(dir, "readmodels")
	require.NoError(t, os.RemoveAll(models))
	require.NoError(t, os.CopyFS(models, os.DirFS(filepath.Join(other, "readmodels"))))
	require.NotZero(t, invoke(t, dir, "verify", "--models").code)
	r := invoke(t, dir, "repair")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "readmodels was made from another log")
	require.Equal(t, head, headOf(t, dir))
	kept, err := filepath.Glob(filepath.Join(dir, "damaged-*", "readmodels"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
}

// TestRepairSetsAsideCommandIDsOfAnotherLog lets two copies of a ledger go on in different ways and gives one the
// ids of the other.
func TestRepairSetsAsideCommandIDsOfAnotherLog(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	other := copied(t, dir)
	for _, at := range []string{dir, other} {
		s := serve(t, at)
		for range 3 {
			s.accepted(buyerToken(t, at), "PurchaseReservation", wanted(1))
		}
		s.stop()
	}
	require.NoError(t, os.RemoveAll(ids(dir)))
	require.NoError(t, os.CopyFS(ids(dir), os.DirFS(ids(other))))
	s, err := launch(t, program, dir, patience)
	if err == nil {
		status, _ := s.health()
		require.Equal(t, http.StatusServiceUnavailable, status)
		s.kill()
	}
	r := invoke(t, dir, "repair")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "commandids was made from another log")
	kept, err := filepath.Glob(filepath.Join(dir, "damaged-*", "commandids"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	s = serve(t, dir)
	s.accepted(buyerToken(t, dir), "PurchaseReservation", wanted(1))
	s.stop()
}

// health is what /readyz says.
type health struct {
	Position        uint64   `json:"position"`
	ArchivePosition uint64   `json:"archivePosition"`
	Warnings        []string `json:"warnings"`
}

func (s *server) health() (status int, h health) {
	s.t.Helper()
	response, err := http.Get(s.url + "/readyz")
	require.NoError(s.t, err)
	defer response.Body.Close() //nolint:errcheck // it was read
	require.NoError(s.t, json.NewDecoder(response.Body).Decode(&h))
	return response.StatusCode, h
}

// archives waits until the archive holds a position.
func (s *server) archives(position uint64) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, h := s.health()
		return h.ArchivePosition >= position
	}, time.Minute, 10*time.Millisecond)
}

// TestADamagedArchiveIsAWarning: the ledger serves, and says that its second copy is gone.
func TestADamagedArchiveIsAWarning(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	s := serve(t, dir)
	buyer := buyerToken(t, dir)
	position, _ := s.accepted(buyer, "PurchaseReservation", wanted(1))
	s.archives(position)
	_, h := s.health()
	require.Empty(t, h.Warnings)
	s.stop()
	spoilArchive(t, dir, 31)
	before, err := os.ReadFile(segment(t, dir))
	require.NoError(t, err)
	s = serve(t, dir)
	s.accepted(buyer, "PurchaseReservation", wanted(1))
	status, h := s.health()
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, strings.Join(h.Warnings, " "), "permledger repair")
	s.stop()
	after, err := os.ReadFile(segment(t, dir))
	require.NoError(t, err)
	require.Equal(t, before, after)
	succeeds(t, dir, "repair")
	s = serve(t, dir)
	_, h = s.health()
	require.Empty(t, h.Warnings)
	s.stop()
}
