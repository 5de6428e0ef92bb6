package azure

import (
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/handlers/ledger"
)

// session is what was quoted. Its text goes to the client and comes back, so that any node understands it, after a
// restart too. It is a description and no permission: whoever brings it is judged anew.
type session struct {
	Key         uuid.UUID            `json:"key"` // tells two quotes of the same thing apart
	At          time.Time            `json:"at"`
	Reservation domain.ReservationID `json:"reservation"`
	Quantity    int64                `json:"quantity"`
	To          []domain.Wanted      `json:"to,omitempty"` // of an exchange
	Quoted      []domain.Money       `json:"quoted"`
}

// quoteGone says what to do about a quote that cannot be executed.
const quoteGone = "The quote no longer holds, because time has passed or something has changed. Calculate again, then decide."

func (s session) text() (string, error) {
	content, err := json.Marshal(s)
	return base64.RawURLEncoding.EncodeToString(content), err
}

// readSession reads what calculateRefund or calculateExchange gave.
func readSession(text string, exchange bool) (s session, err error) {
	content, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil || s.Key == uuid.Nil || exchange != (len(s.To) > 0) {
		return s, badRequest(invalidContent, "The sessionId is not one that was calculated for this. Calculate first, then send the sessionId of that answer.")
	}
	return s, nil
}

// carryOut executes a command as it was quoted. It first has the command decided without recording it, and refuses
// where that comes to other amounts than were quoted. A session that was executed already gets its answer again.
func (r *request) carryOut(text string, s session, c domain.Command, amounts func(ledger.Answer) ([]domain.Money, error)) (ledger.Answer, error) {
	id, before := r.idOfSession(text), r.door.ledger.Book().Head()
	_, err := r.door.ledger.Outcome(r.Context(), r.view.Actor, id)
	switch {
	case err == nil:
		return r.execute(id, c, 0)
	case !errors.Is(err, eventstore.ErrNotFound):
		return ledger.Answer{}, err
	}
	if weighed, refused := r.weigh(id, c); refused == nil {
		now, err := amounts(weighed)
		if err != nil {
			return ledger.Answer{}, err
		}
		if !slices.Equal(now, s.Quoted) || weighed.Time.After(s.At.Add(sessionLife)) {
			return ledger.Answer{}, refusal{table[domain.CodeChanged].status, wrongState, quoteGone}
		}
	}
	// What was refused just now is sent as well, so that the attempt is recorded (L7).
	return r.execute(id, c, before)
}
