package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// beyondRepair are losses of a ledger of 57 records and 56 positions that leave a beginning: record 1 has no
// event, each other one has one.
var beyondRepair = map[string]struct {
	damage func(t *testing.T, dir string)
	after  string // the position that is kept
	record int
}{
	"the same record damaged in both": {func(t *testing.T, dir string) {
		spoil(t, dir, 20)
		spoilArchive(t, dir, 20)
	}, "18", 19},
	"two records, and another before them in the log alone": {func(t *testing.T, dir string) {
		spoil(t, dir, 12)
		for _, record := range []int{30, 40} {
			spoil(t, dir, record)
			spoilArchive(t, dir, record)
		}
	}, "28", 29},
	"no archive": {func(t *testing.T, dir string) {
		spoil(t, dir, 20)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "archive")))
	}, "18", 19},
	"no log, and a short archive": {func(t *testing.T, dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "jetstream")))
		lines := segmentLines(t, dir)
		require.NoError(t, os.WriteFile(segment(t, dir), []byte(strings.Join(lines[:1+45], "")), 0o600))
	}, "44", 45},
}

// segmentLines are the lines of the only file of an archive: its header, then a record each.
func segmentLines(t *testing.T, dir string) []string {
	t.Helper()
	content, err := os.ReadFile(segment(t, dir))
	require.NoError(t, err)
	return strings.SplitAfter(string(content), "\n")
}

func TestRepairGivesUpOnlyWhatItWasToldToGiveUp(t *testing.T) {
	t.Parallel()
	whole := filled(t)
	log, err := os.ReadFile(exported(t, copied(t, whole)))
	require.NoError(t, err)
	lines := strings.SplitAfter(string(log), "\n")
	for name, c := range beyondRepair {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, whole)
			c.damage(t, dir)
			before := contents(t, dir)
			refusal := invoke(t, dir, "repair")
			require.Equal(t, exitIntegrity, refusal.code)
			require.Contains(t, refusal.stderr, "permledger repair --give-up-after "+c.after+" keeps records")
			for _, wrong := range []string{"0", "17", "19", "27", "29", "43", "45", "56", "1000"} {
				r := invoke(t, dir, "repair", "--give-up-after", wrong)
				require.Equal(t, exitIntegrity, r.code, wrong)
				require.Contains(t, r.stderr, "--give-up-after "+c.after+" keeps records")
			}
			r := invoke(t, dir, "repair", "--dry-run", "--give-up-after", c.after)
			require.Zero(t, r.code, r.stderr)
			require.Equal(t, before, contents(t, dir), "nothing was changed so far")

			r = invoke(t, dir, "-o", "json", "repair", "--give-up-after", c.after)
			require.Zero(t, r.code, r.stderr)
			require.Contains(t, r.stderr, "given up: everything after position "+c.after)
			var repaired struct {
				Records  int      `json:"records"`
				Kept     string   `json:"kept"`
				SetAside []string `json:"setAside"`
				GivenUp  struct {
					AfterRecord int `json:"afterRecord"`
					LastRecord  int `json:"lastRecord"`
				} `json:"givenUp"`
			}
			require.NoError(t, json.Unmarshal([]byte(r.stdout), &repaired))
			require.Equal(t, c.record, repaired.Records)
			require.Equal(t, c.record, repaired.GivenUp.AfterRecord)
			require.Equal(t, 57, repaired.GivenUp.LastRecord)
			require.Equal(t, []string{"readmodels", "commandids"}, repaired.SetAside)
			kept := contents(t, filepath.Join(dir, repaired.Kept))
			for path, content := range before {
				top, _, _ := strings.Cut(path, string(filepath.Separator))
				if top == "jetstream" || top == "archive" {
					require.Equal(t, content, kept[path], "%s is kept as it was", path)
				}
			}
			require.Contains(t, kept["given-up.json"], `"afterPosition":`+c.after)

			headOf(t, dir)
			now, err := os.ReadFile(exported(t, dir))
			require.NoError(t, err)
			require.Equal(t, strings.Join(lines[:c.record], ""), string(now), "the records before the loss, byte for byte")
			s := serve(t, dir)
			position, _ := s.accepted(buyerToken(t, dir), "PurchaseReservation", wanted(1))
			require.EqualValues(t, c.record, position, "the next one")
			s.stop()
			headOf(t, dir)
		})
	}
}

func TestRepairGivesUpNothingOfALedgerThatCanBeKept(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	for range 2 { // sound, then damaged in one copy
		before := contents(t, dir)
		r := invoke(t, dir, "repair", "--give-up-after", "18")
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, "nothing to give up")
		require.Equal(t, before, contents(t, dir))
		spoil(t, dir, 20)
	}
}

// TestRepairOffersNothingWhereTheFirstRecordIsLost: there is no beginning to keep.
func TestRepairOffersNothingWhereTheFirstRecordIsLost(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	spoil(t, dir, 1)
	spoilArchive(t, dir, 1)
	r := invoke(t, dir, "repair")
	require.Equal(t, exitIntegrity, r.code)
	require.NotContains(t, r.stderr, "--give-up-after")
	require.Equal(t, exitIntegrity, invoke(t, dir, "repair", "--give-up-after", "0").code)
}

// TestG1WhatCannotBeReadIsExitCode5 puts something in the place of a file that fails to be read, for each
// command that may be the first to read it.
func TestG1WhatCannotBeReadIsExitCode5(t *testing.T) {
	t.Parallel()
	whole := filled(t)
	head := headOf(t, copied(t, whole))
	for name, c := range map[string]struct {
		path     func(t *testing.T, dir string) string
		commands [][]string
	}{
		"a file of the log": {block, [][]string{
			{"serve", "--listen", "127.0.0.1:0"}, {"verify"}, {"export", "/dev/null"}, {"backup", "/dev/null"}, {"replay"}, {"repair", "--dry-run"}, {"repair"}, {"repair", "--give-up-after", "3"},
		}},
		"the archive": {segment, [][]string{{"verify"}, {"repair"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, whole)
			path, aside := c.path(t, dir), filepath.Join(t.TempDir(), "aside")
			require.NoError(t, os.Rename(path, aside))
			require.NoError(t, os.Symlink("/proc/self/mem", path), "reading it from its beginning is an I/O error")
			for _, args := range c.commands {
				r := invoke(t, dir, args...)
				require.Equal(t, exitUnavailable, r.code, "%v: %s%s", args, r.stdout, r.stderr)
				require.Contains(t, r.stderr, path+" cannot be read")
				require.Contains(t, r.stderr, "nothing was changed")
			}
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Rename(aside, path))
			require.Equal(t, head, headOf(t, dir))
		})
	}
}
