package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// request is a submission in the queue. Whoever changes its stage first decides
// what becomes of it: the loop takes it, or the submitter leaves.
type request[C, E any] struct {
	Submission[C]
	seen   Seen     // up to where the index was searched for it
	others []uint64 // records found there that hold the id, but of another tenant
	spoilt error    // why it can not be recorded whatever is decided; the loop's
	stage  atomic.Int32
	reply  chan result[E] // holds the one answer
}

func (s *Submission[C]) key() CommandKey { return CommandKey{s.Actor.Tenant, s.ID} }

const (
	requestWaiting int32 = iota
	requestTaken
	requestLeft
)

func (r *request[C, E]) take() bool  { return r.stage.CompareAndSwap(requestWaiting, requestTaken) }
func (r *request[C, E]) leave() bool { return r.stage.CompareAndSwap(requestWaiting, requestLeft) }

func (r *request[C, E]) answer(res result[E]) { r.reply <- res }

// result is the loop's answer to a request: an outcome, an error, or where the
// command is recorded already.
type result[E any] struct {
	outcome  Outcome[E]
	err      error
	recorded uint64
}

// Submit has a command decided and recorded, and returns its outcome. The same
// tenant, id and digest always give the outcome of the first time, however often
// and wherever they are sent. The errors:
//
//   - what the Decider returned: the command is refused, nothing is recorded.
//   - ErrInvalid, ErrTooLarge, ErrCommandIDReused, ErrBusy, ErrUnavailable,
//     ErrConflict: nothing is recorded. An ErrUnavailable that matches
//     ErrIntegrity too is for good.
//   - ErrNotWritten, with the context's error: the context ended before the
//     command's group was formed; nothing is or will be recorded.
//   - ErrOutcomeUnknown: the command may be recorded; send the same id again.
func (w *Writer[C, E]) Submit(ctx context.Context, s Submission[C]) (Outcome[E], error) {
	if err := checkSubmission(&s); err != nil {
		return Outcome[E]{}, err
	}
	for {
		r := &request[C, E]{Submission: s, reply: make(chan result[E], 1)}
		if !s.DryRun {
			var err error
			if r.others, r.seen, err = w.index.Find(s.key()); err != nil {
				return Outcome[E]{}, lookup(err)
			}
			if outcome, found, err := w.replay(ctx, r.others, &s); found || err != nil {
				return outcome, err
			}
		}
		res, err := w.enqueue(ctx, r)
		switch {
		case err != nil:
			return Outcome[E]{}, err
		case res.recorded == 0:
			return res.outcome, res.err
		}
		if outcome, found, err := w.replay(ctx, []uint64{res.recorded}, &s); found || err != nil {
			return outcome, err
		}
		// It is of a tenant that the index does not tell apart: now Find knows it too.
	}
}

// lookup says that it is not known whether a command is recorded.
func lookup(err error) error { return fmt.Errorf("look for the command: %w: %w", ErrUnavailable, err) }

// enqueue hands a request to the loop and waits for its answer.
func (w *Writer[C, E]) enqueue(ctx context.Context, r *request[C, E]) (result[E], error) {
	if err := ctx.Err(); err != nil {
		return result[E]{}, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	if err := w.refusal(); err != nil {
		if unsure := w.unresolved(&r.Submission); unsure != nil {
			err = unsure
		}
		return result[E]{}, err
	}
	select {
	case w.queue <- r:
	default:
		w.stats.busy.Add(1)
		return result[E]{}, ErrBusy
	}
	select {
	case res := <-r.reply:
		return res, nil
	case <-w.quit:
		// The loop may have ended before it saw the request.
		w.done.Wait()
		if r.leave() {
			return result[E]{}, fmt.Errorf("the writer is closed: %w", ErrUnavailable)
		}
		return <-r.reply, nil
	case <-ctx.Done():
		if r.leave() {
			return result[E]{}, fmt.Errorf("%w: %w", ErrNotWritten, context.Cause(ctx))
		}
	}
	select {
	case res := <-r.reply: // it came at the same moment
		return res, nil
	default:
		return result[E]{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, context.Cause(ctx))
	}
}

// Recorded is a command as it is recorded, with what became of it.
type Recorded[E any] struct {
	Outcome[E]
	Command Command
}

// Outcome returns what became of a tenant's command. It returns ErrNotFound when
// no record that is stored now holds it, and ErrUnavailable when that is not
// known.
func (w *Writer[C, E]) Outcome(ctx context.Context, key CommandKey) (Recorded[E], error) {
	records, _, err := w.index.Find(key)
	if err != nil {
		return Recorded[E]{}, lookup(err)
	}
	for _, sequence := range records {
		found, err := w.recorded(ctx, sequence, key.ID)
		if err != nil {
			return Recorded[E]{}, err
		}
		for _, r := range found {
			if r.Command.Key() == key {
				return r, nil
			}
		}
	}
	return Recorded[E]{}, fmt.Errorf("command %s: %w", key.ID, ErrNotFound)
}

// Outcomes returns what became of the commands with an id, one of each tenant
// that sent one, in the order in which they were recorded. Its errors are those
// of Outcome.
func (w *Writer[C, E]) Outcomes(ctx context.Context, id uuid.UUID) ([]Recorded[E], error) {
	records, err := w.index.FindAll(id)
	if err != nil {
		return nil, lookup(err)
	}
	slices.Sort(records)
	var outcomes []Recorded[E]
	for _, sequence := range slices.Compact(records) {
		found, err := w.recorded(ctx, sequence, id)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if !slices.ContainsFunc(outcomes, func(o Recorded[E]) bool { return o.Command.Key() == r.Command.Key() }) {
				outcomes = append(outcomes, r)
			}
		}
	}
	if len(outcomes) == 0 {
		return nil, fmt.Errorf("command %s: %w", id, ErrNotFound)
	}
	return outcomes, nil
}

