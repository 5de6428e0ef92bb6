//go:build !linux

package main

import "os"

// syncData makes what was written to a file durable.
func syncData(f *os.File) error { return f.Sync() }

// fileSystemOf names the type of the file system on which a directory lies, where that is known.
func fileSystemOf(string) string { return "unknown" }
