package embedded

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"

	"permledger/eventstore"
)

// Found is a message found in the files of a stream.
type Found struct {
	// Sequence is its number in the stream. Of a message that is not whole it
	// is what its header says, which may be wrong, or 0.
	Sequence uint64
	// File holds the message, Offset and Length say where its content lies. Of a
	// message that is not whole, Offset is where it begins.
	File           string
	Offset, Length int64
	// Whole says that the server's own checksum of the message holds.
	Whole bool
	// Cut says that the file ends before the message does.
	Cut bool
}

// Content reads what a whole message holds. A file that cannot be read is a
// *eventstore.ReadError.
func (f Found) Content() ([]byte, error) {
	file, err := os.Open(f.File)
	if err != nil {
		return nil, &eventstore.ReadError{File: f.File, Err: err}
	}
	b := make([]byte, f.Length)
	_, err = file.ReadAt(b, f.Offset)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, &eventstore.ReadError{File: f.File, Err: err}
	}
	return b, nil
}

// The names of the server's own directories: its store in a store directory, and
// the streams in the one account there is.
const (
	storeName  = "jetstream"
	streamsDir = "streams"
)

// StreamDir returns where a server with this store directory keeps a stream.
func StreamDir(storeDir, stream string) string {
	return filepath.Join(storeDir, storeName, "$G", streamsDir, stream)
}

// The layout of a message in a block file, as the server has written it since
// it knows streams. All numbers are little-endian.
//
//	length 4 (highest bit: has headers) · sequence 8 · time 8 · length of the subject 2
//	subject · [length of the headers 4 · headers] · content · checksum 8
const (
	frameHead     = 4 + 8 + 8 + 2
	frameSum      = 8
	frameHeaders  = 1 << 31 // set in the length: there are headers
	frameErased   = 1 << 63 // set in the sequence: the content is gone
	frameDeleted  = 1 << 62 // set in the sequence: a note about another message
	frameLargest  = 2 * MaxPayload
	blockFileName = ".blk"
)

// ScanStream finds the messages on one subject in the files of a stream, without
// a server, and changes nothing. A server that opens damaged files drops what
// follows the damage in the same file, and writes that down; reading the files
// finds all that is there. It calls found for each message, block by block. A
// stream without files holds nothing. A file that cannot be read is a
// *eventstore.ReadError.
func ScanStream(storeDir, stream, subject string, found func(Found) error) error {
	blocks, err := Blocks(storeDir, stream)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	for _, b := range blocks {
		content.Reset()
		if err := readFile(nil, b.File, &content); err != nil {
			return err
		}
		if err := b.Scan(content.Bytes(), subject, found); err != nil {
			return err
		}
	}
	return nil
}

// Block is a file with messages of a stream.
type Block struct {
	File   string
	stream string
	number uint32
}

// Blocks lists the files with messages of a stream, oldest first. The newest is the
// one that a running server appends to. A stream without files has none.
func Blocks(storeDir, stream string) ([]Block, error) {
	dir := filepath.Join(StreamDir(storeDir, stream), messagesDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &eventstore.ReadError{File: dir, Err: err}
	}
	var blocks []Block
	for _, e := range entries {
		name, isBlock := strings.CutSuffix(e.Name(), blockFileName)
		if n, err := strconv.ParseUint(name, 10, 32); isBlock && err == nil {
			blocks = append(blocks, Block{filepath.Join(dir, e.Name()), stream, uint32(n)})
		}
	}
	slices.SortFunc(blocks, func(a, b Block) int { return cmp.Compare(a.number, b.number) })
	return blocks, nil
}

// Scan checks every message in the content of a file. It calls found for each whole
// message on the subject, and for each place where none is whole; its errors are
// those of found.
//
// It relies on the server's file format, which a test holds against the server
// that is linked into this program.
func (b Block) Scan(content []byte, subject string, found func(Found) error) error {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", b.stream, b.number))
	sum, err := highwayhash.New64(key[:])
	if err != nil {
		return fmt.Errorf("check %s: %w", b.File, err)
	}
	return scanBlock(&block{file: b.File, content: content, subject: []byte(subject), sum: sum}, found)
}

// readFile reads a whole file into something that takes it, in its order.
func readFile(open func(string) (io.ReadCloser, error), path string, to io.Writer) error {
	if open == nil {
		open = func(path string) (io.ReadCloser, error) { return os.Open(path) }
	}
	f, err := open(path)
	if err != nil {
		return &eventstore.ReadError{File: path, Err: err}
	}
	_, err = io.Copy(to, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return &eventstore.ReadError{File: path, Err: err}
	}
	return nil
}

// block is one file of messages.
type block struct {
	file    string
	content []byte
	subject []byte
	sum     hash.Hash64
}

// scanBlock goes from message to message. Where one is not whole, it goes on at
// the next place that looks like the head of one.
func scanBlock(b *block, found func(Found) error) error {
	for at := 0; at < len(b.content); {
		f, size := b.read(at)
		if f.Sequence > 0 || !f.Whole {
			if err := found(f); err != nil {
				return err
			}
		}
		if f.Whole {
			at += size
			continue
		}
		from := min(at+frameHead+1, len(b.content))
		next := bytes.Index(b.content[from:], b.subject)
		if next < 0 {
			return nil
		}
		at = from + next - frameHead
	}
	return nil
}

// read reads the message whose head is at a place, and returns how many bytes a
// whole one takes in the file. A whole message on another subject, or a note of
// the server's, has sequence 0; so has damage that does not even look like ours.
func (b *block) read(at int) (Found, int) {
	rest := b.content[at:]
	if len(rest) < frameHead {
		return Found{File: b.file, Offset: int64(at), Cut: true}, 0
	}
	length, sequence := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint64(rest[4:])
	size, content := int(length&^frameHeaders), frameHead+int(binary.LittleEndian.Uint16(rest[20:]))
	damaged := Found{File: b.file, Offset: int64(at)}
	ours := len(rest) >= content && bytes.Equal(rest[frameHead:content], b.subject)
	if ours {
		damaged.Sequence = sequence
	}
	head := content // where what is summed goes on, after the length of the headers
	if length&frameHeaders != 0 {
		head += 4
	}
	end := size - frameSum
	if end < head || size > frameLargest {
		return damaged, 0
	}
	if size > len(rest) {
		damaged.Cut = true
		return damaged, 0
	}
	b.sum.Reset()
	for _, part := range [][]byte{rest[4:20], rest[frameHead:content], rest[head:end]} {
		_, _ = b.sum.Write(part)
	}
	if b.sum.Sum64() != binary.LittleEndian.Uint64(rest[end:]) {
		return damaged, 0
	}
	if !ours || sequence&(frameErased|frameDeleted) != 0 {
		return Found{Whole: true}, size
	}
	if head > content {
		head += int(binary.LittleEndian.Uint32(rest[content:]))
	}
	// The sum does not cover the length of the headers, but they end in a known way.
	if head > end || head > content && !bytes.HasSuffix(rest[content:head], []byte("\r\n\r\n")) {
		return damaged, 0
	}
	return Found{Sequence: sequence, File: b.file, Offset: int64(at + head), Length: int64(end - head), Whole: true}, size
}
