package eventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// DecodeRecord decodes the stored bytes of a record. It refuses a version it
// does not know, unknown members, anything after the record and line ends, but
// checks nothing that needs the record before it. The data of its events may be
// part of b, which must not change any more.
func DecodeRecord(b []byte) (Record, error) {
	p := parser{b: b}
	return p.decode()
}

// decoder reads the stored bytes of a record, and counts what it leaves out.
type decoder func(b []byte) (Record, size, error)

// decodeWhole leaves out nothing.
func decodeWhole(b []byte) (Record, size, error) {
	r, err := DecodeRecord(b)
	return r, size{}, err
}

// decodeOutline refuses what DecodeRecord refuses, but leaves out the commands:
// for who wants to know that a ledger is sound, not what it says.
func decodeOutline(b []byte) (Record, size, error) {
	p := parser{b: b, outline: true}
	r, err := p.decode()
	return r, p.size, err
}

// decodePrints is decodeOutline, and notes the fingerprint of every command.
func decodePrints(b []byte) (Record, size, error) {
	p := parser{b: b, outline: true, printing: true}
	r, err := p.decode()
	if err == nil && len(r.Commands) > 0 { // it was read in another way
		p.size.prints = nil
		for i := range r.Commands {
			p.size.prints = append(p.size.prints, printOf([]byte(r.Commands[i].Actor.Tenant), r.Commands[i].ID))
		}
	}
	return r, p.size, err
}

func (p *parser) decode() (Record, error) {
	if !oneLine(p.b) {
		return Record{}, errors.New("decode record: it is more than one line")
	}
	r, ok := p.record()
	if !ok {
		var err error
		if r, err = decodeAny(p.b); err != nil {
			return Record{}, err
		}
	}
	switch {
	case r.Version != RecordVersion:
		return Record{}, unknownVersion(r.Version)
	case r.First == 0:
		return Record{}, errors.New("decode record: positions start at 1")
	case r.Commands == nil:
		return Record{}, errors.New("decode record: it has no list of commands")
	}
	return r, nil
}

// decodeAny decodes a record in whatever form JSON allows.
func decodeAny(b []byte) (Record, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r Record
	if err := d.Decode(&r); err != nil {
		// Only the version tells "written by a newer release" from damage.
		if v, ok := recordVersion(b); ok && v != RecordVersion {
			return Record{}, unknownVersion(v)
		}
		return Record{}, fmt.Errorf("decode record: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Record{}, errors.New("decode record: something follows the record")
	}
	return r, nil
}

func recordVersion(b []byte) (int, bool) {
	var v struct {
		Version int `json:"v"`
	}
	err := json.Unmarshal(b, &v)
	return v.Version, err == nil
}

func unknownVersion(v int) error {
	return fmt.Errorf("decode record: version %d is not known to this release, which writes version %d", v, RecordVersion)
}
