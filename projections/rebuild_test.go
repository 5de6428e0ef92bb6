package projections

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"permledger/domain"
	"permledger/eventstore"
)

func contentOf(t require.TestingT, m *Models) ContentHash {
	content, err := m.ContentHash(context.Background())
	require.NoError(t, err)
	return content
}

// somewhere is a directory for one run of a property.
func somewhere(rt *rapid.T) string {
	dir, err := os.MkdirTemp("", "models")
	require.NoError(rt, err)
	rt.Cleanup(func() { require.NoError(rt, os.RemoveAll(dir)) })
	return dir
}

// live folds a ledger record by record, as one does that follows it.
func live(rt require.TestingT, l *ledger, dir string) *Models {
	m, err := Open(context.Background(), dir, Options{Readers: 1})
	require.NoError(rt, err)
	for stored, err := range l.Read(context.Background(), m.Checkpoint()) {
		require.NoError(rt, err)
		d, err := decode(&stored)
		require.NoError(rt, err)
		_, err = m.apply(context.Background(), []delivery{d})
		require.NoError(rt, err)
	}
	return m
}

func TestARebuildGivesTheRowsThatFollowingGaveByteForByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(rt)
		h := newHistory(l, rapid.Uint64().Draw(rt, "seed"))
		h.play(rapid.IntRange(50, 250).Draw(rt, "commands"))
		m := live(rt, l, somewhere(rt))
		defer func() { require.NoError(rt, m.Close()) }()
		before := contentOf(rt, m)
		require.NoError(rt, m.Rebuild(context.Background(), l, nil))
		require.Equal(rt, before, contentOf(rt, m))
		require.Equal(rt, l.head(), m.Checkpoint())
	})
}

func TestARecordDeliveredTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(rt)
		newHistory(l, rapid.Uint64().Draw(rt, "seed")).play(80)
		once := live(rt, l, somewhere(rt))
		defer func() { require.NoError(rt, once.Close()) }()
		before := contentOf(rt, once)
		from := rapid.IntRange(0, len(l.records)-1).Draw(rt, "again from")
		for _, stored := range l.records[from:] {
			d, err := decode(&stored)
			require.NoError(rt, err)
			_, err = once.apply(context.Background(), []delivery{d, d})
			require.NoError(rt, err)
		}
		require.Equal(rt, before, contentOf(rt, once))
	})
}

func TestAnAsOfRebuildIsWhatFollowingSawThen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(rt)
		newHistory(l, rapid.Uint64().Draw(rt, "seed")).play(80)
		n := rapid.IntRange(2, len(l.records)).Draw(rt, "records")
		then := l.prefix(n)
		m := live(rt, then, somewhere(rt))
		defer func() { require.NoError(rt, m.Close()) }()

		byTime := somewhere(rt)
		_, err := RebuildTo(context.Background(), l, byTime, Until{Time: then.records[n-1].Record.Time}, nil)
		require.NoError(rt, err)
		past, err := Open(context.Background(), byTime, Options{Readers: 1})
		require.NoError(rt, err)
		defer func() { require.NoError(rt, past.Close()) }()
		require.Equal(rt, contentOf(rt, m), contentOf(rt, past))
	})
}

func TestAnAsOfRebuildStopsAtTheVeryEvent(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 7).play(150)
	for position := uint64(1); position <= l.head().Position; position += 13 {
		dir := t.TempDir()
		reached, err := RebuildTo(t.Context(), l, dir, Until{Position: position}, nil)
		require.NoError(t, err)
		require.Equal(t, position, reached)
		m := openModels(t, dir)
		for _, partner := range []domain.TenantID{partnerA, partnerB} {
			feed, err := m.Events(t.Context(), OfPartner(partner), EventFilter{}, MaxLimit)
			require.NoError(t, err)
			for _, e := range feed.Items {
				require.LessOrEqual(t, e.Position, position)
			}
		}
	}
	_, err := RebuildTo(t.Context(), l, folded(t, l).dir, Until{Position: 3}, nil)
	require.ErrorContains(t, err, "holds read models already")
}

