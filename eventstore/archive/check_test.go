package archive_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/eventstoretest"
)

// checked checks an archive without haste and gives the names of what is damaged.
func checked(t *testing.T, dir string) (at eventstore.Cursor, damaged []string) {
	t.Helper()
	at, err := archive.Check(t.Context(), dir, func(int) error { return nil }, func(e *archive.DamageError) { damaged = append(damaged, e.File) })
	require.NoError(t, err)
	return at, damaged
}

// TestACheckFindsEveryDamagedSegment damages several, so that a check has to go on behind each.
func TestACheckFindsEveryDamagedSegment(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	whole := archived(t, n, 40)
	segments := names(t, whole)
	require.Greater(t, len(segments), 5)
	at, damaged := checked(t, whole)
	require.Empty(t, damaged)
	require.Equal(t, n.Writer.Head().Hash, at.Hash)

	dir := copyOf(t, whole)
	segments = names(t, dir)
	var want []string
	for _, i := range []int{0, 2, 3, len(segments) - 2} {
		info, err := os.Stat(segments[i])
		require.NoError(t, err)
		flip(t, segments[i], int(info.Size())/2)
		want = append(want, filepath.Join("archive", filepath.Base(segments[i])))
	}
	_, damaged = checked(t, dir)
	require.Equal(t, want, damaged)

	dir = copyOf(t, whole)
	require.NoError(t, os.Remove(names(t, dir)[1]))
	_, damaged = checked(t, dir)
	require.Equal(t, []string{filepath.Join("archive", filepath.Base(segments[2]))}, damaged, "the one after the hole says so")

	dir = copyOf(t, whole)
	require.NoError(t, os.Remove(last(names(t, dir))))
	short, damaged := checked(t, dir)
	require.Empty(t, damaged)
	require.Less(t, short.Sequence, at.Sequence, "only whoever knows how far it went can tell")
}

// TestACheckBesideAFollowerRaisesNoAlarm checks while segments are written and sealed.
func TestACheckBesideAFollowerRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	dir := filepath.Join(t.TempDir(), "archive")
	f := follow(t, n.Log, dir)
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 300 && err == nil; i++ {
			_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		}
		done <- err
	}()
	for writing := true; writing; {
		select {
		case err := <-done:
			require.NoError(t, err)
			writing = false
		default:
		}
		must := f.Status().At
		at, damaged := checked(t, dir)
		require.Empty(t, damaged)
		require.GreaterOrEqual(t, at.Sequence, must.Sequence)
	}
}

func TestACheckEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	dir := archived(t, newWorld(t).node(t), 5)
	enough := errors.New("enough")
	_, err := archive.Check(t.Context(), dir, func(int) error { return enough }, nil)
	require.ErrorIs(t, err, enough)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = archive.Check(ended, dir, func(int) error { return nil }, nil)
	require.ErrorIs(t, err, context.Canceled)
	flip(t, names(t, dir)[0], 200)
	limited, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	_, err = archive.Check(limited, dir, func(int) error { return nil }, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
