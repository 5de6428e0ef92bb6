package eventstore

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/google/uuid"
)

// parser reads one known layout: exactly the form AppendRecord gives a record. It
// is several times faster than encoding/json; a replay spends most of its time
// here. After the first surprise it is bad, and everything it returns is
// worthless.
type parser struct {
	b       []byte
	at      int
	bad     bool
	outline bool // read everything, keep no texts and no lists
	size    size // of what was read

	printing bool // note the fingerprint of every command
}

// record reads a record. It reports false for anything that does not have the
// form, which is then left to encoding/json to read or to refuse. What it
// accepts, encoding/json reads as the same record.
func (p *parser) record() (r Record, ok bool) {
	p.literal(`{"v":`)
	r.Version = p.integer()
	p.literal(`,"ledger":"`)
	r.Ledger = p.id()
	p.literal(`","first":`)
	r.First = p.unsigned()
	p.literal(`,"time":`)
	if err := r.Time.UnmarshalText(p.plain()); err != nil {
		p.bad = true
	}
	p.literal(`,"prev":"`)
	r.Previous = p.hash()
	p.literal(`","commands":`)
	r.Commands = list(p, (*parser).command)
	p.literal(`}`)
	return r, !p.bad && p.at == len(p.b)
}

func (p *parser) command() Command {
	var c Command
	p.literal(`{"id":"`)
	c.ID = p.id()
	p.literal(`","name":`)
	c.Name = p.text()
	p.literal(`,"digest":"`)
	c.Digest = p.hash()
	p.literal(`","actor":{"tenant":`)
	tenant := p.bytes()
	if !p.outline {
		c.Actor.Tenant = string(tenant)
	}
	if p.printing {
		p.size.prints = append(p.size.prints, printOf(tenant, c.ID))
	}
	c.Actor.ObjectID = p.optional(`,"objectId":`)
	c.Actor.UPN = p.optional(`,"upn":`)
	p.literal(`,"roles":`)
	c.Actor.Roles = list(p, (*parser).text)
	c.Actor.App = p.optional(`,"app":`)
	p.literal(`}`)
	c.Reason = p.optional(`,"reason":`)
	c.CorrelationID = p.optional(`,"correlationId":`)
	p.literal(`,"events":`)
	c.Events = list(p, (*parser).event)
	p.literal(`}`)
	p.size.commands++
	return c
}

func (p *parser) event() Event {
	var e Event
	p.literal(`{"type":`)
	e.Type = p.text()
	p.literal(`,"v":`)
	e.Version = p.integer()
	p.literal(`,"partner":`)
	e.Partner = p.text()
	e.Customer = p.optional(`,"customer":`)
	p.literal(`,"data":`)
	e.Data = p.value()
	p.literal(`}`)
	p.size.events++
	return e
}

// list reads an array; an empty one, or one that is not kept, is not nil.
func list[T any](p *parser, element func(*parser) T) []T {
	items := []T{}
	p.literal(`[`)
	if p.has(`]`) {
		return items
	}
	for !p.bad {
		if item := element(p); !p.outline {
			items = append(items, item)
		}
		if p.has(`]`) {
			break
		}
		p.literal(`,`)
	}
	return items
}

// has skips s when it comes next.
func (p *parser) has(s string) bool {
	if p.bad || len(p.b)-p.at < len(s) || string(p.b[p.at:p.at+len(s)]) != s {
		return false
	}
	p.at += len(s)
	return true
}

func (p *parser) literal(s string) {
	if !p.has(s) {
		p.bad = true
	}
}

func (p *parser) take(n int) []byte {
	if p.bad || len(p.b)-p.at < n {
		p.bad = true
		return nil
	}
	p.at += n
	return p.b[p.at-n : p.at]
}

func (p *parser) id() (id uuid.UUID) {
	const length = 36
	id, err := uuid.ParseBytes(p.take(length))
	p.bad = p.bad || err != nil
	return id
}

func (p *parser) hash() (h Hash) {
	if err := h.UnmarshalText(p.take(2 * len(h))); err != nil {
		p.bad = true
	}
	return h
}

// unsigned reads a number of up to 18 digits, which can not overflow.
func (p *parser) unsigned() (n uint64) {
	start := p.at
	for !p.bad && p.at < len(p.b) && p.b[p.at] >= '0' && p.b[p.at] <= '9' {
		n = n*10 + uint64(p.b[p.at]-'0')
		p.at++
	}
	digits := p.at - start
	if digits == 0 || digits > 18 || digits > 1 && p.b[start] == '0' {
		p.bad = true
	}
	return n
}

func (p *parser) integer() int {
	n := p.unsigned()
	if n > 1<<31-1 {
		p.bad = true
	}
	return int(n)
}

// plain reads a string without escapes and returns its bytes where they are.
func (p *parser) plain() []byte {
	p.literal(`"`)
	if p.bad {
		return nil
	}
	end := plainEnd(p.b, p.at)
	if end == len(p.b) || p.b[end] != '"' {
		p.bad = true
		return nil
	}
	s := p.b[p.at:end]
	p.at = end + 1
	return s
}

// text reads a string.
func (p *parser) text() string {
	s := p.bytes()
	if p.outline {
		return ""
	}
	return string(s)
}

// bytes reads a string and returns its bytes, where they are if it has no
// escapes.
func (p *parser) bytes() []byte {
	if p.bad {
		return nil
	}
	start := p.at
	s := p.plain()
	if !p.bad && utf8.Valid(s) {
		return s
	}
	p.bad = false
	p.at = start
	var decoded string
	if p.at >= len(p.b) || p.b[p.at] != '"' {
		p.bad = true
	} else if err := json.Unmarshal(p.value(), &decoded); err != nil {
		p.bad = true
	}
	return []byte(decoded)
}

// optional reads a member that is left out when it is empty.
func (p *parser) optional(name string) string {
	if !p.has(name) {
		return ""
	}
	return p.text()
}

// value reads one JSON value and returns its bytes where they are.
func (p *parser) value() []byte {
	end := skipValue(p.b, p.at, 0)
	if p.bad || end < 0 {
		p.bad = true
		return nil
	}
	v := p.b[p.at:end:end]
	p.at = end
	return v
}
