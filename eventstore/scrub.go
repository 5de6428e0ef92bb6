package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckMark compares the head mark on the disk with what was written, and reports
// whether it was something else. Then it is written again.
func (l *Log) CheckMark() (differs bool, err error) {
	return l.mark.check(filepath.Join(l.opts.Dir, HeadMarkFile))
}

// CheckIdentity compares the identity file with the ledger that is open, and
// reports whether it says anything else. It changes nothing: a file that names
// another ledger may be there for a reason somebody has to find.
func (l *Log) CheckIdentity() (differs bool, err error) {
	l.mu.Lock()
	id := l.id
	l.mu.Unlock()
	if id == nil {
		return false, nil
	}
	want, err := id.encode()
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile(filepath.Join(l.opts.Dir, IdentityFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read the identity of the ledger: %w", err)
	}
	return !bytes.Equal(b, want), nil
}

// StoredBytes asks the server how many bytes the log takes, about.
func (l *Log) StoredBytes(ctx context.Context) (uint64, error) {
	state, err := l.state(ctx)
	return state.Bytes, err
}

// CheckCounts asks the server whether it counts as many records as there must be.
// It returns an *IntegrityError when records are missing.
func (l *Log) CheckCounts(ctx context.Context) error {
	if _, err := l.last(ctx); err != nil { // gone, or too short
		return err
	}
	state, err := l.state(ctx)
	if err != nil {
		return l.fail(err)
	}
	return l.fail(counted(&state, l.mark.get()))
}
