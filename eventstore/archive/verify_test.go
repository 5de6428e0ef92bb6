package archive_test

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/archive"
)

func last(list []string) string { return list[len(list)-1] }

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[at] ^= 0x04
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// TestAnyFlippedBitInAnArchiveIsFound flips one in every byte of every segment.
func TestAnyFlippedBitInAnArchiveIsFound(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	dir := archived(t, n, 9)
	segments := names(t, dir)
	require.Greater(t, len(segments), 1)
	for i, s := range segments {
		content, err := os.ReadFile(s)
		require.NoError(t, err)
		for at := range content {
			if i == len(segments)-1 && at == len(content)-1 {
				break // without its line end, the last line looks torn by a crash, and is written again
			}
			changed := slices.Clone(content)
			changed[at] ^= 1 << (at % 8)
			require.NoError(t, os.WriteFile(s, changed, 0o600))
			_, err := archive.Verify(t.Context(), dir, nil)
			require.ErrorIs(t, err, eventstore.ErrIntegrity, "%s, byte %d", s, at)
		}
		require.NoError(t, os.WriteFile(s, content, 0o600))
	}
	_, err := archive.Verify(t.Context(), dir, nil)
	require.NoError(t, err)
}

// TestIntactLinesThatDoNotBelongTogetherAreFound edits an archive as somebody could who knows its
// checksums: a line is left out of a backup, and everything after it sealed again.
func TestIntactLinesThatDoNotBelongTogetherAreFound(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	submit(t, n, 9)
	var out bytes.Buffer
	_, err := archive.WriteBackup(&out, func(yield func(eventstore.Stored, error) bool) {
		for s, err := range n.Log.Read(t.Context(), eventstore.Cursor{}) {
			if s.Sequence >= 4 {
				continue
			}
			if !yield(s, err) {
				return
			}
		}
		s, err := n.Log.Get(t.Context(), 5)
		yield(s, err)
	}, nil)
	require.NoError(t, err)
	_, err = archive.CheckBackup(t.Context(), &out, nil)
	var damaged *archive.DamageError
	require.ErrorAs(t, err, &damaged)
	require.Equal(t, uint64(4), damaged.Sequence)
}

func TestABackupIsReadBackByteForByte(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	submit(t, n, 12)
	var fromLog, fromArchive bytes.Buffer
	written, err := archive.WriteBackup(&fromLog, n.Log.Read(t.Context(), eventstore.Cursor{}), nil)
	require.NoError(t, err)
	require.Equal(t, n.Writer.Head(), written.Head)
	_, err = archive.WriteBackup(&fromArchive, archive.Read(t.Context(), archived(t, n, 0)), nil)
	require.NoError(t, err)
	require.Equal(t, fromLog.String(), fromArchive.String(), "ledger and head decide every byte")
	checked, err := archive.CheckBackup(t.Context(), bytes.NewReader(fromLog.Bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, written, checked)
	var lines []byte
	for s, err := range archive.ReadBackup(t.Context(), &fromLog) {
		require.NoError(t, err)
		lines = append(append(lines, s.Bytes...), '\n')
	}
	require.Equal(t, export(t, n.Log), lines)
	_, err = archive.WriteBackup(&fromLog, archive.Read(t.Context(), t.TempDir()), nil)
	require.ErrorIs(t, err, eventstore.ErrNotFound)
}

// TestAnyDamageOfABackupIsFound flips every byte, cuts at every length, and adds one.
func TestAnyDamageOfABackupIsFound(t *testing.T) {
	t.Parallel()
	n := newWorld(t).node(t)
	submit(t, n, 6)
	var out bytes.Buffer
	_, err := archive.WriteBackup(&out, n.Log.Read(t.Context(), eventstore.Cursor{}), nil)
	require.NoError(t, err)
	check := func(b []byte) error {
		_, err := archive.CheckBackup(context.Background(), bytes.NewReader(b), nil)
		return err
	}
	require.NoError(t, check(out.Bytes()))
	for at := range out.Bytes() {
		changed := slices.Clone(out.Bytes())
		changed[at] ^= 1 << (at % 8)
		require.ErrorIs(t, check(changed), eventstore.ErrIntegrity, "byte %d", at)
		require.ErrorIs(t, check(out.Bytes()[:at]), eventstore.ErrIntegrity, "%d bytes", at)
	}
	require.ErrorIs(t, check(append(out.Bytes(), 0)), eventstore.ErrIntegrity)
}
