package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/embedded"
)

// guarded are the options for the log of these tests.
func guarded(dir string) embedded.Options {
	return embedded.Options{Dir: dir, Unsynced: true, Stream: "S", Subject: "s"}
}

// severalBlocks fills a stream so that it has three files, with so many messages, and closes its server.
func severalBlocks(t *testing.T) (dir string, messages int) {
	t.Helper()
	dir = t.TempDir()
	s, err := embedded.Start(t.Context(), guarded(dir))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // the machine may be busy
	defer cancel()
	_, err = s.JetStream().CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	for i := range 9 {
		_, err := s.JetStream().Publish(ctx, "s", bytes.Repeat([]byte{byte('a' + i)}, 2<<20))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(embedded.StreamDir(dir, "S"), "msgs", "index.db")), "as after a kill")
	require.FileExists(t, blockFile(dir, 3))
	return dir, 9
}

func blockFile(dir string, number int) string {
	return filepath.Join(embedded.StreamDir(dir, "S"), "msgs", fmt.Sprintf("%d.blk", number))
}

// content reads all files below a directory, but for locks.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == embedded.LockFile {
			return err
		}
		b, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(b)
		return err
	}))
	return all
}

// opens starts a server on a directory and counts the messages it knows.
func opens(t *testing.T, dir string) uint64 {
	t.Helper()
	s, err := embedded.Start(t.Context(), guarded(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stream, err := s.JetStream().Stream(ctx, "S")
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.Contains(t, []string{"jetstream", embedded.LockFile}, e.Name(), "nothing is left beside the store")
	}
	return stream.CachedInfo().State.Msgs
}

// TestG1AFileThatCannotBeReadKeepsAServerFromStarting puts something in the place of each kind of file that
// fails to be read, also for root.
func TestG1AFileThatCannotBeReadKeepsAServerFromStarting(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"msgs/1.blk", "msgs/3.blk", "meta.inf", "meta.sum", "msgs/index.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, messages := severalBlocks(t)
			path := filepath.Join(embedded.StreamDir(dir, "S"), name)
			aside := filepath.Join(t.TempDir(), "aside")
			if name != "msgs/index.db" { // it may be missing
				require.NoError(t, os.Rename(path, aside))
			}
			require.NoError(t, os.Symlink("/proc/self/mem", path), "reading it from its beginning is an I/O error")
			for range 2 {
				_, err := embedded.Start(t.Context(), guarded(dir))
				var unreadable *eventstore.ReadError
				require.ErrorAs(t, err, &unreadable)
				require.Equal(t, path, unreadable.File)
				require.ErrorIs(t, err, eventstore.ErrUnavailable)
				require.NotErrorIs(t, err, eventstore.ErrIntegrity)
			}
			require.NoError(t, os.Remove(path))
			if name != "msgs/index.db" {
				require.NoError(t, os.Rename(aside, path))
			}
			require.EqualValues(t, messages, opens(t, dir))
		})
	}
}

// TestG1DamageBeforeWholeMessagesKeepsAServerFromStarting: a server would cut the whole ones off.
func TestG1DamageBeforeWholeMessagesKeepsAServerFromStarting(t *testing.T) {
	t.Parallel()
	const size = 2<<20 + 31 // of a message in its file
	for name, c := range map[string]struct {
		block    int
		damage   func([]byte) []byte
		sequence uint64
	}{
		"content in an old file":       {1, func(b []byte) []byte { b[size+100] ^= 1; return b }, 2},
		"the end of an old file":       {1, func(b []byte) []byte { return b[:len(b)-100] }, 3},
		"content in the newest file":   {3, func(b []byte) []byte { b[100] ^= 1; return b }, 7},
		"a length in the newest file":  {3, func(b []byte) []byte { b[2] ^= 0x40; return b }, 7},
		"a message taken out":          {2, func(b []byte) []byte { return slices.Delete(b, size, 2*size) }, 5},
		"a file with nothing in it":    {2, func([]byte) []byte { return nil }, 4},
		"the beginning of the subject": {3, func(b []byte) []byte { b[22] ^= 1; return b }, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := severalBlocks(t)
			b, err := os.ReadFile(blockFile(dir, c.block))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(blockFile(dir, c.block), c.damage(b), 0o600))
			before := content(t, dir)
			_, err = embedded.Start(t.Context(), guarded(dir))
			var damage *embedded.DamageError
			require.ErrorAs(t, err, &damage)
			require.ErrorIs(t, err, eventstore.ErrIntegrity)
			require.Equal(t, c.sequence, damage.Sequence)
			require.Equal(t, c.sequence-1, damage.Before.Sequence)
			require.Equal(t, before, content(t, dir), "nothing was changed")
		})
	}
}

