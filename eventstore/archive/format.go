package archive

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// magic begins every segment; its number is the version of the format.
const magic = "permledger-archive 1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder writes the lines of one segment and sums them up.
type encoder struct {
	out  io.Writer
	sum  hash.Hash
	size int64
	line []byte
}

// newEncoder begins a segment after a cursor.
func newEncoder(out io.Writer, ledger uuid.UUID, from eventstore.Cursor) (*encoder, error) {
	e := &encoder{out: out, sum: sha256.New()}
	return e, e.write(appendHeader(nil, ledger, from))
}

func (e *encoder) record(s *eventstore.Stored) error {
	e.line = appendFrame(e.line[:0], s.Sequence, s.Bytes)
	return e.write(e.line)
}

// seal ends the segment after a cursor.
func (e *encoder) seal(at eventstore.Cursor) error {
	return e.write(appendTrailer(nil, at, e.sum))
}

func (e *encoder) write(line []byte) error {
	n, err := e.out.Write(line)
	e.size += int64(n)
	_, _ = e.sum.Write(line) // a hash never fails
	return err
}

func appendHeader(b []byte, ledger uuid.UUID, from eventstore.Cursor) []byte {
	return fmt.Appendf(b, "%s %s %d %d %s\n", magic, ledger, from.Sequence+1, from.Position, from.Hash)
}

// parseHeader reads a header with its line end. It accepts only what
// appendHeader writes.
func parseHeader(line []byte) (ledger uuid.UUID, from eventstore.Cursor, ok bool) {
	fields := bytes.Fields(line)
	const count = 6
	if len(fields) != count {
		return uuid.Nil, eventstore.Cursor{}, false
	}
	ledger, err := uuid.ParseBytes(fields[2])
	first, ferr := strconv.ParseUint(string(fields[3]), 10, 64)
	position, perr := strconv.ParseUint(string(fields[4]), 10, 64)
	before, herr := eventstore.ParseHash(string(fields[5]))
	if err != nil || ferr != nil || perr != nil || herr != nil || first == 0 {
		return uuid.Nil, eventstore.Cursor{}, false
	}
	from = eventstore.Cursor{Sequence: first - 1, Position: position, Hash: before}
	return ledger, from, bytes.Equal(line, appendHeader(nil, ledger, from))
}

func appendFrame(b []byte, sequence uint64, record []byte) []byte {
	b = strconv.AppendUint(b, sequence, 10)
	b = append(b, ' ')
	b = fmt.Appendf(b, "%08x ", frameSum(sequence, record))
	b = append(b, record...)
	return append(b, '\n')
}

// frameSum is the CRC-32C of the sequence in decimal digits, a space and the
// record.
func frameSum(sequence uint64, record []byte) uint32 {
	var digits [24]byte
	sum := crc32.Checksum(append(strconv.AppendUint(digits[:0], sequence, 10), ' '), castagnoli)
	return crc32.Update(sum, castagnoli, record)
}

// parseFrame reads the line of a record without its line end. Of a line that is
// not intact it returns the sequence, if it can be read, and false.
func parseFrame(line []byte) (sequence uint64, record []byte, ok bool) {
	number, rest, _ := bytes.Cut(line, []byte(" "))
	sum, record, _ := bytes.Cut(rest, []byte(" "))
	sequence, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || sequence == 0 {
		return 0, nil, false
	}
	intact := string(sum) == fmt.Sprintf("%08x", frameSum(sequence, record)) &&
		string(number) == strconv.FormatUint(sequence, 10)
	return sequence, record, intact
}

const trailerWord = "end "

// appendTrailer appends the line that seals a segment; sum has taken all lines
// before it.
func appendTrailer(b []byte, at eventstore.Cursor, sum hash.Hash) []byte {
	return fmt.Appendf(b, trailerWord+"%d %d %s %x\n", at.Sequence, at.Position, at.Hash, sum.Sum(nil))
}
