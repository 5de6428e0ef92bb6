package repair

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// Range is a run of records and the positions of their events.
type Range struct {
	FirstRecord uint64 `json:"firstRecord"`
	LastRecord  uint64 `json:"lastRecord"`
	// FirstPosition to LastPosition are the events at fault; LastPosition is the
	// smaller one when the records hold none.
	FirstPosition uint64 `json:"firstPosition"`
	LastPosition  uint64 `json:"lastPosition"`
	// Unbounded says that nobody knows the last one; LastPosition is 0 then.
	Unbounded bool `json:"unbounded,omitempty"`
}

// String names the positions and the records.
func (r Range) String() string {
	records := fmt.Sprintf("record %d", r.FirstRecord)
	if r.LastRecord > r.FirstRecord {
		records = fmt.Sprintf("records %d to %d", r.FirstRecord, r.LastRecord)
	}
	switch {
	case r.Unbounded:
		return fmt.Sprintf("position %d and later (%s)", r.FirstPosition, records)
	case r.LastPosition < r.FirstPosition:
		return fmt.Sprintf("no event after position %d (%s)", r.LastPosition, records)
	case r.LastPosition == r.FirstPosition:
		return fmt.Sprintf("position %d (%s)", r.FirstPosition, records)
	}
	return fmt.Sprintf("positions %d to %d (%s)", r.FirstPosition, r.LastPosition, records)
}

// Finding is damage of one copy that the other one makes good.
type Finding struct {
	Copy string `json:"copy"`
	Range
	Reason string `json:"reason"`
}

// LostError names what no copy holds intact. It matches eventstore.ErrIntegrity.
type LostError struct {
	Ranges []Range
	// Prefix is the longest ledger that can be restored without what is lost: all
	// records before it. It is nil when there is none.
	Prefix *Plan
	// Last is the last record that the ledger is known to have had.
	Last uint64
}

// Error names every lost position, and the command that gives up what follows the
// first one.
func (e *LostError) Error() string {
	parts := make([]string, len(e.Ranges))
	for i, r := range e.Ranges {
		parts[i] = r.String()
	}
	text := "integrity failure: neither the log nor the archive holds " + strings.Join(parts, ", ") + " intact: restore a backup"
	if e.Prefix == nil {
		return text
	}
	at := e.Prefix.Report.Head
	return text + fmt.Sprintf("; if there is none that is newer, permledger repair --give-up-after %d keeps records 1 to %d and gives up everything later",
		at.Position, at.Sequence)
}

// Is reports that every LostError is an eventstore.ErrIntegrity.
func (e *LostError) Is(target error) bool { return target == eventstore.ErrIntegrity }

// Plan is a ledger that the copies hold together, record by record.
type Plan struct {
	// Report is of the whole ledger that can be restored.
	Report eventstore.Report
	// Findings are the damages of either copy, in order of the records.
	Findings []Finding

	copies [2]*Copy
	chosen []uint8 // which copy gives the record; sequence 1 comes first
}

// Damaged says that a copy is not what it should be. An archive that merely ends
// before the log is not damaged.
func (p *Plan) Damaged(c *Copy) bool {
	return len(c.Remarks) > 0 || slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Copy == c.Name })
}

// Records yields the records of the plan, checked once more as they are read.
func (p *Plan) Records() iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		checker := eventstore.NewChecker(eventstore.Cursor{}, p.Report.Ledger)
		for i, from := range p.chosen {
			var s eventstore.Stored
			b, _, err := p.copies[from].get(uint64(i + 1))
			if err == nil {
				s, err = checker.Next(b)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// Known is what else is known of the ledger that the copies should hold.
type Known struct {
	// Marks are those of the data directory.
	Marks eventstore.Marks
	// Reached is how far others have read the log.
	Reached []eventstore.Cursor
}

// Compare goes through both copies record by record. A record is taken from
// whichever copy holds one that is whole and continues the chain. Where both do
// and differ, the next record tells which one it names.
//
// It returns a *LostError that names everything no copy holds, and an
// *eventstore.IntegrityError when the copies, or what else is known, belong to
// different ledgers or contradict each other: then a person has to decide.
func Compare(ctx context.Context, log, archive *Copy, known Known, progress func(done, total uint64)) (*Plan, error) {
	c := &comparison{copies: [2]*Copy{log, archive}, known: known, plan: &Plan{copies: [2]*Copy{log, archive}}}
	ledger, err := c.ledger()
	if err != nil {
		return nil, err
	}
	c.checker = eventstore.NewChecker(eventstore.Cursor{}, ledger)
	c.last = max(log.last, archive.last)
	for _, end := range c.witnesses() {
		c.last = max(c.last, end.Sequence)
	}
	for sequence := uint64(1); sequence <= c.last; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if sequence, err = c.step(sequence); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(sequence-1, c.last)
		}
	}
	if len(c.lost) > 0 {
		return nil, c.refusal()
	}
	return c.plan, c.contradiction()
}

