package archive_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/eventstoretest"
)

func TestAFollowerCatchesUpAndStaysSo(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	submit(t, n, 30)
	dir := filepath.Join(t.TempDir(), "new", "archive")
	f := follow(t, n.Log, dir)
	caughtUp(t, f, n.Log)
	for range 5 {
		submit(t, n, 5)
		caughtUp(t, f, n.Log)
	}
	require.Zero(t, f.Status().Lag)
	require.NoError(t, f.Status().Err)
	submit(t, n, 1) // taken in by Close
	require.NoError(t, f.Close(t.Context()))
	report, err := archive.Verify(t.Context(), dir, nil)
	require.NoError(t, err)
	verified, err := n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	verified.Mark = eventstore.Cursor{}
	require.Equal(t, verified, report)
	require.Greater(t, len(names(t, dir)), 3)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for path := range files(t, dir) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

// TestTheUsualSettingsKeepTheArchiveClose waits with the default interval; the deadline is generous.
func TestTheUsualSettingsKeepTheArchiveClose(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	f, err := archive.Start(t.Context(), n.Log, archive.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	submit(t, n, 10)
	caughtUp(t, f, n.Log)
	require.NoError(t, f.Close(t.Context()))
}

// TestAFollowerCutOffAtAnyByteGoesOn shortens the last segment to lengths that a crash could leave.
func TestAFollowerCutOffAtAnyByteGoesOn(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	whole := archived(t, n, 14)
	segments := names(t, whole)
	last := segments[len(segments)-1]
	content, err := os.ReadFile(last)
	require.NoError(t, err)
	want := files(t, whole)
	for size := 0; size < len(content); size += 37 {
		require.NoError(t, os.Truncate(last, int64(size)))
		report, err := archive.Verify(t.Context(), whole, nil)
		require.NoError(t, err, "%d bytes: a torn end is no damage", size)
		require.Less(t, report.Head.Sequence, n.Writer.Head().Sequence)
		f := follow(t, n.Log, whole)
		caughtUp(t, f, n.Log)
		require.NoError(t, f.Close(t.Context()))
		require.Equal(t, want, files(t, whole), "%d bytes", size)
	}
}

// TestWhatIsOnDiskAtAnyMomentCanBeContinued copies the files while records are archived, as a kill at
// that moment would leave them.
func TestWhatIsOnDiskAtAnyMomentCanBeContinued(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	dir := filepath.Join(t.TempDir(), "archive")
	f := follow(t, n.Log, dir)
	defer load(t, n)()
	for range 12 {
		at := f.Status().At.Sequence
		require.NoError(t, f.Wait(patient(t), at+7))
		kept := copyOf(t, dir)
		report, err := archive.Verify(t.Context(), kept, nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, report.Head.Sequence, at+7, "what was said to be synced is there")
		again := follow(t, n.Log, kept)
		caughtUpOrMore(t, again, n.Log)
		require.NoError(t, again.Close(t.Context()))
	}
}

// load submits until the function it returns is called.
func load(t *testing.T, n *eventstoretest.Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			_, _ = n.Writer.Submit(ctx, eventstoretest.Submit("a", 1))
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// patient is a context that ends when a follower must have stopped.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// caughtUpOrMore waits until an archive has what the log has now; more may come meanwhile.
func caughtUpOrMore(t *testing.T, f *archive.Follower, log *eventstore.Log) {
	t.Helper()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, f.Wait(patient(t), head.Sequence))
}

// TestAnArchiveInUseIsReadAsOfOneRecord is how a backup is taken beside a server.
func TestAnArchiveInUseIsReadAsOfOneRecord(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	dir := filepath.Join(t.TempDir(), "archive")
	f := follow(t, n.Log, dir)
	defer load(t, n)()
	for range 30 {
		before := f.Status().At.Sequence
		report, err := archive.Verify(t.Context(), dir, nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, report.Head.Sequence, before)
		require.NoError(t, f.Wait(patient(t), before+9))
	}
}

func TestAFollowerOutlivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	server := eventstoretest.Embedded(t, t.TempDir())
	w := &world{js: server.JetStream()}
	w.store = eventstoretest.Store{Replicas: 1, JetStream: func(testing.TB) jetstream.JetStream { return w.js }}
	n := w.node(t)
	f := follow(t, n.Log, t.TempDir())
	for range 3 {
		require.NoError(t, server.Restart(t.Context()))
		require.Eventually(t, func() bool {
			_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
			return err == nil
		}, patience, 10*time.Millisecond)
		caughtUp(t, f, n.Log)
	}
	require.NoError(t, f.Close(t.Context()))
}

func TestADamagedArchiveIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node(t)
	whole := archived(t, n, 30)
	foreign := archived(t, w.node(t), 20)
	for name, damage := range map[string]func(t *testing.T, dir string){
		"a flipped bit in the last segment": func(t *testing.T, dir string) { flip(t, last(names(t, dir)), 300) },
		"a gap":                             func(t *testing.T, dir string) { require.NoError(t, os.Remove(names(t, dir)[2])) },
		"its beginning missing":             func(t *testing.T, dir string) { require.NoError(t, os.Remove(names(t, dir)[0])) },
		"only its end left": func(t *testing.T, dir string) {
			for _, s := range names(t, dir)[:len(names(t, dir))-1] {
				require.NoError(t, os.Remove(s))
			}
		},
		"a segment cut off": func(t *testing.T, dir string) { require.NoError(t, os.Truncate(names(t, dir)[1], 700)) },
		"that of another ledger": func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.CopyFS(dir, os.DirFS(foreign)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, whole)
			damage(t, dir)
			before := files(t, dir)
			f := follow(t, n.Log, dir)
			var damaged *archive.DamageError
			require.ErrorAs(t, f.Status().Err, &damaged)
			require.ErrorIs(t, f.Status().Err, eventstore.ErrIntegrity)
			require.ErrorAs(t, f.Wait(t.Context(), 1000), &damaged)
			require.NoError(t, f.Close(t.Context()))
			require.Equal(t, before, files(t, dir))
			_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
			require.NoError(t, err, "the log is sound and goes on")
		})
	}
}

