package eventstore

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
)

// Report says what a pass over the whole ledger found.
type Report struct {
	// Ledger is the id of the ledger, Genesis the hash of its first record.
	Ledger  uuid.UUID `json:"ledger"`
	Genesis Hash      `json:"genesis"`
	// Records, Commands and Events count what it holds; Bytes are those of the
	// stored records.
	Records  uint64 `json:"records"`
	Commands uint64 `json:"commands"`
	Events   uint64 `json:"events"`
	Bytes    uint64 `json:"bytes"`
	// Head is where it ends.
	Head Cursor `json:"head"`
	// Mark is the head this node had noted before; the ledger reaches it.
	Mark Cursor `json:"mark"`
}

// Take counts a record, which must be the one after those counted before.
func (r *Report) Take(s *Stored) { r.take(s, s.Record.size()) }

func (r *Report) take(s *Stored, n size) {
	if s.Sequence == 1 {
		r.Ledger, r.Genesis = s.Record.Ledger, s.Hash
	}
	r.Records++
	r.Commands += n.commands
	r.Events += n.events
	r.Bytes += uint64(len(s.Bytes))
	r.Head = s.cursor(n)
}

// Verify reads the whole ledger and checks every record, the chain between
// them, the identity, the head mark and that the server counts as many records
// as there are. progress, when given, is told how many of how many records are
// done. The report is of what was good, also when an *IntegrityError ends it.
func (l *Log) Verify(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	report := Report{Mark: l.mark.get()}
	state, err := l.state(ctx)
	if err != nil {
		return report, err
	}
	var foreign error
	err = l.pass(ctx, Cursor{}, decodeOutline, func(d *decoded) bool {
		report.take(&d.Stored, d.size)
		if d.Sequence == report.Mark.Sequence && d.Hash != report.Mark.Hash {
			foreign = l.fail(&IntegrityError{
				Position: d.Record.First, Sequence: d.Sequence,
				Reason: fmt.Sprintf("it has hash %s, the head mark says %s", d.Hash, report.Mark.Hash),
			})
			return false
		}
		if progress != nil {
			progress(d.Sequence, max(state.LastSeq, d.Sequence))
		}
		return true
	})
	if err = cmp.Or(foreign, err); err != nil {
		return report, err
	}
	switch {
	case report.Head.Sequence < report.Mark.Sequence:
		return report, l.fail(l.shorter(report.Head.Sequence, report.Mark.Sequence))
	case state.LastSeq > 0 && (state.FirstSeq != 1 || state.Msgs != state.LastSeq || state.NumDeleted > 0):
		return report, l.fail(&IntegrityError{
			Position: report.Head.Position + 1, Sequence: report.Head.Sequence,
			Reason: fmt.Sprintf("the server counts %d records from %d to %d", state.Msgs, state.FirstSeq, state.LastSeq),
		})
	}
	return report, nil
}
