package ledger

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// closed is the directory of a closed ledger with some records, and those records.
func closed(t *testing.T) (dir string, records [][]byte) {
	t.Helper()
	dir = t.TempDir()
	l, err := Open(t.Context(), Config{Dir: dir, Found: true})
	require.NoError(t, err)
	ready(t, l)
	for s, err := range l.store.Log.Read(t.Context(), eventstore.Cursor{}) {
		require.NoError(t, err)
		records = append(records, s.Bytes)
	}
	require.NoError(t, l.Close())
	return dir, records
}

func listed(records [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range records {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// tree lists what is in a directory, with the size of each file.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	}))
	return names
}

func TestNothingButAFoundingMakesALedger(t *testing.T) {
	t.Parallel()
	absent := filepath.Join(t.TempDir(), "absent")
	for name, open := range map[string]func(dir string) error{
		"open": func(dir string) error { _, err := Open(t.Context(), Config{Dir: dir}); return err },
		"open the store": func(dir string) error {
			_, err := OpenStore(t.Context(), Config{Dir: dir})
			return err
		},
		"check": Check,
	} {
		empty := t.TempDir()
		for _, dir := range []string{absent, empty} {
			err := open(dir)
			require.ErrorIs(t, err, eventstore.ErrNoLedger, name)
			var refused *RefusedError
			require.ErrorAs(t, err, &refused)
			require.Contains(t, err.Error(), dir)
			require.Contains(t, err.Error(), "permledger init")
		}
		require.NoDirExists(t, absent)
		require.Equal(t, []string{"."}, tree(t, empty))
	}
}

func TestALedgerIsFoundedOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	first, err := Found(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	require.NotEqual(t, uuid.Nil, first.Ledger)
	require.Equal(t, dir, first.Dir)
	before := tree(t, dir)
	_, err = Found(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, ErrFounded)
	require.ErrorContains(t, err, first.Ledger.String())
	require.Equal(t, before, tree(t, dir))
	require.Equal(t, first.Ledger, ledgerOf(t, dir))

	l, err := Open(t.Context(), Config{Dir: dir, Found: true})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.Equal(t, first.Ledger, ledgerOf(t, dir), "one that is there is just opened")
}

func stage(t *testing.T, dir, from, to string) {
	t.Helper()
	path := filepath.Join(dir, eventstore.IdentityFile)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), from)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), from, to, 1)), 0o600))
}

// TestAHalfMadeDirectoryIsForItsOwnCommandAlone makes what a kill leaves behind at each step. Whatever is not
// the command that was killed refuses it and changes nothing; that command finishes.
func TestAHalfMadeDirectoryIsForItsOwnCommandAlone(t *testing.T) {
	t.Parallel()
	_, records := closed(t)
	found := func(t *testing.T, dir string) {
		_, err := Found(t.Context(), Config{Dir: dir})
		require.NoError(t, err)
	}
	load := func(t *testing.T, dir string) {
		report, err := Load(t.Context(), dir, listed(records), nil)
		require.NoError(t, err)
		require.Equal(t, uint64(len(records)), report.Records)
		require.Equal(t, eventstore.HashOf(records[len(records)-1]), report.Head.Hash)
	}
	fresh := func(t *testing.T, dir string) {
		t.Helper()
		_, err := Found(t.Context(), Config{Dir: dir})
		require.NoError(t, err)
	}
	loaded := func(moved ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			load(t, dir)
			require.NoError(t, os.Mkdir(filepath.Join(dir, loadedDir), 0o700))
			for _, name := range logNames {
				if !strings.Contains(strings.Join(moved, " "), name) {
					require.NoError(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, loadedDir, name)))
				}
			}
		}
	}
	for name, c := range map[string]struct {
		left   func(t *testing.T, dir string)
		what   error
		finish func(t *testing.T, dir string)
	}{
		"a founding before its identity": {func(t *testing.T, dir string) {
			fresh(t, dir)
			require.NoError(t, os.Remove(filepath.Join(dir, eventstore.IdentityFile)))
			require.NoError(t, os.WriteFile(filepath.Join(dir, eventstore.HeadMarkFile), make([]byte, 192), 0o600))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, logDir, "$G")))
		}, eventstore.ErrFoundingUnfinished, found},
		"a founding before its record": {func(t *testing.T, dir string) {
			fresh(t, dir)
			stage(t, dir, "created", "creating")
			require.NoError(t, os.Remove(filepath.Join(dir, eventstore.HeadMarkFile)))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, logDir, "$G")))
		}, eventstore.ErrFoundingUnfinished, found},
		"a founding after its record": {func(t *testing.T, dir string) {
			fresh(t, dir)
			stage(t, dir, "created", "creating")
		}, eventstore.ErrFoundingUnfinished, found},
		"a load under way": {func(t *testing.T, dir string) {
			fresh(t, filepath.Join(dir, loadingDir))
		}, ErrLoadUnfinished, load},
		"a load that is built":                {loaded(), ErrLoadUnfinished, load},
		"a load whose log is moved":           {loaded(logDir), ErrLoadUnfinished, load},
		"a load whose log and mark are moved": {loaded(logDir, eventstore.HeadMarkFile), ErrLoadUnfinished, load},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.left(t, dir)
			before := tree(t, dir)
			refuses := map[string]func() error{
				"open":           func() error { _, err := Open(t.Context(), Config{Dir: dir}); return err },
				"open the store": func() error { _, err := OpenStore(t.Context(), Config{Dir: dir}); return err },
				"check":          func() error { return Check(dir) },
			}
			if errors.Is(c.what, ErrLoadUnfinished) {
				refuses["found"] = func() error { _, err := Found(t.Context(), Config{Dir: dir}); return err }
				refuses["found and open"] = func() error { _, err := Open(t.Context(), Config{Dir: dir, Found: true}); return err }
			} else {
				refuses["load"] = func() error { _, err := Load(t.Context(), dir, listed(records), nil); return err }
			}
			for by, refuse := range refuses {
				err := refuse()
				require.ErrorIs(t, err, c.what, by)
				var refused *RefusedError
				require.ErrorAs(t, err, &refused, by)
				require.NotEmpty(t, refused.Do)
				require.Equal(t, before, tree(t, dir), by)
			}
			c.finish(t, dir)
			require.NoError(t, Check(dir))
			require.NotEqual(t, uuid.Nil, ledgerOf(t, dir))
			require.NoDirExists(t, filepath.Join(dir, loadingDir))
			require.NoDirExists(t, filepath.Join(dir, loadedDir))
		})
	}
}

