package eventstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget drops what the system keeps of a file in memory. What was written and is
// not on the disk yet stays.
func forget(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
