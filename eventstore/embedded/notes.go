package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/minio/highwayhash"
)

// The files that describe a stream, and where its messages lie.
const (
	metaFile    = "meta.inf"
	metaSumFile = "meta.sum"
	messagesDir = "msgs"
	indexFile   = "index.db"
)

// SettingsFit reports whether the files with the settings of a stream are there
// and fit the server's own checksum. A server that finds them damaged when it
// starts does not know the stream. It reads with read. A server that writes them
// at this moment may look like damage; look again before you say so.
func SettingsFit(storeDir, stream string, read func(path string) ([]byte, error)) (bool, error) {
	dir := StreamDir(storeDir, stream)
	settings, err := read(filepath.Join(dir, metaFile))
	var written []byte
	if err == nil {
		written, err = read(filepath.Join(dir, metaSumFile))
	}
	if err != nil {
		return false, unlessMissing(err)
	}
	sum, err := noteSum(stream, settings)
	return string(written) == hex.EncodeToString(sum), err
}

// IndexFits reports the same of the server's index of a stream. It may be
// missing: the server makes it anew when it starts without one that fits, and
// writes it when it stops and from time to time.
func IndexFits(storeDir, stream string, read func(path string) ([]byte, error)) (bool, error) {
	index, err := read(filepath.Join(StreamDir(storeDir, stream), messagesDir, indexFile))
	if err != nil {
		return true, unlessMissing(err)
	}
	content := index[:max(len(index)-highwayhash.Size64, 0)]
	sum, err := noteSum(stream, content)
	return bytes.Equal(sum, index[len(content):]), err
}

func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func noteSum(stream string, content []byte) ([]byte, error) {
	key := sha256.Sum256([]byte(stream))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, fmt.Errorf("check the notes about stream %s: %w", stream, err)
	}
	_, _ = sum.Write(content) // a hash never fails
	return sum.Sum(nil), nil
}