// refusal says what is lost and what could be kept without it.
func (c *comparison) refusal() error {
	lost := &LostError{Ranges: c.lost, Last: c.last}
	records := c.lost[0].FirstRecord - 1
	if records == 0 {
		return lost
	}
	prefix := *c.plan
	prefix.chosen, prefix.Report = c.plan.chosen[:records], eventstore.Report{Ledger: c.checker.Ledger()}
	for s, err := range prefix.Records() {
		if err != nil {
			return err
		}
		prefix.Report.Take(&s)
	}
	if genesis := c.known.Marks.Genesis; genesis.IsZero() || prefix.Report.Genesis == genesis {
		lost.Prefix = &prefix
	}
	return lost
}

// comparison is one pass over two copies.
type comparison struct {
	copies   [2]*Copy
	known    Known
	last     uint64
	checker  *eventstore.Checker
	anchored uint64 // the record after a loss at which the pass went on
	plan     *Plan
	lost     []Range
}

// witnesses are the records that the ledger is known to have had.
func (c *comparison) witnesses() []eventstore.Cursor {
	return append([]eventstore.Cursor{c.known.Marks.Head}, c.known.Reached...)
}

// ledger finds the one ledger that everything belongs to.
func (c *comparison) ledger() (uuid.UUID, error) {
	ledger, who := c.known.Marks.Ledger, "the identity file"
	for _, copied := range c.copies {
		if copied.Empty() {
			continue
		}
		b, _, err := copied.get(slices.MinFunc(slices.Collect(maps.Keys(copied.places)), cmp.Compare))
		if err != nil {
			return uuid.Nil, err
		}
		r, err := eventstore.DecodeRecord(b)
		if err != nil {
			continue // found again, in its place
		}
		if ledger != uuid.Nil && r.Ledger != ledger {
			return uuid.Nil, &eventstore.IntegrityError{Reason: fmt.Sprintf(
				"the %s belongs to ledger %s, but %s names ledger %s: take away what does not belong here", copied.Name, r.Ledger, who, ledger)}
		}
		ledger, who = r.Ledger, "the "+copied.Name
	}
	switch {
	case ledger == uuid.Nil:
		return uuid.Nil, &eventstore.IntegrityError{Reason: "neither the log nor the archive holds a single record: restore a backup"}
	case c.known.Marks.Ledger == uuid.Nil && c.copies[1].Empty():
		return uuid.Nil, &eventstore.IntegrityError{Reason: "the identity file is missing or damaged and there is no archive: nothing proves that the log is whole"}
	}
	return ledger, nil
}

// candidate is a record that continues the chain.
type candidate struct {
	from    uint8
	stored  eventstore.Stored
	checker *eventstore.Checker
}

// step takes one record, or notes a loss, and returns the sequence to go on with.
func (c *comparison) step(sequence uint64) (uint64, error) {
	var held [2][]byte
	var fits []candidate
	for i, copied := range c.copies {
		b, ok, err := copied.get(sequence)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		held[i] = b
		if len(fits) > 0 && bytes.Equal(fits[0].stored.Bytes, b) {
			continue
		}
		next := *c.checker
		if s, err := next.Next(b); err == nil {
			fits = append(fits, candidate{uint8(i), s, &next})
		}
	}
	if len(fits) == 0 {
		return c.lose(sequence)
	}
	best := fits[0]
	if len(fits) > 1 {
		var err error
		if best, err = c.decide(sequence, fits); err != nil {
			return 0, err
		}
	}
	c.checker = best.checker
	c.plan.chosen = append(c.plan.chosen, best.from)
	c.plan.Report.Take(&best.stored)
	for i, copied := range c.copies {
		if !bytes.Equal(held[i], best.stored.Bytes) {
			c.find(copied, &best.stored, held[i] != nil)
		}
	}
	return sequence + 1, nil
}

