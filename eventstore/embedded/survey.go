package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/minio/highwayhash"

	"permledger/eventstore"
)

// The files that describe a stream, and where its messages lie.
const (
	metaFile    = "meta.inf"
	metaSumFile = "meta.sum"
	messagesDir = "msgs"
)

// inventory is what the files of a stream hold.
type inventory struct {
	blocks      map[string]extent // by name
	newest      string            // block
	first, last uint64            // whole messages; 0 when there is none
}

// extent says how much of a block is whole messages.
type extent struct {
	end  int64 // where the last whole message on the subject ends
	torn bool  // something that is not whole stands in it; the server cuts it off
}

// surveyor reads a store before a server opens it.
type surveyor struct {
	storeDir        string
	stream, subject string

	seen    inventory
	before  Found  // the last whole message
	damaged *Found // not whole, and nothing whole behind it so far
}

// survey reads every file of a store to its end and says what the stream holds. It
// changes nothing. A file that cannot be read is a *eventstore.ReadError. Damage with whole
// messages behind it, a gap, and a stream whose description does not fit are a
// *DamageError. A last message that is not whole is neither: it was being written
// when the process ended, and nobody was told that it is stored.
func (s *surveyor) survey(ctx context.Context) (inventory, error) {
	s.seen = inventory{blocks: make(map[string]extent)}
	scanner := Scanner{StoreDir: s.storeDir, Stream: s.stream, Subject: s.subject, Open: openBoth}
	var blocks []Block
	if s.stream != "" {
		var err error
		if blocks, err = scanner.Blocks(); err != nil {
			return s.seen, err
		}
	}
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			return s.seen, err
		}
		if err := s.block(&scanner, b); err != nil {
			return s.seen, err
		}
	}
	if err := s.others(ctx); err != nil {
		return s.seen, err
	}
	if s.seen.last == 0 {
		return s.seen, nil
	}
	return s.seen, s.description()
}

// openBoth opens a file for reading and writing, as a server opens a block: one
// that it may only read it gives up as well.
func openBoth(path string) (io.ReadCloser, error) { return os.OpenFile(path, os.O_RDWR, 0) }

// block scans one block.
func (s *surveyor) block(scanner *Scanner, b Block) error {
	var e extent
	err := scanner.Scan(b, func(f Found) error {
		if f.Whole {
			e.end = f.Offset + f.Length + frameSum
		}
		e.torn = e.torn || !f.Whole
		return s.take(f)
	})
	if err != nil {
		return err
	}
	s.seen.newest = filepath.Base(b.File)
	s.seen.blocks[s.seen.newest] = e
	return nil
}

// take holds one message against those before it.
func (s *surveyor) take(f Found) error {
	expected := s.seen.last + 1
	switch {
	case !f.Whole && s.damaged == nil:
		s.damaged = &f
		return nil
	case !f.Whole:
		return nil
	case s.damaged != nil:
		return &DamageError{File: s.damaged.File, Sequence: expected, Before: s.before, Reason: "a message is damaged, with whole ones behind it; permledger repair makes it good from the archive"}
	case s.seen.last > 0 && f.Sequence > expected:
		return &DamageError{File: f.File, Sequence: expected, Before: s.before, Reason: fmt.Sprintf("message %d follows message %d; permledger repair makes the gap good from the archive", f.Sequence, s.seen.last)}
	case f.Sequence < expected:
		return nil // the server passes it over as well
	}
	if s.seen.last == 0 {
		s.seen.first = f.Sequence
	}
	s.seen.last, s.before = f.Sequence, f
	return nil
}

// others reads all files that are not blocks of the stream.
func (s *surveyor) others(ctx context.Context) error {
	messages := filepath.Join(StreamDir(s.storeDir, s.stream), messagesDir)
	root := filepath.Join(s.storeDir, storeName)
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case path == root && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return &eventstore.ReadError{File: path, Err: err}
		case e.IsDir():
			return ctx.Err()
		case s.stream != "" && filepath.Dir(path) == messages && filepath.Ext(path) == blockFileName:
			return nil // it was scanned
		}
		return readFile(nil, path, io.Discard)
	})
}

// description checks the files without which the server does not know the stream.
func (s *surveyor) description() error {
	dir := StreamDir(s.storeDir, s.stream)
	var content [2]bytes.Buffer
	for i, name := range []string{metaFile, metaSumFile} {
		err := readFile(nil, filepath.Join(dir, name), &content[i])
		if errors.Is(err, fs.ErrNotExist) {
			return &DamageError{File: filepath.Join(dir, name), Reason: "the file is missing, without which the log is not known; permledger repair makes it anew"}
		}
		if err != nil {
			return err
		}
	}
	key := sha256.Sum256([]byte(s.stream))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return fmt.Errorf("check %s: %w", filepath.Join(dir, metaFile), err)
	}
	_, _ = sum.Write(content[0].Bytes())
	if content[1].String() != hex.EncodeToString(sum.Sum(nil)) {
		return &DamageError{File: filepath.Join(dir, metaFile), Reason: "its checksum does not hold; permledger repair makes it anew"}
	}
	return nil
}
