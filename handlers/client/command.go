package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"permledger/domain"
)

// CommandOptions say how a command is sent.
type CommandOptions struct {
	ID          uuid.UUID // made when zero; the same id never has a second effect
	DryRun      bool      // decide without recording
	Expected    uint64    // refuse when the customer changed after this position; 0 asks for nothing
	Correlation string    // recorded with the command
}

// Answer is what became of a command.
type Answer struct {
	Position  uint64    `json:"position"`
	CommandID uuid.UUID `json:"commandId"`
	Events    []Event   `json:"events"`
}

// Event is one event of an answer.
type Event struct {
	Position uint64          `json:"position"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
}

// Outcome is the recorded answer to a command, looked up by its id.
type Outcome struct {
	Answer
	Command string         `json:"command"`
	Time    string         `json:"time"`
	Refusal *domain.Reason `json:"refusal"` // set when it was a denied attempt
}

// Command sends a command by its name. While the outcome is unknown or the ledger is unavailable it
// sends it again under the same id, a bounded number of times. The answer's command id is given with
// errors too, so that a caller can ask again later.
func (c *Client) Command(ctx context.Context, name string, body json.RawMessage, o CommandOptions) (Answer, error) {
	if o.ID == uuid.Nil {
		id, err := uuid.NewV7()
		if err != nil {
			return Answer{}, fmt.Errorf("make a command id: %w", err)
		}
		o.ID = id
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {o.ID.String()}}
	if o.Expected != 0 {
		header.Set("If-Match", strconv.Quote(strconv.FormatUint(o.Expected, 10)))
	}
	if o.Correlation != "" {
		header.Set("Correlation-Id", o.Correlation)
	}
	path := "/api/commands/" + url.PathEscape(name)
	if o.DryRun {
		path += "?dryRun=true"
	}
	if len(body) == 0 {
		body = json.RawMessage("{}")
	}
	answer, err := persist(ctx, func() (*response, error) { return c.send(ctx, http.MethodPost, path, header, body) })
	if err != nil {
		return Answer{CommandID: o.ID}, err
	}
	var a Answer
	if err := json.Unmarshal(answer.body, &a); err != nil {
		return Answer{CommandID: o.ID}, fmt.Errorf("read the answer to %s: %w", name, err)
	}
	return a, nil
}

// Outcome looks up what became of a command.
func (c *Client) Outcome(ctx context.Context, id uuid.UUID) (Outcome, error) {
	var o Outcome
	_, err := c.Get(ctx, "/api/commands/"+id.String(), nil, &o)
	return o, err
}
