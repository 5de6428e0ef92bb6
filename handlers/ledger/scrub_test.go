package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
	"permledger/eventstore/embedded"
	"permledger/eventstore/eventstoretest"
)

// scrubbing is a ledger that checks its disk every second, after its first complete round.
func scrubbing(t *testing.T) (*Ledger, string) {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{Dir: dir, Found: true, ScrubPeriod: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	ready(t, l)
	_, err = l.writeSnapshot(t.Context())
	require.NoError(t, err)
	head := l.Head()
	require.NoError(t, l.archive.Wait(t.Context(), head.Sequence))
	settled(t, l, func(s Scrub) bool { return s.Rounds > 0 })
	return l, dir
}

// settled waits until something holds of the scrub.
func settled(t *testing.T, l *Ledger, holds func(Scrub) bool) Scrub {
	t.Helper()
	var s Scrub
	require.Eventually(t, func() bool {
		s, _ = l.Scrub()
		return holds(s)
	}, time.Minute, 10*time.Millisecond, "%+v", s)
	return s
}

// flip turns one bit of a file over in place.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, errors.Join(err, f.Close()))
}

// TestG11ABitFlippedUnderALedgerIsFound flips one in every file that decisions or proofs rest on.
func TestG11ABitFlippedUnderALedgerIsFound(t *testing.T) {
	t.Parallel()
	stream := embedded.StreamDir("", streamName)
	for name, c := range map[string]struct {
		file string
		at   int64
		says string
		stop bool // the ledger
		made bool // good again by the ledger itself
	}{
		"a record":                {file: filepath.Join(stream, "msgs", "1.blk"), at: 300, says: "1.blk", stop: true},
		"the length of a record":  {file: filepath.Join(stream, "msgs", "1.blk"), at: 1, says: "1.blk", stop: true},
		"the stream's settings":   {file: filepath.Join(stream, "meta.inf"), at: 20, says: "meta.inf"},
		"their checksum":          {file: filepath.Join(stream, "meta.sum"), at: 3, says: "meta.sum"},
		"the archive":             {file: "archive/00000000000000000001.seg", at: 500, says: "archive/"},
		"the archive's last line": {file: "archive/00000000000000000001.seg", at: -1, says: "archive"},
		"the snapshot":            {file: "snapshot", at: 100, says: "snapshot", made: true},
		"the head mark":           {file: "head.mark", at: 40, says: "head.mark", made: true},
		"the identity":            {file: "ledger.json", at: 2, says: "ledger.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, dir := scrubbing(t)
			path := filepath.Join(dir, c.file)
			if c.at < 0 {
				info, err := os.Stat(path)
				require.NoError(t, err)
				c.at += info.Size()
			}
			flip(t, path, c.at)
			s := settled(t, l, func(s Scrub) bool { return len(s.Findings) > 0 })
			require.Len(t, s.Findings, 1)
			require.Contains(t, s.Findings[0], c.says)
			h := l.Health()
			require.Contains(t, strings.Join(h.Warnings, "\n"), s.Findings[0])
			require.Equal(t, !c.stop, h.Ready)
			_, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Admin, Command: domaintest.Revoke(domain.AzureReservedInstances)})
			if c.stop {
				require.ErrorIs(t, err, eventstore.ErrIntegrity)
				return
			}
			require.NoError(t, err)
			if !c.made {
				flip(t, path, c.at)
			}
			settled(t, l, func(s Scrub) bool { return len(s.Findings) == 0 })
		})
	}
}

// TestWhatCannotBeReadIsNoDamage puts a directory in the place of a file, which cannot be read as one.
func TestWhatCannotBeReadIsNoDamage(t *testing.T) {
	t.Parallel()
	l, dir := scrubbing(t)
	path := filepath.Join(dir, "archive", "00000000000000000001.seg")
	aside := filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.Rename(path, aside))
	require.NoError(t, os.Mkdir(path, 0o700))
	s := settled(t, l, func(s Scrub) bool { return len(s.Unread) > 0 })
	require.Empty(t, s.Findings)
	require.True(t, l.Health().Ready)
	require.Contains(t, strings.Join(l.Health().Warnings, "\n"), "archive: ")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Rename(aside, path))
	s = settled(t, l, func(n Scrub) bool { return len(n.Unread) == 0 && n.Rounds > s.Rounds })
	require.Empty(t, s.Findings)
}

