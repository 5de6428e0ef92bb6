package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// made is what a backup said of itself.
type made struct {
	Head struct {
		Position uint64 `json:"position"`
		Hash     string `json:"hash"`
	} `json:"head"`
	File   string `json:"file"`
	Source string `json:"source"`
}

func backup(t *testing.T, dir, to string) made {
	t.Helper()
	var m made
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, "-o", "json", "backup", to)), &m))
	return m
}

func TestABackupOfAServerThatWritesIsRestored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _, buyer := prepared(t, dir)
	known := &acknowledged{answers: make(map[string][]byte)}
	running := known.load(s, buyer, 8)
	s.archives(1)
	var backups []made
	for n := range 3 {
		target := known.count() + 50
		require.Eventually(t, func() bool { return known.count() >= target }, time.Minute, time.Millisecond)
		backups = append(backups, backup(t, dir, filepath.Join(t.TempDir(), fmt.Sprint(n, ".backup"))))
		require.Equal(t, "archive", backups[n].Source)
	}
	s.kill()
	running.Wait()
	whole := succeeds(t, dir, "export")
	var before uint64
	for _, b := range backups {
		require.GreaterOrEqual(t, b.Head.Position, before)
		before = b.Head.Position
		restored := filepath.Join(t.TempDir(), "restored")
		require.Contains(t, succeeds(t, restored, "-o", "json", "restore", b.File), b.Head.Hash)
		require.Equal(t, b.Head.Hash, headOf(t, restored))
		require.True(t, strings.HasPrefix(whole, succeeds(t, restored, "export")), "the same bytes, as of an earlier record")
	}
	require.NotZero(t, before)
}

