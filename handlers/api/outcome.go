package api

import (
	"context"
	"slices"
	"time"

	"permledger/domain"
	"permledger/handlers/gate"
	"permledger/handlers/ledger"
)

type outcomeInput struct {
	ID guid `path:"id" doc:"The command's Idempotency-Key"`
}

type outcomeOutput struct {
	Position uint64 `header:"Ledger-Position" doc:"Position of the answer"`
	Body     commandOutcome
}

type commandOutcome struct {
	Position  uint64           `json:"position"`
	CommandID domain.CommandID `json:"commandId"`
	Command   string           `json:"command"`
	Time      time.Time        `json:"time" doc:"When it was recorded"`
	Events    []ledger.Event   `json:"events"`
	Refusal   *domain.Reason   `json:"refusal,omitempty" doc:"Why it was refused, when it was"`
}

// outcome gives the recorded answer to a command.
func (a *API) outcome(ctx context.Context, in *outcomeInput) (*outcomeOutput, error) {
	v := viewOf(ctx)
	answer, err := a.ledger.Outcome(ctx, v.Actor, domain.CommandID{UUID: in.ID.UUID})
	if err != nil {
		return nil, err
	}
	if err := a.mayReadOutcome(v, answer); err != nil {
		return nil, err
	}
	out := &outcomeOutput{Position: answer.Position, Body: commandOutcome{
		Position: answer.Position, CommandID: answer.CommandID, Command: answer.Name, Time: answer.Time, Events: answer.Events,
	}}
	if r := answer.Refusal; r != nil {
		out.Body.Refusal = &domain.Reason{Rule: r.Rule, Code: r.Code, Detail: r.Detail}
	}
	return out, nil
}

// mayReadOutcome refuses a customer's user who may not see prices the outcome of another's purchase.
func (a *API) mayReadOutcome(v gate.View, answer ledger.Answer) error {
	didSomething := func(e ledger.Event) bool { return e.Type != domain.AttemptDenied{}.EventType() }
	if v.Actor.OnPartnerSide() || !slices.ContainsFunc(answer.Events, didSomething) {
		return nil
	}
	_, err := a.gate.View(v.Principal, gate.Access{Customer: gate.Owners}, v.Actor.Tenant)
	return err
}