func TestALoadIsFinishedWithItsOwnRecordsOnly(t *testing.T) {
	t.Parallel()
	_, records := closed(t)
	_, others := closed(t)
	dir := t.TempDir()
	_, err := Load(t.Context(), dir, listed(records), nil)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, loadedDir), 0o700))
	for _, name := range logNames {
		require.NoError(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, loadedDir, name)))
	}
	before := tree(t, dir)
	for _, wrong := range [][][]byte{others, records[:len(records)-1], append(append([][]byte{}, records...), records[1])} {
		_, err := Load(t.Context(), dir, listed(wrong), nil)
		require.ErrorIs(t, err, ErrLoadUnfinished)
		require.ErrorContains(t, err, eventstore.HashOf(records[len(records)-1]).String())
		require.Equal(t, before, tree(t, dir))
	}
	_, err = Load(t.Context(), dir, listed(records), nil)
	require.NoError(t, err)
	_, err = Load(t.Context(), dir, listed(records), nil)
	require.ErrorIs(t, err, eventstore.ErrNotEmpty)
}

// TestALedgerThatLostItsIdentityIsNotFoundedAnew takes away what says that there is a ledger, and leaves one
// part of it.
func TestALedgerThatLostItsIdentityIsNotFoundedAnew(t *testing.T) {
	t.Parallel()
	whole, records := closed(t)
	parts := []string{logDir, eventstore.HeadMarkFile, ArchiveDir(""), ModelsDir(""), snapshotFile, evidencePrefix + "x", readyPrefix + "x"}
	for _, part := range parts {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			switch info, err := os.Stat(filepath.Join(whole, part)); {
			case err != nil:
				require.NoError(t, os.Mkdir(filepath.Join(dir, part), 0o700))
			case info.IsDir():
				require.NoError(t, os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(whole, part))))
			default:
				b, err := os.ReadFile(filepath.Join(whole, part))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, part), b, 0o600))
			}
			before := tree(t, dir)
			_, err := Found(t.Context(), Config{Dir: dir})
			require.ErrorIs(t, err, eventstore.ErrIntegrity)
			_, err = OpenStore(t.Context(), Config{Dir: dir, Found: true})
			require.ErrorIs(t, err, eventstore.ErrIntegrity)
			_, err = Load(t.Context(), dir, listed(records), nil)
			require.ErrorIs(t, err, eventstore.ErrNotEmpty)
			require.Equal(t, before, tree(t, dir))
		})
	}
}