// TestFilesThatARestartMovesAreNoDamage looks at a log whose files are aside between two tries to restart its
// server, as they are while what a server dropped is put back.
func TestFilesThatARestartMovesAreNoDamage(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	l.stop() // nobody else restarts the server, or looks at its files
	l.done.Wait()
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, l.store.Restart(dead))
	store := filepath.Join(l.config.Dir, logDir)
	require.NoError(t, os.Rename(store, store+".aside"))
	found := &pass{each: func(int) error { return nil }, found: func(format string, args ...any) { t.Errorf(format, args...) }}
	for name, check := range map[string]func(context.Context, *pass) error{"log": l.checkBlocks, "settings": l.checkSettings, "all": l.checkLog} {
		require.ErrorIs(t, check(t.Context(), found), errRestarted, name)
	}
	require.NoError(t, l.Fault())
	require.NoError(t, os.Rename(store+".aside", store))
	require.NoError(t, l.store.Restart(t.Context()))
	require.Eventually(t, func() bool { return l.checkLog(t.Context(), found) == nil }, time.Minute, 10*time.Millisecond)
	require.NoError(t, os.Rename(store, store+".aside"))
	require.ErrorIs(t, l.checkBlocks(t.Context(), found), eventstore.ErrIntegrity, "nobody restarts it")
	require.NoError(t, os.Rename(store+".aside", store))
}

// TestARoundTakesAtMostItsPeriod lets virtual hours pass over ledgers that exist on paper only.
func TestARoundTakesAtMostItsPeriod(t *testing.T) {
	t.Parallel()
	const step = 16 << 20
	for _, c := range []struct {
		gigabytes   int64
		busy        bool
		atLeast, at time.Duration
	}{
		{1, false, 2 * time.Minute, 3 * time.Minute}, // no slower than it need be
		{1, true, 10 * time.Minute, 20 * time.Minute},
		{2000, false, 10 * time.Hour, 13 * time.Hour},
		{2000, true, 17 * time.Hour, 24 * time.Hour},
	} {
		t.Run(fmt.Sprintf("%d GB, busy %t", c.gigabytes, c.busy), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				size := c.gigabytes << 30
				s := newScrubber(0, []part{{"log", func() int64 { return size }, func(_ context.Context, p *pass) error {
					for read := int64(0); read < size; read += step {
						if err := p.each(step); err != nil {
							return err
						}
					}
					return nil
				}}}, func() bool { return c.busy }, slog.New(slog.DiscardHandler))
				began := time.Now()
				require.True(t, s.round(t.Context(), began))
				took := time.Since(began)
				require.GreaterOrEqual(t, took, c.atLeast)
				require.LessOrEqual(t, took, c.at)
				require.InDelta(t, 1, s.now().Progress, 0)
			})
		})
	}
}

// TestRoundsComeOnceAPeriod counts rounds, of which one cannot read everything.
func TestRoundsComeOnceAPeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looked atomic.Int64
		var failing atomic.Bool
		failing.Store(true)
		s := newScrubber(time.Hour, []part{{"log", func() int64 { return 1 }, func(context.Context, *pass) error {
			looked.Add(1)
			if failing.Load() {
				return errors.New("input/output error")
			}
			return nil
		}}}, func() bool { return false }, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			s.run(ctx)
			close(done)
		}()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, int64(2), looked.Load(), "it is tried again at once")
		require.Equal(t, []string{"log: input/output error"}, s.now().Unread)
		require.Zero(t, s.now().Rounds)
		failing.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, int64(3), looked.Load(), "and soon in the next round")
		require.Empty(t, s.now().Unread)
		require.Equal(t, uint64(1), s.now().Rounds)
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		require.Equal(t, uint64(11), s.now().Rounds)
		stop()
		<-done
	})
}

// TestALogOnAClusterIsReadThroughItsServers has no files of the log to look at, but the node's own.
func TestALogOnAClusterIsReadThroughItsServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{
		Dir: dir, Found: true, ScrubPeriod: time.Second,
		External: External{URL: eventstoretest.External(t).ClientURL(), SyncAlways: true},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	ready(t, l)
	before, _ := l.Scrub()
	s := settled(t, l, func(s Scrub) bool { return s.Rounds > before.Rounds+1 })
	require.Empty(t, s.Findings)
	require.Empty(t, s.Unread)
	var size int64
	for stored, err := range l.store.Log.Read(t.Context(), eventstore.Cursor{}) {
		require.NoError(t, err)
		size += int64(len(stored.Bytes))
	}
	require.GreaterOrEqual(t, s.Bytes, size)
	flip(t, filepath.Join(dir, "head.mark"), 50)
	s = settled(t, l, func(s Scrub) bool { return len(s.Findings) > 0 })
	require.Contains(t, s.Findings[0], "head.mark")
}