// TestABackupThatIsBehindIsRefused: the server archives into a directory that was moved away, and what lies in
// its place ends early, as when nothing can be archived any more.
func TestABackupThatIsBehindIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _, buyer := prepared(t, dir)
	early, _ := s.accepted(buyer, "PurchaseReservation", wanted(1))
	s.archives(early)
	where := filepath.Join(dir, "archive")
	require.NoError(t, os.Rename(where, filepath.Join(dir, "elsewhere")))
	require.NoError(t, os.CopyFS(where, os.DirFS(filepath.Join(dir, "elsewhere"))))
	into := t.TempDir()
	require.Equal(t, early, backup(t, dir, into).Head.Position, "what is not behind is backed up")
	for range 5 {
		s.accepted(buyer, "PurchaseReservation", wanted(1))
	}
	r := invoke(t, dir, "backup", into)
	require.Equal(t, exitFailed, r.code, r.stderr)
	require.Contains(t, r.stderr, "behind the log by 5 events")
	require.Contains(t, r.stderr, "--allow-stale")
	files, err := os.ReadDir(into)
	require.NoError(t, err)
	require.Len(t, files, 1, "the first one alone")

	r = invoke(t, dir, "-q", "-o", "json", "backup", "--allow-stale", filepath.Join(into, "stale"))
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, "behind the log by 5 events")
	var b struct {
		made
		Missing uint64 `json:"missing"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &b))
	require.Equal(t, early, b.Head.Position)
	require.EqualValues(t, 5, b.Missing)
	restored := filepath.Join(t.TempDir(), "restored")
	succeeds(t, restored, "restore", b.File)
	require.Equal(t, b.Head.Hash, headOf(t, restored))

	require.NoError(t, os.RemoveAll(where))
	require.NoError(t, os.WriteFile(where, nil, 0o600))
	r = invoke(t, dir, "backup", "--allow-stale", filepath.Join(into, "nothing"))
	require.Equal(t, exitFailed, r.code, "a file in place of the archive")
	require.NoFileExists(t, filepath.Join(into, "nothing"))
}

func TestHowFarABackupIsBehind(t *testing.T) {
	t.Parallel()
	at := func(sequence, position uint64, seconds int) eventstore.Cursor {
		return eventstore.Cursor{Sequence: sequence, Position: position, Time: time.Unix(int64(seconds), 0)}
	}
	for name, c := range map[string]struct {
		log, backup eventstore.Cursor
		says        string
	}{
		"at the head":               {at(9, 20, 100), at(9, 20, 100), ""},
		"beyond what was known":     {at(9, 20, 100), at(11, 30, 103), ""},
		"behind":                    {at(9, 20, 100), at(7, 12, 40), "behind the log by 8 events, the newest of them 1m0s after"},
		"behind without any record": {at(9, 20, 100), eventstore.Cursor{}, "holds none of the log's 20 events"},
		"the head is not known":     {eventstore.Cursor{}, at(7, 12, 40), "cannot be read from head.mark"},
	} {
		err := behind(c.log, &backedUp{Report: eventstore.Report{Records: c.backup.Sequence, Head: c.backup}})
		if c.says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.says, name)
		}
	}
}

// TestABackupOfAnotherArchiveIsRefused puts the archive of another ledger in the place of the right one.
func TestABackupOfAnotherArchiveIsRefused(t *testing.T) {
	t.Parallel()
	dir, other := filled(t), filled(t)
	s := serve(t, dir)
	require.NoError(t, os.Rename(filepath.Join(dir, "archive"), filepath.Join(dir, "elsewhere")))
	require.NoError(t, os.Rename(filepath.Join(other, "archive"), filepath.Join(dir, "archive")))
	to := filepath.Join(t.TempDir(), "other.backup")
	r := invoke(t, dir, "backup", "--allow-stale", to)
	require.Equal(t, exitIntegrity, r.code, r.stderr)
	require.Contains(t, r.stderr, "the archive is of ledger")
	require.NoFileExists(t, to)
	s.stop()
}

// TestABackupWhileNothingCanBeArchivedIsRefused fills the file system that holds the archive alone.
func TestABackupWhileNothingCanBeArchivedIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ledger")
	where := filepath.Join(dir, "archive")
	require.NoError(t, os.MkdirAll(where, 0o700))
	mountSmall(t, where, "64k")
	s, _, buyer := prepared(t, dir)
	var last uint64
	require.Eventually(t, func() bool {
		last, _ = s.accepted(buyer, "PurchaseReservation", wanted(1))
		_, h := s.health()
		return len(h.Warnings) > 0
	}, 2*time.Minute, time.Millisecond)
	into := t.TempDir()
	r := invoke(t, dir, "backup", filepath.Join(into, "behind"))
	require.Equal(t, exitFailed, r.code, r.stderr)
	require.Contains(t, r.stderr, "behind the log by")
	require.NoFileExists(t, filepath.Join(into, "behind"))
	out, err := exec.Command("mount", "-o", "remount,size=32m", where).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.archives(last)
	require.GreaterOrEqual(t, backup(t, dir, into).Head.Position, last, "there is room again")
	s.stop()
}

func TestABackupOfAClosedLedgerIsOfItsHead(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	head := headOf(t, dir)
	into := t.TempDir()
	first := backup(t, dir, into)
	require.Equal(t, "log", first.Source)
	require.Equal(t, head, first.Head.Hash)
	require.Equal(t, first, backup(t, dir, into), "nothing has changed, so it is the same file")
	files, err := os.ReadDir(into)
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(first.File)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, exitFailed, invoke(t, dir, "backup", first.File).code, "a file is not written over")

	restored := filepath.Join(t.TempDir(), "restored")
	succeeds(t, restored, "restore", first.File)
	require.Equal(t, head, headOf(t, restored))
	s := serve(t, restored)
	s.accepted(buyerToken(t, restored), "PurchaseReservation", wanted(1))
	s.stop()
	headOf(t, restored)

	for _, full := range []string{dir, restored, into} {
		r := invoke(t, full, "restore", first.File)
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.stderr, "not empty")
	}
	damaged := copied(t, dir)
	spoil(t, damaged, 20)
	r := invoke(t, damaged, "backup", filepath.Join(into, "damaged"))
	require.Equal(t, exitIntegrity, r.code)
	require.NoFileExists(t, filepath.Join(into, "damaged"), "a damaged log gives no backup")
}

func TestADamagedBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PERMLEDGER_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("PERMLEDGER_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	file := backup(t, filled(t), filepath.Join(t.TempDir(), "whole")).File
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	for range 12 {
		at, bit := random.IntN(len(content)), random.IntN(8)
		alter(t, file, func(b []byte) []byte { b[at] ^= 1 << bit; return b })
		into := filepath.Join(t.TempDir(), "new")
		r := invoke(t, into, "restore", file)
		require.Equal(t, exitIntegrity, r.code, "bit %d of byte %d: %s", bit, at, r.stderr)
		require.NoDirExists(t, into, "nothing was written")
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
}
