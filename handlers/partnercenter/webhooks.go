package partnercenter

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
	"permledger/handlers/webhooks"
)

// registration is where a partner is told of which events, as it is sent and answered.
type registration struct {
	SubscriberID  domain.TenantID       `json:"SubscriberId,omitzero"`
	WebhookURL    string                `json:"WebhookUrl"`
	WebhookEvents []domain.WebhookEvent `json:"WebhookEvents"`
}

// hookOf gives the webhook of the sender's partner.
func (d *Door) hookOf(in *request) (domain.Webhook, error) {
	hook, registered := d.ledger.Book().Webhook(in.partner)
	if !registered {
		return hook, missing("No webhook is registered. Register one first.")
	}
	return hook, nil
}

func (d *Door) getRegistration(in *request) (answer, error) {
	hook, err := d.hookOf(in)
	return ok(registration{in.partner, hook.URL, hook.Events}), err
}

// register refuses what can be told to be out of reach by its text alone; what a name leads to is judged whenever
// something is sent.
func (d *Door) register(in *request) (answer, error) {
	sent, err := body.Decode[registration](in.Request)
	if err != nil {
		return answer{}, err
	}
	if err := d.webhooks.Judge(sent.WebhookURL); err != nil {
		return answer{}, problem.Invalid(domain.FieldError{Field: "WebhookUrl", Detail: err.Error()})
	}
	done, err := d.execute(in, domain.RegisterWebhook{URL: sent.WebhookURL, Events: sent.WebhookEvents})
	if err != nil {
		return answer{}, err
	}
	sent.SubscriberID = in.partner
	sent.WebhookEvents = slices.DeleteFunc(domain.WebhookEvents(), func(e domain.WebhookEvent) bool {
		return !slices.Contains(sent.WebhookEvents, e)
	})
	return answer{status: http.StatusOK, body: sent, position: done.Position}, nil
}

func (d *Door) removeRegistration(in *request) (answer, error) {
	done, err := d.execute(in, domain.RemoveWebhook{})
	return answer{status: http.StatusNoContent, position: done.Position}, err
}

// listWebhookEvents lists the events that can be asked for.
func (d *Door) listWebhookEvents(*request) (answer, error) { return ok(domain.WebhookEvents()), nil }

// sendTestEvent sends a test event, once, and answers with the id under which its state can be asked for.
func (d *Door) sendTestEvent(in *request) (answer, error) {
	hook, err := d.hookOf(in)
	switch {
	case err != nil:
		return answer{}, err
	case !d.webhooks.Delivers():
		return answer{}, errDeliversNothing
	case !hook.Wants(domain.TestCreated):
		return answer{}, badInput("The webhook is not registered for test-created. Register it for that event first.")
	}
	id, err := d.webhooks.Test(in.Context(), in.partner, hook)
	return ok(map[string]uuid.UUID{"correlationId": id}), err
}

func (d *Door) getTestEvent(in *request) (answer, error) {
	id, found := parseGUID(in.PathValue("id"))
	if !found {
		return answer{}, errNothingHere
	}
	state, known := d.webhooks.Tested(in.partner, id)
	if !known {
		return answer{}, missing("No test event is known by this id. They are remembered for a while, by the server that sent them.")
	}
	return ok(testEvent{id, in.partner, state}), nil
}

// testEvent is what became of a test event.
type testEvent struct {
	ID      uuid.UUID       `json:"correlationId"`
	Partner domain.TenantID `json:"partnerId"`
	webhooks.TestState
}

// getCertificate gives the certificate of the key with which deliveries are signed. It is no secret.
func (d *Door) getCertificate(*request) (answer, error) {
	if !d.webhooks.Delivers() {
		return answer{}, errDeliversNothing
	}
	der, err := d.webhooks.Certificate()
	return ok(certificate(der)), err
}

// certificate is an answer that is no JSON.
type certificate []byte

// errDeliversNothing is the answer of a node that leaves deliveries to another one.
var errDeliversNothing = missing("This node does not deliver webhooks. Ask the one that does.")
