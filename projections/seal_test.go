package projections

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADatabaseClosedInOrderIsSealedAndOneThatRottedIsDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *Models {
		m, err := Open(t.Context(), dir, Options{})
		require.NoError(t, err)
		return m
	}
	m := open()
	path := m.current.db.Path()
	require.NoFileExists(t, path+sealSuffix, "nothing vouches for a database in use")
	require.NoError(t, m.Close())
	require.FileExists(t, path+sealSuffix)

	m = open()
	require.Equal(t, path, m.current.db.Path(), "a sound one is used as it is")
	require.NoError(t, m.Close())

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
	m = open()
	require.NotEqual(t, path, m.current.db.Path(), "a flipped bit is noticed")
	require.NoFileExists(t, path)
	require.NoError(t, m.Close())

	seals, err := filepath.Glob(filepath.Join(dir, "*"+sealSuffix))
	require.NoError(t, err)
	require.Len(t, seals, 1)
	require.NoError(t, os.Remove(seals[0]))
	before := open()
	require.NotEqual(t, seals[0], before.current.db.Path()+sealSuffix, "one without its seal, as after a kill, is made anew")
	require.False(t, before.Doubted())
	require.NoError(t, before.Close())
}