func TestARebuildKeepsAnsweringAndFollowing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	h := newHistory(l, 3)
	h.play(300)
	m := folded(t, l)
	var during atomic.Uint64
	require.NoError(t, m.Rebuild(t.Context(), l, func(Progress) {
		if during.CompareAndSwap(0, 1) { // while the new database is filled, the old one follows and answers
			h.play(50)
			caughtUp(t, m, l)
			page, err := m.Customers(t.Context(), OfPartner(partnerA), CustomerFilter{}, Paging{})
			require.NoError(t, err)
			during.Store(page.Position)
		}
	}))
	require.Greater(t, during.Load(), uint64(1))
	require.GreaterOrEqual(t, m.Checkpoint().Position, during.Load(), "readers never go back")
	h.play(20)
	caughtUp(t, m, l)
	fresh := live(t, l, t.TempDir())
	defer func() { require.NoError(t, fresh.Close()) }()
	require.Equal(t, contentOf(t, fresh), contentOf(t, m))
	require.Len(t, filesOf(t, m.dir), 1, "the replaced database is removed")
}

// filesOf lists the database files of a directory.
func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, filePrefix+"*"+fileSuffix+"*"))
	require.NoError(t, err)
	var databases []string
	for _, f := range files {
		if filepath.Ext(f) == fileSuffix || filepath.Ext(f) == building {
			databases = append(databases, f)
		}
	}
	return databases
}

func TestAfterACrashBetweenBatchesFollowingContinues(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 11).play(200)
	dir := t.TempDir()
	for n := 10; n < len(l.records); n += 25 {
		m := openModels(t, dir) // from the checkpoint that the one before left behind
		stop := running(t, m, l.prefix(n))
		caughtUp(t, m, l.prefix(n))
		require.NoError(t, stop())
		require.NoError(t, m.Close())
	}
	m := openModels(t, dir)
	running(t, m, l)
	caughtUp(t, m, l)
	fresh := live(t, l, t.TempDir())
	defer func() { require.NoError(t, fresh.Close()) }()
	require.Equal(t, contentOf(t, fresh), contentOf(t, m))
}

func TestABatchThatFailsLeavesTheRowsAsTheyWere(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 5).play(60)
	half := len(l.records) / 2
	m := live(t, l.prefix(half), t.TempDir())
	defer func() { require.NoError(t, m.Close()) }()
	before := contentOf(t, m)
	records := make([]delivery, 0, len(l.records)-half)
	for _, stored := range l.records[half:] {
		d, err := decode(&stored)
		require.NoError(t, err)
		records = append(records, d)
	}
	broken := append([]delivery{}, records...)
	broken[len(broken)-1].previous = eventstore.Hash{1}
	_, err := m.apply(t.Context(), broken)
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
	require.Equal(t, before, contentOf(t, m))
	_, err = m.apply(t.Context(), records)
	require.NoError(t, err)
	require.Equal(t, l.head(), m.Checkpoint())
}

func TestACrashDuringARebuildLeavesTheOldDatabase(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 13).play(100)
	dir := t.TempDir()
	m := live(t, l, dir)
	before := contentOf(t, m)
	require.NoError(t, m.Close())
	unfinished := databasePath(dir, fingerprintOf(models), 2) + building
	require.NoError(t, os.WriteFile(unfinished, []byte("half a database"), 0o600))
	require.NoError(t, os.WriteFile(unfinished+"-wal", []byte("half a log"), 0o600))
	reopened := openModels(t, dir)
	require.Equal(t, before, contentOf(t, reopened))
	require.Len(t, filesOf(t, dir), 1)
	require.NoFileExists(t, unfinished+"-wal")
}