// TestG1ALastMessageThatWasNeverFinishedIsNoDamage cuts the newest file, or spoils its last message, which
// nobody was told to be stored; an empty file behind it is one that a server was about to fill.
func TestG1ALastMessageThatWasNeverFinishedIsNoDamage(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func([]byte) []byte{
		"cut in its content": func(b []byte) []byte { return b[:len(b)-1000] },
		"cut in its head":    func(b []byte) []byte { return b[:len(b)*2/3+10] },
		"zeros at its end":   func(b []byte) []byte { clear(b[len(b)-5000:]); return b },
	} {
		for _, empty := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", empty file behind it: ", empty), func(t *testing.T) {
				t.Parallel()
				dir, messages := severalBlocks(t)
				b, err := os.ReadFile(blockFile(dir, 3))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(blockFile(dir, 3), change(b), 0o600))
				if empty {
					require.NoError(t, os.WriteFile(blockFile(dir, 4), nil, 0o600))
				}
				require.EqualValues(t, messages-1, opens(t, dir))
				require.EqualValues(t, messages-1, opens(t, dir))
			})
		}
	}
}

// TestG1ALogWithoutItsDescriptionIsNotTakenForNone: a server passes such a stream over.
func TestG1ALogWithoutItsDescriptionIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"meta.inf", "meta.sum"} {
		for what, damage := range map[string]func(path string) error{
			"missing": os.Remove,
			"empty":   func(path string) error { return os.Truncate(path, 0) },
			"short":   func(path string) error { return os.Truncate(path, 10) },
		} {
			dir, _ := severalBlocks(t)
			require.NoError(t, damage(filepath.Join(embedded.StreamDir(dir, "S"), name)))
			before := content(t, dir)
			_, err := embedded.Start(t.Context(), guarded(dir))
			require.ErrorIs(t, err, eventstore.ErrIntegrity, "%s %s", what, name)
			require.Equal(t, before, content(t, dir), "nothing was changed")
		}
	}
}

func TestARestartReadsTheFilesFirstAsWell(t *testing.T) {
	t.Parallel()
	dir, messages := severalBlocks(t)
	s, err := embedded.Start(t.Context(), guarded(dir))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	aside := filepath.Join(t.TempDir(), "aside")
	require.NoError(t, os.Rename(blockFile(dir, 2), aside))
	require.NoError(t, os.Symlink("/proc/self/mem", blockFile(dir, 2)))
	for range 2 {
		var unreadable *eventstore.ReadError
		require.ErrorAs(t, s.Restart(t.Context()), &unreadable)
	}
	require.NoError(t, os.Remove(blockFile(dir, 2)))
	require.NoError(t, os.Rename(aside, blockFile(dir, 2)))
	require.NoError(t, s.Restart(t.Context()))
	require.NoError(t, s.Close())
	require.EqualValues(t, messages, opens(t, dir))
}

// TestBlocksAreScannedOneAtATime is how somebody reads a log slowly, beside its server.
func TestBlocksAreScannedOneAtATime(t *testing.T) {
	t.Parallel()
	dir, messages := severalBlocks(t)
	s, err := embedded.Start(t.Context(), guarded(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	blocks, err := embedded.Blocks(dir, "S")
	require.NoError(t, err)
	require.Len(t, blocks, 3)
	whole := 0
	for _, b := range blocks {
		content, err := os.ReadFile(b.File)
		require.NoError(t, err)
		require.NoError(t, b.Scan(content, "s", func(f embedded.Found) error {
			require.True(t, f.Whole)
			whole++
			return nil
		}))
	}
	require.Equal(t, messages, whole)
	stop := errors.New("enough")
	content, err := os.ReadFile(blocks[0].File)
	require.NoError(t, err)
	require.ErrorIs(t, blocks[0].Scan(content, "s", func(embedded.Found) error { return stop }), stop)
}

// TestAMessageThatTheServerDoesNotGiveIsLookedForInItsFiles tells one that is lost from one that could not be
// read a moment ago.
func TestAMessageThatTheServerDoesNotGiveIsLookedForInItsFiles(t *testing.T) {
	t.Parallel()
	dir, messages := severalBlocks(t)
	s, err := embedded.Start(t.Context(), guarded(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.ErrorIs(t, s.Reread(1), eventstore.ErrUnavailable, "it is there")
	require.NoError(t, s.Reread(uint64(messages)+1), "it is nowhere")
	blocks, err := embedded.Blocks(dir, "S")
	require.NoError(t, err)
	require.NoError(t, os.Remove(blocks[0].File))
	require.NoError(t, s.Reread(1), "its file is gone")
	require.NoError(t, os.Mkdir(blocks[0].File, 0o700))
	var unread *eventstore.ReadError
	require.ErrorAs(t, s.Reread(1), &unread, "nobody knows")
	require.NoError(t, os.Remove(blocks[0].File))
}
