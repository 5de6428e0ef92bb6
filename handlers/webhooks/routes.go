package webhooks

import (
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/gate"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

const certificatePath = "/webhooks/v1/certificate.cer"

// readers may see where events go; the address may hold secrets.
const readers = domain.AdminAgent | domain.SalesAgent | domain.Auditor

// routes lists the door.
func (w *Webhooks) routes(mux *http.ServeMux) {
	w.route(mux, "GET /webhooks/v1/registration", gate.Access{Agents: readers}, w.registration)
	w.route(mux, "POST /webhooks/v1/registration", gate.Access{Command: true}, w.register)
	w.route(mux, "PUT /webhooks/v1/registration", gate.Access{Command: true}, w.register)
	w.route(mux, "DELETE /webhooks/v1/registration", gate.Access{Command: true}, w.remove)
	w.route(mux, "GET /webhooks/v1/registration/events", gate.Access{Agents: gate.AnyAgent}, w.events)
	w.route(mux, "POST /webhooks/v1/registration/validationEvents", gate.Access{Agents: domain.AdminAgent}, w.test)
	w.route(mux, "GET /webhooks/v1/registration/validationEvents/{id}", gate.Access{Agents: readers}, w.tested)
	mux.HandleFunc("GET "+certificatePath, w.certificate)
}

// answer gives the body of a request's answer; none is an answer without content.
type answer func(r *http.Request, v gate.View) (body any, err error)

func (w *Webhooks) route(mux *http.ServeMux, pattern string, rule gate.Access, answer answer) {
	mux.HandleFunc(pattern, func(to http.ResponseWriter, r *http.Request) {
		body, err := w.admitted(r, rule, answer)
		switch {
		case err != nil:
			writeFault(to, r, err)
		case body == nil:
			to.WriteHeader(http.StatusNoContent)
		default:
			write(to, http.StatusOK, body)
		}
	})
}

func (w *Webhooks) admitted(r *http.Request, rule gate.Access, answer answer) (any, error) {
	p, err := w.gate.Admit(r)
	if err != nil {
		return nil, err
	}
	v, err := w.gate.View(p, rule, domain.TenantID{})
	if err != nil {
		return nil, err
	}
	return answer(r, v)
}

// registrationBody is a registration as it is sent and answered.
type registrationBody struct {
	SubscriberID  domain.TenantID       `json:"SubscriberId,omitzero"`
	WebhookURL    string                `json:"WebhookUrl"`
	WebhookEvents []domain.WebhookEvent `json:"WebhookEvents"`
}

func (w *Webhooks) registration(_ *http.Request, v gate.View) (any, error) {
	hook, err := w.hookOf(v)
	return registrationBody{SubscriberID: v.Actor.Tenant, WebhookURL: hook.URL, WebhookEvents: hook.Events}, err
}

// hookOf gives the webhook of the caller's partner, or says that there is none.
func (w *Webhooks) hookOf(v gate.View) (domain.Webhook, error) {
	hook, registered := w.ledger.Book().Webhook(v.Actor.Tenant)
	if !registered {
		return domain.Webhook{}, problem.Refuse(domain.CodeNotFound, "No webhook is registered. Register one first.")
	}
	return hook, nil
}

func (w *Webhooks) register(r *http.Request, v gate.View) (any, error) {
	var sent registrationBody
	if err := json.UnmarshalRead(http.MaxBytesReader(nil, r.Body, maxBody), &sent, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, problem.Refuse(problem.CodeInvalidRequest, `Send one JSON object with WebhookUrl and WebhookEvents, each member once.`)
	}
	if w.options.Reach.judge(sent.WebhookURL) != nil {
		return nil, problem.Invalid(domain.FieldError{Field: "WebhookUrl", Detail: errOutOfReach.Error()})
	}
	if err := w.execute(r, v, domain.RegisterWebhook{URL: sent.WebhookURL, Events: sent.WebhookEvents}); err != nil {
		return nil, err
	}
	return w.registration(r, v)
}

func (w *Webhooks) remove(r *http.Request, v gate.View) (any, error) {
	return nil, w.execute(r, v, domain.RemoveWebhook{})
}

// execute sends a command under the id of the request, which clients keep when they try again.
func (w *Webhooks) execute(r *http.Request, v gate.View, c domain.Command) error {
	facts := problem.RequestOf(r.Context())
	id, err := domain.ParseCommandID(facts.ID)
	if err != nil {
		made, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make a command id: %w", err)
		}
		id = domain.CommandID{UUID: made}
	}
	_, err = w.ledger.Execute(r.Context(), ledger.Call{ID: id, Actor: v.Actor, Command: c, CorrelationID: facts.Correlation})
	return err
}

func (w *Webhooks) events(*http.Request, gate.View) (any, error) { return eventNames(), nil }

// certificate gives the certificate of the key with which bodies are signed. It is no secret.
func (w *Webhooks) certificate(to http.ResponseWriter, r *http.Request) {
	if !w.delivers() {
		writeFault(to, r, notHere())
		return
	}
	_, der, err := w.signer.identity()
	if err != nil {
		writeFault(to, r, err)
		return
	}
	to.Header().Set("Content-Type", "application/pkix-cert")
	_, _ = to.Write(der) // the client is gone, if at all
}

func notHere() error {
	return problem.Refuse(domain.CodeNotFound, "This node does not deliver webhooks. Ask the one that does.")
}
