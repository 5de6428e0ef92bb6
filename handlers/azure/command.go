package azure

import (
	"fmt"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// commandSpace is the namespace of the command ids that the door makes of requests.
var commandSpace = uuid.MustParse("5d0b3f0e-6f0c-4d7a-9a57-5f3c3bb0a9a4")

// newID makes a command id for a request that is told apart from others by what it is about, such as a new order.
func newID() (domain.CommandID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return domain.CommandID{}, fmt.Errorf("make a command id: %w", err)
	}
	return domain.CommandID{UUID: id}, nil
}

// idOf makes the command id of a command's content, its sender and a key that tells apart what may be wished more
// than once. The same request sent again is then the same command and gets the same answer (L3).
func (r *request) idOf(key string, c domain.Command) (domain.CommandID, error) {
	content, err := domain.NewRequest(domain.CommandID{}, r.view.Actor, c)
	if err != nil {
		return domain.CommandID{}, err
	}
	return made("%s %x as %s", key, content.Digest(), r.view.Actor.Roles), nil
}

// idOfSession makes the command id of a session, which can be executed once by anybody of a tenant.
func (r *request) idOfSession(session string) domain.CommandID {
	return made("session %s of %s", session, r.view.Actor.Tenant)
}

func made(format string, values ...any) domain.CommandID {
	return domain.CommandID{UUID: uuid.NewSHA1(commandSpace, fmt.Appendf(nil, format, values...))}
}

// name is the client's own for its request, the same for every try of it. The door makes one where there is none.
func (r *request) name() string {
	if id, err := uuid.Parse(r.Header.Get(headerClient)); err == nil {
		return id.String()
	}
	return uuid.NewString()
}

// execute sends a command and waits until queries see what followed from it.
func (r *request) execute(id domain.CommandID, c domain.Command, expected uint64) (ledger.Answer, error) {
	answer, err := r.door.gate.Execute(r.Context(), r.call(id, c, expected))
	if err != nil {
		return ledger.Answer{}, err
	}
	return answer, r.door.gate.Await(r.Context(), answer.Position)
}

// weigh has a command decided without recording anything.
func (r *request) weigh(id domain.CommandID, c domain.Command) (ledger.Answer, error) {
	call := r.call(id, c, 0)
	call.DryRun = true
	return r.door.gate.Execute(r.Context(), call)
}

func (r *request) call(id domain.CommandID, c domain.Command, expected uint64) ledger.Call {
	return ledger.Call{
		ID: id, Actor: r.view.Actor, Command: c, Expected: expected,
		CorrelationID: problem.RequestOf(r.Context()).Correlation,
	}
}
