package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"permledger/eventstore"
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
	var blocks []Block
	if s.stream != "" {
		var err error
		if blocks, err = Blocks(s.storeDir, s.stream); err != nil {
			return s.seen, err
		}
	}
	var content bytes.Buffer
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			return s.seen, err
		}
		content.Reset()
		if err := readFile(openBoth, b.File, &content); err != nil {
			return s.seen, err
		}
		if err := s.block(b, content.Bytes()); err != nil {
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
func (s *surveyor) block(b Block, content []byte) error {
	var e extent
	err := b.Scan(content, s.subject, func(f Found) error {
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
		return &DamageError{File: s.damaged.File, Sequence: expected, Before: s.before, Reason: "a message is damaged, and whole ones follow it: permledger repair restores it from the archive"}
	case s.seen.last > 0 && f.Sequence > expected:
		return &DamageError{File: f.File, Sequence: expected, Before: s.before, Reason: fmt.Sprintf("message %d follows message %d: permledger repair restores what is missing from the archive", f.Sequence, s.seen.last)}
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
	fits, err := SettingsFit(s.storeDir, s.stream, func(path string) ([]byte, error) {
		var content bytes.Buffer
		err := readFile(nil, path, &content)
		return content.Bytes(), err
	})
	if err == nil && !fits {
		return &DamageError{
			File:   filepath.Join(StreamDir(s.storeDir, s.stream), metaFile),
			Reason: "the settings of the log's stream are missing or do not match their checksum: permledger repair makes them again",
		}
	}
	return err
}