func TestACrashAfterARebuildLeavesTheNewDatabase(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 17).play(100)
	dir := t.TempDir()
	require.NoError(t, live(t, l.prefix(20), dir).Close())
	// Published, but the old one is still there: the process ended before it could remove it.
	require.NoError(t, build(t.Context(), l, databasePath(dir, fingerprintOf(models), 2), models, Until{}, nil))
	m := openModels(t, dir)
	require.Equal(t, l.head(), m.Checkpoint())
	require.Len(t, filesOf(t, dir), 1)
}

func TestANewVersionIsBuiltBesideTheOldWhichGoesOnceItHasCaughtUp(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 19).play(100)
	dir := t.TempDir()
	require.NoError(t, live(t, l, dir).Close())
	old := filesOf(t, dir)

	next := append([]model{}, models...)
	next[0].version++
	m, err := open(t.Context(), dir, Options{}, next)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.Zero(t, m.Checkpoint().Sequence, "rows of another version are not read")
	require.FileExists(t, old[0])
	stop := running(t, m, l)
	caughtUp(t, m, l)
	require.NoError(t, stop())
	require.NoFileExists(t, old[0])
	require.Len(t, filesOf(t, dir), 1)
}

func TestALogThatIsNotTheOneIsAnIntegrityFailure(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 23).play(60)
	other := newLedger(t)
	newHistory(other, 24).play(200)
	dir := t.TempDir()
	require.NoError(t, live(t, l, dir).Close())
	for name, source := range map[string]Source{
		"the log was cut short":      l.prefix(len(l.records) - 1),
		"the log was replaced":       other,
		"the log was started afresh": newLedger(t),
	} {
		m := openModels(t, dir)
		err := m.Run(t.Context(), source)
		require.ErrorIs(t, err, eventstore.ErrIntegrity, name)
		require.ErrorIs(t, m.Err(), eventstore.ErrIntegrity, name)
		require.ErrorIs(t, m.WaitFor(t.Context(), 1<<40), eventstore.ErrIntegrity, name)
		require.ErrorIs(t, m.Rebuild(t.Context(), source, nil), eventstore.ErrIntegrity, name)
		require.Equal(t, l.head(), m.Checkpoint(), name)
		require.NoError(t, m.Close())
	}
}

func TestAGapIsAnIntegrityFailure(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 29).play(60)
	gap := l.prefix(len(l.records))
	gap.records = append(append([]eventstore.Stored{}, l.records[:10]...), l.records[11:]...)
	m := openModels(t, t.TempDir())
	require.ErrorIs(t, m.Run(t.Context(), gap), eventstore.ErrIntegrity)
	require.LessOrEqual(t, m.Checkpoint().Sequence, uint64(10))
}

func TestAnEventThatNobodyKnowsStopsTheModels(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*eventstore.Command){
		"type":    func(c *eventstore.Command) { c.Events[0].Type = "PermissionLent" },
		"version": func(c *eventstore.Command) { c.Events[0].Version = 99 },
		"partner": func(c *eventstore.Command) { c.Events[0].Partner = "fabrikam" },
		"role":    func(c *eventstore.Command) { c.Actor.Roles = []string{"King"} },
	} {
		l := newLedger(t)
		newHistory(l, 31)
		last := l.records[len(l.records)-1].Record.Commands[0]
		last.ID = l.ids()
		last.Events = append([]eventstore.Event{}, last.Events...)
		spoil(&last)
		before := l.head()
		l.record(last)
		m := openModels(t, t.TempDir())
		err := m.Run(t.Context(), l)
		require.Error(t, err, name)
		require.NoError(t, m.Run(cancelled(t), l), "asked to stop")
		require.LessOrEqual(t, m.Checkpoint().Sequence, before.Sequence, name)
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	return ctx
}

func TestProgressEndsAtTheHead(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 37).play(100)
	m := openModels(t, t.TempDir())
	var last Progress
	require.NoError(t, m.Rebuild(t.Context(), l, func(p Progress) { last = p }))
	require.Equal(t, l.head().Position, last.Position)
	require.Equal(t, last.Position, last.Head)
	require.Zero(t, last.ETA)
	require.Positive(t, last.EventsPerSecond)
}
