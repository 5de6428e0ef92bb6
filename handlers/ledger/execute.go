package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/projections"
)

// Call is a command as a door received it.
type Call struct {
	ID            domain.CommandID
	Actor         domain.Actor
	Command       domain.Command
	CorrelationID string
	Expected      uint64 // refuse when the customer changed after this position; 0 asks for nothing
	DryRun        bool   // decide without recording
}

// Answer is what became of a command. The same command id always gets the same answer (L3).
type Answer struct {
	CommandID domain.CommandID
	Name      string
	Position  uint64    // of its last event, or of the head when it was judged
	Time      time.Time // recorded time; of the decision for a dry run
	Events    []Event   // none when it was already so (L2)
	Refusal   *domain.Error
}

// Event is one event of an answer, as stored.
type Event struct {
	Position uint64          `json:"position"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
}

// Execute judges a command and records what follows from it. A refusal is a *domain.Error. The
// sentinels of eventstore say when nothing could be written, and ErrOutcomeUnknown when it is not known
// whether it was: send the same id again.
func (l *Ledger) Execute(ctx context.Context, call Call) (Answer, error) {
	if err := l.Fault(); err != nil {
		return Answer{}, err
	}
	request, err := domain.NewRequest(call.ID, call.Actor, call.Command)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	if err := l.keepPace(ctx); err != nil {
		return Answer{}, err
	}
	outcome, err := l.writer.Submit(ctx, eventstore.Submission[domain.Request]{
		ID:            call.ID.UUID,
		Name:          call.Command.CommandName(),
		Digest:        eventstore.Hash(request.Digest()),
		Actor:         projections.EncodeActor(call.Actor),
		Reason:        request.Reason(),
		CorrelationID: call.CorrelationID,
		Command:       request.IfUnchangedSince(call.Expected),
		DryRun:        call.DryRun,
	})
	if err != nil {
		return Answer{}, err
	}
	answer := answerOf(outcome)
	if answer.Refusal != nil {
		return Answer{}, answer.Refusal
	}
	return answer, nil
}

// errSlowCluster says which deadline has passed.
var errSlowCluster = fmt.Errorf("the cluster did not answer within %s: %w", clusterDeadline, eventstore.ErrUnavailable)

// bounded gives what waits for a cluster its deadline. The embedded server has deadlines of its own, and no
// election to wait for.
func (l *Ledger) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.config.External.URL == "" {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, clusterDeadline, errSlowCluster)
}

// patience is how long a command waits for read models that are far behind.
const patience = 2 * time.Second

// keepPace lets a command wait while the read models are far behind, so that they never fall behind
// without bound, and refuses it as too busy when they do not catch up soon.
func (l *Ledger) keepPace(ctx context.Context) error {
	head := l.writer.Head().Position
	if head <= l.models.Checkpoint().Position+maxLag {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.models.WaitFor(waiting, head-maxLag); err != nil {
		return fmt.Errorf("%w: %w", eventstore.ErrBusy, err)
	}
	return nil
}

// Outcome gives the recorded answer to a command by its id, refusals included: that of the reader's own
// tenant, else, to readers on the side of a partner, the first of the partner's customers. To anybody else it
// does not exist.
func (l *Ledger) Outcome(ctx context.Context, reader domain.Actor, id domain.CommandID) (Answer, error) {
	if err := l.Fault(); err != nil {
		return Answer{}, err
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	answer, err := l.outcome(ctx, reader, id)
	if err != nil && errors.Is(context.Cause(ctx), errSlowCluster) {
		err = errSlowCluster
	}
	return answer, err
}

func (l *Ledger) outcome(ctx context.Context, reader domain.Actor, id domain.CommandID) (Answer, error) {
	own, err := l.writer.Outcome(ctx, eventstore.CommandKey{Tenant: projections.EncodeActor(reader).Tenant, ID: id.UUID})
	switch {
	case err == nil:
		return answerOf(own.Outcome), nil
	case !errors.Is(err, eventstore.ErrNotFound) || !reader.OnPartnerSide():
		return Answer{}, err
	}
	sent, err := l.writer.Outcomes(ctx, id.UUID)
	if err != nil {
		return Answer{}, err
	}
	for _, o := range sent {
		sender, err := domain.ParseTenantID(o.Command.Actor.Tenant)
		if err != nil {
			return Answer{}, fmt.Errorf("stored sender: %w", err)
		}
		if owner, _ := l.book.PartnerOf(sender); owner == reader.Tenant {
			return answerOf(o.Outcome), nil
		}
	}
	return Answer{}, eventstore.ErrNotFound
}

func answerOf(o eventstore.Outcome[domain.Fact]) Answer {
	a := Answer{CommandID: domain.CommandID{UUID: o.ID}, Name: o.Name, Position: o.Position, Time: o.Time, Events: make([]Event, len(o.Stored))}
	for i, e := range o.Stored {
		a.Events[i] = Event{Position: o.FirstPosition + uint64(i), Type: e.Type, Data: e.Data}
	}
	for _, f := range o.Events {
		if attempt, denied := f.Event.(domain.AttemptDenied); denied {
			a.Refusal = attempt.Refusal()
		}
	}
	return a
}
