package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
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
	// Repeated is the first command that is recorded a second time, which no
	// writer does. Only VerifyAll looks for it.
	Repeated *Repeated `json:"repeated,omitempty"`
}

// Take counts a record, which must be the one after those counted before.
func (r *Report) Take(s *Stored) {
	if s.Sequence == 1 {
		r.Ledger, r.Genesis = s.Record.Ledger, s.Hash
	}
	n := s.size()
	r.Records++
	r.Commands += n.commands
	r.Events += n.events
	r.Bytes += uint64(len(s.Bytes))
	r.Head = s.Cursor()
}

// Verify reads the whole ledger and checks every record, the chain between
// them, the identity, the head mark and that the server counts as many records
// as there are. progress, when given, is told how many of how many records are
// done. The report is of what was good, also when an *IntegrityError ends it. It
// waits while a shared log is in doubt.
func (l *Log) Verify(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	return l.verify(ctx, decodeOutline, progress, func(*Stored) {})
}

// VerifyAll does what Verify does, and looks for a command that is recorded a
// second time. It takes some 20 bytes of memory for each command; only when two
// seem to be the same, the ledger is read once more.
func (l *Log) VerifyAll(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	var prints []uint64
	report, err := l.verify(ctx, decodePrints, progress, func(s *Stored) {
		if s.Sequence == 1 { // again, after a doubt
			prints = prints[:0]
		}
		prints = append(prints, s.outline.prints...)
	})
	if err != nil {
		return report, err
	}
	if alike := repeatedPrints(prints); len(alike) > 0 {
		report.Repeated, err = l.repeated(ctx, alike)
	}
	return report, err
}

// verify goes through the log until it has done so without a doubt.
func (l *Log) verify(ctx context.Context, with decoder, progress func(done, total uint64), take func(*Stored)) (Report, error) {
	for {
		report, err := l.verifyOnce(ctx, with, progress, take)
		if _, doubted := errors.AsType[*DoubtError](err); !doubted {
			return report, err
		}
		if err := l.Settled(ctx); err != nil {
			return report, err
		}
	}
}

func (l *Log) verifyOnce(ctx context.Context, with decoder, progress func(done, total uint64), take func(*Stored)) (Report, error) {
	report := Report{Mark: l.mark.get()}
	state, err := l.state(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = l.gone()
	}
	if err != nil {
		return report, l.fail(err)
	}
	for s, err := range l.read(ctx, Cursor{}, with) {
		if err != nil {
			return report, err
		}
		report.Take(&s)
		take(&s)
		if s.Sequence == report.Mark.Sequence && s.Hash != report.Mark.Hash {
			return report, l.fail(&IntegrityError{
				Position: s.Record.First, Sequence: s.Sequence,
				Reason: fmt.Sprintf("it has hash %s, the head mark says %s", s.Hash, report.Mark.Hash),
			})
		}
		if progress != nil {
			progress(s.Sequence, max(state.LastSeq, s.Sequence))
		}
	}
	if report.Head.Sequence < report.Mark.Sequence {
		return report, l.fail(l.shorter(report.Head.Sequence, report.Mark.Sequence))
	}
	return report, l.fail(counted(&state, report.Head))
}
