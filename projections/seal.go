package projections

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"permledger/eventstore"
)

// SQLite does not notice when a bit of its file changes. A database that was closed in order therefore
// leaves a seal beside it, the hash of its file. One that comes without its seal, after a kill, or does not
// fit it, because something rotted, is in doubt: nobody knows that its rows are what the log says.
const sealSuffix = ".seal"

// doubtfulBytes is how large a database in doubt may be to be dropped at once, and filled again before it is
// asked: a few seconds' work. A larger one goes on answering while Rebuild makes another beside it.
const doubtfulBytes = 64 << 20

// seal vouches for a closed database file.
func seal(path string) error {
	sum, err := hashFile(path)
	if err == nil {
		err = os.WriteFile(path+sealSuffix, sum, 0o600)
	}
	if err != nil {
		return fmt.Errorf("seal the read models: %w", err)
	}
	return nil
}

// unseal takes the seal from a database that is about to be opened, and reports whether it fitted. A
// database that is not there is not in doubt.
func unseal(path string) (sound bool, err error) {
	want, err := os.ReadFile(path + sealSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		_, missing := os.Stat(path)
		return errors.Is(missing, fs.ErrNotExist), nil
	}
	if err != nil {
		return false, fmt.Errorf("read the seal of the read models: %w", err)
	}
	got, err := hashFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("check the seal of the read models: %w", err)
	}
	_, unwritten := os.Stat(path + "-wal") // what was written after the seal
	sound = err == nil && string(got) == string(want) && errors.Is(unwritten, fs.ErrNotExist)
	if err := os.Remove(path + sealSuffix); err != nil {
		return false, fmt.Errorf("take the seal from the read models: %w", err)
	}
	return sound, nil
}

func hashFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return nil, err
	}
	return hex.AppendEncode(nil, sum.Sum(nil)), nil
}

// Doubted reports whether the rows may differ from what the log says, because nothing vouches for the
// database they came from. Rebuild ends the doubt.
func (m *Models) Doubted() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.doubted
}

// Witness is how far a database in doubt said that it had come before it was dropped: the log must reach it
// even so. It is the zero cursor where none was dropped.
func (m *Models) Witness() eventstore.Cursor { return m.witness }
