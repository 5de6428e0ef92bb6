package main

import (
	"fmt"
	"os"
	"syscall"
)

// syncData makes what was written to a file durable, without its times.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// fileSystems are the types that a data directory commonly lies on, by their magic number in statfs(2).
var fileSystems = map[int64]string{
	0xef53: "ext", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0x794c7630: "overlay",
	0x01021994: "tmpfs", 0x858458f6: "tmpfs", 0x6969: "nfs", 0x65735546: "fuse",
}

// fileSystemOf names the type of the file system on which a directory lies.
func fileSystemOf(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "unknown"
	}
	if name, known := fileSystems[int64(s.Type)]; known { //nolint:unconvert // its type differs between architectures
		return name
	}
	return fmt.Sprintf("%#x", s.Type)
}
