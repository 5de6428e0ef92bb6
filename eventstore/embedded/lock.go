//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// LockFile is the name of a file in a data directory that says which process uses
// it. It is locked as well, for programs that know of no other lock.
const LockFile = "lock"

// Lock is a lock on a directory itself, which nobody can take away by removing a
// file in it. The kernel drops it when the process ends, however it ends, so there
// is never a stale one to remove.
type Lock struct{ dir, file *os.File }

// LockedError says that another process uses a directory.
type LockedError struct {
	Dir string
	// PID is the process that holds the lock, 0 when it did not say.
	PID int
}

// Error names the directory and the process.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the data directory %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("the data directory %s is in use by process %d: stop it first, or choose another directory", e.Dir, e.PID)
}

// LockDir creates a directory with mode 0700 if need be, and locks it.
func LockDir(dir string) (*Lock, error) {
	lock, err := lockDir(dir)
	if _, locked := errors.AsType[*LockedError](err); err != nil && !locked {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return lock, err
}

func lockDir(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	l := &Lock{dir: d}
	if err := flock(d); err != nil {
		return nil, errors.Join(refused(dir, err), l.Unlock())
	}
	if l.file, err = os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, errors.Join(err, l.Unlock())
	}
	if err := flock(l.file); err != nil {
		return nil, errors.Join(refused(dir, err), l.Unlock())
	}
	// The number is a help for people; the lock does not depend on it.
	_ = l.file.Truncate(0)
	_, _ = l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return l, nil
}

func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// refused says who holds a lock that was not to be had.
func refused(dir string, err error) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &LockedError{Dir: dir, PID: holder(dir)}
	}
	return err
}

// holder reads which process says that it holds the lock, 0 when none does.
func holder(dir string) int {
	f, err := os.Open(filepath.Join(dir, LockFile))
	if err != nil {
		return 0
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// Unlock releases the directory.
func (l *Lock) Unlock() error {
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	return errors.Join(err, l.dir.Close())
}