// TestAnArchiveThatKnowsMoreThanTheLogStopsTheLedger: each archive is whole, so it is the log that is
// not what was written.
func TestAnArchiveThatKnowsMoreThanTheLogStopsTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node(t)
	dir := archived(t, n, 20)
	lines := bytes.SplitAfter(export(t, n.Log), []byte("\n"))
	start := func(log *eventstore.Log) *eventstore.IntegrityError {
		_, err := archive.Start(t.Context(), log, archive.Options{Dir: dir})
		var e *eventstore.IntegrityError
		require.ErrorAs(t, err, &e)
		require.NotZero(t, e.Sequence)
		require.NotZero(t, e.Position)
		return e
	}
	opened := func() (*eventstore.Log, eventstore.Options) {
		opts := w.options(t)
		log, err := eventstore.Open(t.Context(), w.js, opts)
		require.NoError(t, err)
		t.Cleanup(func() { _ = log.Close() })
		return log, opts
	}
	empty, _ := opened()
	require.ErrorContains(t, start(empty), "the log ends before it")

	shorter, opts := opened()
	_, err := shorter.Import(t.Context(), bytes.NewReader(bytes.Join(lines[:10], nil)), nil)
	require.NoError(t, err)
	require.ErrorContains(t, start(shorter), "the log ends before it")
	require.NoError(t, shorter.Close())

	forked := w.store.Node(t, opts, nil) // the same beginning, another end
	submit(t, forked, 20)
	require.ErrorContains(t, start(forked.Log), "the log holds it with hash")
}

func TestAClosedFollowerCanNotBeWaitedForInVain(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	f := follow(t, n.Log, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.Wait(ctx, 1000), context.Canceled)
	require.NoError(t, f.Close(t.Context()))
	require.NoError(t, f.Close(t.Context()))
}

// TestAnArchiveGoesOnWhenTheDiskLetsIt takes the directory away, so that no segment can be begun.
func TestAnArchiveGoesOnWhenTheDiskLetsIt(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	dir := filepath.Join(t.TempDir(), "archive")
	f, err := archive.Start(t.Context(), n.Log, archive.Options{Dir: dir, SyncEvery: time.Millisecond, SegmentBytes: 2 << 10, RetryEvery: 10 * time.Millisecond})
	require.NoError(t, err)
	submit(t, n, 3)
	caughtUp(t, f, n.Log)

	require.NoError(t, os.Rename(dir, dir+".away"))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	for f.Status().Err == nil {
		submit(t, n, 1)
	}
	submit(t, n, 5)
	require.Error(t, f.Wait(t.Context(), n.Writer.Head().Sequence))

	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Rename(dir+".away", dir))
	for f.Status().Err != nil {
		runtime.Gosched()
	}
	caughtUp(t, f, n.Log)
	require.NoError(t, f.Close(t.Context()))
	report, err := archive.Verify(t.Context(), dir, nil)
	require.NoError(t, err)
	require.Equal(t, n.Writer.Head(), report.Head)
}
