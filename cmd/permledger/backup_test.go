package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