// find notes that a copy does not hold a record as it should.
func (c *comparison) find(copied *Copy, s *eventstore.Stored, differs bool) {
	reason := "missing"
	switch {
	case differs:
		reason = "not the record that the chain names"
	case copied.broken[s.Sequence]:
		reason = "its checksum does not hold"
	case copied == c.copies[1] && s.Sequence > copied.last:
		return // the archive follows a moment later
	}
	r := Range{FirstRecord: s.Sequence, LastRecord: s.Sequence, FirstPosition: s.Record.First, LastPosition: s.Record.Last()}
	for i, f := range c.plan.Findings {
		if f.Copy == copied.Name && f.Reason == reason && f.LastRecord+1 == s.Sequence {
			c.plan.Findings[i].LastRecord, c.plan.Findings[i].LastPosition = r.LastRecord, r.LastPosition
			return
		}
	}
	c.plan.Findings = append(c.plan.Findings, Finding{Copy: copied.Name, Range: r, Reason: reason})
}

// decide chooses between two records that both continue the chain: the head mark
// or the next record names one of them.
func (c *comparison) decide(sequence uint64, fits []candidate) (candidate, error) {
	named := map[eventstore.Hash]bool{}
	for _, copied := range c.copies {
		b, ok, err := copied.get(sequence + 1)
		if err != nil {
			return candidate{}, err
		}
		if !ok {
			continue
		}
		if r, err := eventstore.DecodeRecord(b); err == nil {
			named[r.Previous] = true
		}
	}
	if mark := c.known.Marks.Head; mark.Sequence == sequence {
		named[mark.Hash] = true
	}
	var chosen []candidate
	for _, f := range fits {
		if named[f.stored.Hash] {
			chosen = append(chosen, f)
		}
	}
	if len(chosen) != 1 {
		return candidate{}, &eventstore.IntegrityError{
			Position: c.checker.At().Position + 1, Sequence: sequence,
			Reason: "the log and the archive hold different records, and both continue the ledger: somebody has to decide which one is it",
		}
	}
	return chosen[0], nil
}

// lose notes that a record is lost and finds the next one to go on with. A record
// that is whole but does not continue the chain shows that the one before it is
// not what was written.
func (c *comparison) lose(sequence uint64) (uint64, error) {
	at := c.checker.At()
	lost := Range{FirstRecord: sequence, FirstPosition: at.Position + 1}
	for q := sequence; q <= c.last; q++ {
		if q == c.anchored {
			continue
		}
		for _, copied := range c.copies {
			b, ok, err := copied.get(q)
			if err != nil {
				return 0, err
			}
			if !ok {
				continue
			}
			r, err := eventstore.DecodeRecord(b)
			if err != nil || r.Ledger != c.checker.Ledger() {
				continue
			}
			lost.LastRecord, lost.LastPosition = q-1, r.First-1
			if q == sequence {
				lost.FirstRecord, lost.FirstPosition = max(q-1, 1), max(at.Position, 1)
			}
			c.lost = append(c.lost, lost)
			c.anchored = q
			c.checker = eventstore.NewChecker(eventstore.Cursor{Sequence: q - 1, Position: r.First - 1, Hash: r.Previous}, r.Ledger)
			return q, nil
		}
	}
	lost.LastRecord, lost.Unbounded = c.last, true
	for _, end := range c.witnesses() {
		if end.Sequence == c.last {
			lost.LastPosition, lost.Unbounded = end.Position, false
		}
	}
	c.lost = append(c.lost, lost)
	return c.last + 1, nil
}

// contradiction says what else is known of the ledger and does not fit it.
func (c *comparison) contradiction() error {
	marks := c.known.Marks
	if !marks.Genesis.IsZero() && c.plan.Report.Genesis != marks.Genesis {
		return &eventstore.IntegrityError{
			Position: 1, Sequence: 1,
			Reason: fmt.Sprintf("it has hash %s, the identity file says %s", c.plan.Report.Genesis, marks.Genesis),
		}
	}
	fits, err := c.plan.Holds(marks.Head)
	if err == nil && !fits {
		return &eventstore.IntegrityError{
			Position: max(marks.Head.Position, 1), Sequence: marks.Head.Sequence,
			Reason: fmt.Sprintf("the head mark says that it had hash %s", marks.Head.Hash),
		}
	}
	return err
}

// Holds reports whether the ledger of the plan has the record that a cursor
// names.
func (p *Plan) Holds(at eventstore.Cursor) (bool, error) {
	if at.Sequence == 0 {
		return true, nil
	}
	if at.Sequence > uint64(len(p.chosen)) {
		return false, nil
	}
	b, _, err := p.copies[p.chosen[at.Sequence-1]].get(at.Sequence)
	return err == nil && eventstore.HashOf(b) == at.Hash, err
}
