package archive

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
)

// Found is the line of a record found in a segment.
type Found struct {
	// Sequence is the record's sequence; of a line that is not whole it is what
	// the line says, which may be wrong, or 0.
	Sequence uint64
	// File holds the line, Offset and Length say where the record lies in it.
	File           string
	Offset, Length int64
	// Whole says that the checksum of the line holds.
	Whole bool
	// Cut says that the file ends before the line does.
	Cut bool
}

// Scan finds what an archive still holds, whatever has happened to the rest, and
// changes nothing. It calls found for each line of a record, and damaged for each
// segment whose first or last line does not fit.
func Scan(dir string, found func(Found) error, damaged func(*DamageError)) error {
	list, err := segments(dir)
	if err != nil {
		return err
	}
	for i, s := range list {
		content, err := os.ReadFile(s.path)
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		reason, err := scanSegment(s, content, i == len(list)-1, found)
		if err != nil {
			return err
		}
		if reason != "" {
			damaged(&DamageError{File: s.name(), Reason: reason})
		}
	}
	return nil
}

// scanSegment reads line by line and says what is wrong with the frame around
// the records, if anything.
func scanSegment(s segment, content []byte, last bool, found func(Found) error) (reason string, err error) {
	sealed := false
	for at := 0; at < len(content); {
		line, _, whole := bytes.Cut(content[at:], []byte("\n"))
		next := at + len(line)
		if whole {
			next++
		}
		switch {
		case at == 0:
			if _, from, ok := parseHeader(content[:next]); !ok || from.Sequence+1 != s.first {
				reason = "its first line does not fit"
			}
		case whole && bytes.HasPrefix(line, []byte(trailerWord)):
			sealed = true
			sum := sha256.Sum256(content[:at])
			if next != len(content) || !bytes.HasSuffix(line, fmt.Appendf(nil, " %x", sum)) {
				reason = "its last line does not fit what stands before it"
			}
		default:
			f := Found{File: s.path, Cut: !whole}
			var record []byte
			f.Sequence, record, f.Whole = parseFrame(line)
			f.Whole = f.Whole && whole
			f.Offset, f.Length = int64(at+len(line)-len(record)), int64(len(record))
			if err := found(f); err != nil {
				return reason, err
			}
		}
		at = next
	}
	if !sealed && !last && reason == "" {
		reason = "it has no last line, but another segment follows"
	}
	return reason, nil
}
