package eventstore

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// scrubStep is how many bytes are read between two calls of each.
const scrubStep = 128 << 10

// OpenUncached opens a file to check what the disk holds: what the system keeps
// of it in memory is forgotten first, where it can be told to. Reads are of at
// most 128 KiB, and each is told before a read how many bytes it may take; its
// error ends the reading.
func OpenUncached(path string, each func(bytes int) error) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	forget(f)
	return &uncached{f, each}, nil
}

type uncached struct {
	file *os.File
	each func(bytes int) error
}

func (u *uncached) Read(b []byte) (int, error) {
	b = b[:min(len(b), scrubStep)]
	if err := u.each(len(b)); err != nil {
		return 0, err
	}
	return u.file.Read(b)
}

func (u *uncached) Close() error { return u.file.Close() }

// ReadUncached reads a whole file as OpenUncached does.
func ReadUncached(path string, each func(bytes int) error) ([]byte, error) {
	f, err := OpenUncached(path, each)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	content := make([]byte, 0, scrubStep)
	if info, err := os.Stat(path); err == nil {
		content = make([]byte, 0, info.Size()+1) // one more, so that the end is seen without growing
	}
	for {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		n, err := f.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case err == io.EOF:
			return content, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
		}
	}
}
