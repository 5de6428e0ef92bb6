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
	seen   uint64 // the index was searched for the id up to this record
	spoilt error  // why it can not be recorded whatever is decided; the loop's
	stage  atomic.Int32
	reply  chan result[E] // holds the one answer
}

const (
	requestWaiting int32 = iota
	requestTaken
	requestLeft
)

func (r *request[C, E]) take() bool  { return r.stage.CompareAndSwap(requestWaiting, requestTaken) }
func (r *request[C, E]) leave() bool { return r.stage.CompareAndSwap(requestWaiting, requestLeft) }

func (r *request[C, E]) answer(res result[E]) { r.reply <- res }

// result is the loop's answer to a request: an outcome, an error, where the
// command is recorded already, or that the index must be searched again.
type result[E any] struct {
	outcome  Outcome[E]
	err      error
	recorded uint64
	again    bool
}

// Submit has a command decided and recorded, and returns its outcome. The same
// id and digest always give the outcome of the first time, however often and
// wherever they are sent. The errors:
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
			r.seen = w.index.Through() // before the search: it covers at least this
			sequence, found, err := w.index.Find(ctx, s.ID)
			if err != nil {
				return Outcome[E]{}, notWritten(ctx, fmt.Errorf("look for the command: %w: %w", ErrUnavailable, err))
			}
			if found {
				return w.replay(ctx, sequence, s.ID, s.Digest)
			}
		}
		res, err := w.enqueue(ctx, r)
		switch {
		case err != nil:
			return Outcome[E]{}, err
		case res.again:
			continue
		case res.recorded > 0:
			return w.replay(ctx, res.recorded, s.ID, s.Digest)
		}
		return res.outcome, res.err
	}
}

// enqueue hands a request to the loop and waits for its answer.
func (w *Writer[C, E]) enqueue(ctx context.Context, r *request[C, E]) (result[E], error) {
	if err := ctx.Err(); err != nil {
		return result[E]{}, fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	if err := w.refusal(); err != nil {
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

// Outcome returns what became of a command, and the command as it is recorded.
// It returns ErrNotFound when no record that is stored now holds it.
func (w *Writer[C, E]) Outcome(ctx context.Context, id uuid.UUID) (Outcome[E], Command, error) {
	sequence, found, err := w.search(ctx, id)
	if err != nil {
		return Outcome[E]{}, Command{}, err
	}
	if !found {
		return Outcome[E]{}, Command{}, fmt.Errorf("command %s: %w", id, ErrNotFound)
	}
	return w.recorded(ctx, sequence, id)
}

// replay answers a command that is recorded already.
func (w *Writer[C, E]) replay(ctx context.Context, sequence uint64, id uuid.UUID, digest Hash) (Outcome[E], error) {
	outcome, command, err := w.recorded(ctx, sequence, id)
	switch {
	case err != nil && ctx.Err() != nil:
		return Outcome[E]{}, fmt.Errorf("%w: the command is recorded: %w", ErrOutcomeUnknown, err)
	case err != nil:
		return Outcome[E]{}, err
	case command.Digest != digest:
		return Outcome[E]{}, ErrCommandIDReused
	}
	w.stats.replayed.Add(1)
	return outcome, nil
}

// recorded reads a command's outcome from its record.
func (w *Writer[C, E]) recorded(ctx context.Context, sequence uint64, id uuid.UUID) (Outcome[E], Command, error) {
	s, err := w.log.Get(ctx, sequence)
	if errors.Is(err, ErrNotFound) {
		finding := &IntegrityError{
			Sequence: sequence, Position: w.Head().Position + 1,
			Reason: fmt.Sprintf("the index finds command %s in it, but the log does not reach it", id),
		}
		err = w.log.Suspect(finding, unless(finding, holds(sequence, id)))
	}
	if err != nil {
		return Outcome[E]{}, Command{}, err
	}
	position := s.Record.First
	for i := range s.Record.Commands {
		c := &s.Record.Commands[i]
		if c.ID != id {
			position += uint64(len(c.Events))
			continue
		}
		events := make([]E, len(c.Events))
		for j := range c.Events {
			if events[j], err = w.codec.Decode(c.Events[j], position+uint64(j), s.Record.Time); err != nil {
				return Outcome[E]{}, Command{}, fmt.Errorf("record %d, position %d can not be understood: %w", sequence, position+uint64(j), err)
			}
		}
		o := outcomeOf(c.ID, c.Name, sequence, position, s.Record.Time, events, c.Events)
		o.Replayed = true
		return o, *c, nil
	}
	finding := &IntegrityError{
		Position: s.Record.First, Sequence: sequence,
		Reason: fmt.Sprintf("the index finds command %s in it, but it is not there", id),
	}
	return Outcome[E]{}, Command{}, w.log.Suspect(finding, unless(finding, holds(sequence, id)))
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

// notWritten says so when it was the submitter who gave up.
func notWritten(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, context.Cause(ctx))
	}
	return err
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