// replay answers a command that is recorded already. The first of the records
// that holds it counts; found is false when none does.
func (w *Writer[C, E]) replay(ctx context.Context, records []uint64, s *Submission[C]) (o Outcome[E], found bool, err error) {
	for _, sequence := range records {
		commands, err := w.recorded(ctx, sequence, s.ID)
		if err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)) {
			return o, false, fmt.Errorf("%w: the command is recorded: %w", ErrOutcomeUnknown, err)
		}
		if err != nil {
			return o, false, err
		}
		for _, r := range commands {
			if r.Command.Key() != s.key() {
				continue
			}
			if r.Command.Digest != s.Digest {
				return o, true, ErrCommandIDReused
			}
			w.stats.replayed.Add(1)
			return r.Outcome, true, nil
		}
	}
	return o, false, nil
}

// recorded reads the outcomes of the commands with an id from the record that the
// index gives for it.
func (w *Writer[C, E]) recorded(ctx context.Context, sequence uint64, id uuid.UUID) ([]Recorded[E], error) {
	s, err := w.log.Get(ctx, sequence)
	if errors.Is(err, ErrNotFound) {
		finding := &IntegrityError{
			Sequence: sequence, Position: w.Head().Position + 1,
			Reason: fmt.Sprintf("the index finds command %s in it, but the log does not reach it", id),
		}
		err = w.log.Suspect(finding, unless(finding, holds(sequence, id)))
	}
	if err != nil {
		return nil, err
	}
	var found []Recorded[E]
	position := s.Record.First
	for i := range s.Record.Commands {
		c := &s.Record.Commands[i]
		if c.ID == id {
			o, err := w.outcome(&s, c, position)
			if err != nil {
				return nil, err
			}
			found = append(found, Recorded[E]{o, *c})
		}
		position += uint64(len(c.Events))
	}
	if len(found) == 0 {
		finding := &IntegrityError{
			Position: s.Record.First, Sequence: sequence,
			Reason: fmt.Sprintf("the index finds command %s in it, but it is not there", id),
		}
		err = w.log.Suspect(finding, unless(finding, holds(sequence, id)))
	}
	return found, err
}

// outcome decodes a recorded command whose first event has a position.
func (w *Writer[C, E]) outcome(s *Stored, c *Command, position uint64) (Outcome[E], error) {
	events := make([]E, len(c.Events))
	for i := range c.Events {
		var err error
		if events[i], err = w.codec.Decode(c.Events[i], position+uint64(i), s.Record.Time); err != nil {
			return Outcome[E]{}, fmt.Errorf("record %d, position %d cannot be understood: %w", s.Sequence, position+uint64(i), err)
		}
	}
	o := outcomeOf(c.ID, c.Name, s.Sequence, position, s.Record.Time, events, c.Events)
	o.Replayed = true
	return o, nil
}

// holds looks for a command in a record.
func holds(sequence uint64, id uuid.UUID) func(context.Context, *Log) (bool, error) {
	return func(ctx context.Context, log *Log) (bool, error) {
		s, err := log.Get(ctx, sequence)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return slices.ContainsFunc(s.Record.Commands, func(c Command) bool { return c.ID == id }), err
	}
}

// outcome is what became of an item's command.
func (it *item[C, E]) outcome(sequence uint64, at time.Time) Outcome[E] {
	return outcomeOf(it.r.ID, it.r.Name, sequence, it.first, at, it.events, it.stored)
}

// outcomeOf builds the outcome of a command whose first event has, or would
// have, the position first.
func outcomeOf[E any](id uuid.UUID, name string, sequence, first uint64, at time.Time, events []E, stored []Event) Outcome[E] {
	o := Outcome[E]{ID: id, Sequence: sequence, Position: first + uint64(len(events)) - 1, Time: at, Name: name, Events: events, Stored: stored}
	if len(events) > 0 {
		o.FirstPosition = first
	}
	return o
}

// checkSubmission refuses what can not be recorded.
func checkSubmission[C any](s *Submission[C]) error {
	var problem string
	switch {
	case s.ID == uuid.Nil && !s.DryRun:
		problem = "the command id is missing"
	case s.Name == "" || len(s.Name) > MaxName:
		problem = fmt.Sprintf("the command name needs 1 to %d bytes", MaxName)
	case len(s.Reason) > MaxReason:
		problem = fmt.Sprintf("the reason has %d bytes, at most %d", len(s.Reason), MaxReason)
	case len(s.CorrelationID) > MaxCorrelationID:
		problem = fmt.Sprintf("the correlation id has %d bytes, at most %d", len(s.CorrelationID), MaxCorrelationID)
	default:
		texts := [...]string{s.Name, s.Reason, s.CorrelationID, s.Actor.Tenant, s.Actor.ObjectID, s.Actor.UPN, s.Actor.App}
		if !slices.ContainsFunc(texts[:], invalidText) && !slices.ContainsFunc(s.Actor.Roles, invalidText) {
			return nil
		}
		problem = "its text is not valid UTF-8"
	}
	return fmt.Errorf("%w: %s", ErrInvalid, problem)
}

func invalidText(s string) bool { return !utf8.ValidString(s) }
