package eventstore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendRecord appends the stored form of r to b: one line of JSON without a
// line end. Those bytes are what is stored, hashed and exported.
//
// It writes by hand because encoding/json validates and compacts every
// json.RawMessage again, which costs more than all the rest; the data of an
// event must therefore be one valid JSON value without line ends already. Text
// must be valid UTF-8.
func AppendRecord(b []byte, r *Record) []byte {
	b = appendRecordHead(b, r)
	for i := range r.Commands {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendCommand(b, &r.Commands[i])
	}
	return append(b, recordTail...)
}

// What comes between a record's previous hash and its first command, and after
// its last one.
const (
	commandsMember = `","commands":[`
	recordTail     = `]}`
)

// appendRecordHead appends everything before the first command.
func appendRecordHead(b []byte, r *Record) []byte {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, int64(r.Version), 10)
	b = append(b, `,"ledger":"`...)
	b = append(b, r.Ledger.String()...)
	b = append(b, `","first":`...)
	b = strconv.AppendUint(b, r.First, 10)
	b = append(b, `,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","prev":"`...)
	b = hex.AppendEncode(b, r.Previous[:])
	return append(b, commandsMember...)
}

// AppendCommand appends the stored form of one command to b.
func AppendCommand(b []byte, c *Command) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, c.ID.String()...)
	b = append(b, `","name":`...)
	b = appendString(b, c.Name)
	b = append(b, `,"digest":"`...)
	b = hex.AppendEncode(b, c.Digest[:])
	b = append(b, `","actor":`...)
	b = appendActor(b, &c.Actor)
	b = appendOptional(b, `,"reason":`, c.Reason)
	b = appendOptional(b, `,"correlationId":`, c.CorrelationID)
	b = append(b, `,"events":[`...)
	for i := range c.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEvent(b, &c.Events[i])
	}
	return append(b, `]}`...)
}

func appendActor(b []byte, a *Actor) []byte {
	b = append(b, `{"tenant":`...)
	b = appendString(b, a.Tenant)
	b = appendOptional(b, `,"objectId":`, a.ObjectID)
	b = appendOptional(b, `,"upn":`, a.UPN)
	b = append(b, `,"roles":[`...)
	for i, role := range a.Roles {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, role)
	}
	b = append(b, ']')
	b = appendOptional(b, `,"app":`, a.App)
	return append(b, '}')
}

func appendEvent(b []byte, e *Event) []byte {
	b = append(b, `{"type":`...)
	b = appendString(b, e.Type)
	b = append(b, `,"v":`...)
	b = strconv.AppendInt(b, int64(e.Version), 10)
	b = append(b, `,"partner":`...)
	b = appendString(b, e.Partner)
	b = appendOptional(b, `,"customer":`, e.Customer)
	b = append(b, `,"data":`...)
	b = append(b, e.Data...)
	return append(b, '}')
}

// appendOptional appends a member unless its value is empty.
func appendOptional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, name...), value)
}

// appendString appends s as a JSON string with as few escapes as JSON allows.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				// What is not text can not be stored as text; U+FFFD is what
				// every JSON reader would make of it.
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// checkEvent refuses what would make a record unreadable for ever: data that
// is not one JSON value on one line.
func checkEvent(e *Event) error {
	switch {
	case e.Type == "":
		return errors.New("an event needs a type")
	case !oneLine(e.Data):
		return fmt.Errorf("the data of event %s holds a line end", e.Type)
	case !validValue(e.Data):
		return fmt.Errorf("the data of event %s is not valid JSON", e.Type)
	}
	return nil
}
