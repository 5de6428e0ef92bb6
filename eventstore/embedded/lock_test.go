package embedded_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/eventstore/embedded"
)

func TestRemovingTheLockFileLetsNobodyElseIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := embedded.LockDir(dir)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, embedded.LockFile)))
	_, err = embedded.LockDir(dir)
	var locked *embedded.LockedError
	require.ErrorAs(t, err, &locked)
	require.Zero(t, locked.PID, "nobody says it any more")
	require.NoError(t, lock.Unlock())
	lock, err = embedded.LockDir(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Unlock())
}

// TestAProgramThatLocksTheFileAloneAndThisOneKeepEachOtherOut is about the programs before the directory
// itself was locked.
func TestAProgramThatLocksTheFileAloneAndThisOneKeepEachOtherOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := embedded.LockDir(dir)
	require.NoError(t, err)
	old, err := os.OpenFile(filepath.Join(dir, embedded.LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	flock := func() error { return syscall.Flock(int(old.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	require.ErrorIs(t, flock(), syscall.EWOULDBLOCK)
	require.NoError(t, lock.Unlock())
	require.NoError(t, flock())
	_, err = embedded.LockDir(dir)
	var locked *embedded.LockedError
	require.ErrorAs(t, err, &locked)
	require.NoError(t, old.Close())
	lock, err = embedded.LockDir(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Unlock())
}
