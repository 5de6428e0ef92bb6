package domain

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// WebhookEvent names something that a partner may want to be told of, as {resource}-{action}.
type WebhookEvent string

// The webhook events. A self-serve policy is a customer's purchase permissions seen together: it is created
// when the first is turned on and deleted when the last is turned off.
const (
	PolicyCreated   WebhookEvent = "self-serve-policy-created"
	PolicyUpdated   WebhookEvent = "self-serve-policy-updated"
	PolicyDeleted   WebhookEvent = "self-serve-policy-deleted"
	PurchaseCreated WebhookEvent = "customer-purchase-created"
	TestCreated     WebhookEvent = "test-created"
)

// WebhookEvents lists the webhook events there are.
func WebhookEvents() []WebhookEvent {
	return []WebhookEvent{PolicyCreated, PolicyUpdated, PolicyDeleted, PurchaseCreated, TestCreated}
}

// WebhookRegistered says where the partner is told of which events from now on. It replaces the webhook
// before it; without one nothing is sent (S10).
type WebhookRegistered struct {
	URL    string         `json:"url"`
	Events []WebhookEvent `json:"events"` // in the order of WebhookEvents
}

// WebhookRemoved says that nothing is sent any more.
type WebhookRemoved struct{}

// EventType implements Event.
func (WebhookRegistered) EventType() string { return "WebhookRegistered" }

// EventType implements Event.
func (WebhookRemoved) EventType() string { return "WebhookRemoved" }

// RegisterWebhook has the partner told of events at an address, instead of any other before. Only an
// AdminAgent, signed in as a user, may: the address learns who buys.
type RegisterWebhook struct {
	URL    string         `json:"url" format:"uri" maxLength:"2048" doc:"https, or http to a loopback address"`
	Events []WebhookEvent `json:"events" minItems:"1" maxItems:"5" enum:"self-serve-policy-created,self-serve-policy-updated,self-serve-policy-deleted,customer-purchase-created,test-created"`
	Note
}

// RemoveWebhook ends it.
type RemoveWebhook struct {
	Note
}

// CommandName implements Command.
func (RegisterWebhook) CommandName() string { return "RegisterWebhook" }

// CommandName implements Command.
func (RemoveWebhook) CommandName() string { return "RemoveWebhook" }

func (RegisterWebhook) target() TenantID { return TenantID{} }
func (RemoveWebhook) target() TenantID   { return TenantID{} }

func (RegisterWebhook) permit() permit { return permit{roles: AdminAgent, rule: "S10", user: true} }
func (RemoveWebhook) permit() permit   { return RegisterWebhook{}.permit() }

func (c RegisterWebhook) validate(f *faults) {
	if !receives(c.URL) {
		f.note("url", "is no address that can be called: write https://host/path in at most 2048 ASCII characters, without user or fragment; http is for loopback addresses alone")
	}
	if len(c.Events) == 0 {
		f.note("events", "is required: list at least one")
	}
	for i, e := range c.Events {
		oneOf(f, field("events", i), e, WebhookEvents()...)
		if slices.Contains(c.Events[:i], e) {
			f.note(field("events", i), "is listed before; name each event once")
		}
	}
}

func (RemoveWebhook) validate(*faults) {}

// receives reports whether an address is one to which events may be sent as far as its text tells.
func receives(text string) bool {
	address, err := url.Parse(text)
	if err != nil || len(text) > 2048 || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return false
	}
	host := address.Hostname()
	switch {
	case host == "" || address.User != nil || address.Fragment != "" || address.Opaque != "":
		return false
	case address.Scheme == "http":
		ip, err := netip.ParseAddr(host)
		return host == "localhost" || err == nil && ip.IsLoopback()
	default:
		return address.Scheme == "https"
	}
}

// Webhook is where a partner is told of which events. Whoever gets one leaves its list as it is.
type Webhook struct {
	URL     string
	Events  []WebhookEvent // in the order of WebhookEvents
	Since   uint64         // position of the registration after which there always was one: nothing before is sent
	Changed uint64         // position of the newest registration
}

// Wants reports whether the partner is told of an event.
func (w Webhook) Wants(e WebhookEvent) bool { return slices.Contains(w.Events, e) }

func (e WebhookRegistered) evolve(t *tables, f Fact) {
	w, known := t.webhooks.get(f.Partner)
	if !known {
		w.Since = f.Position
	}
	w.URL, w.Events, w.Changed = e.URL, e.Events, f.Position
	t.webhooks.set(f.Partner, w)
}

func (WebhookRemoved) evolve(t *tables, f Fact) { t.webhooks.remove(f.Partner) }

func (c RegisterWebhook) decide(d *decision) ([]Event, error) {
	var events []WebhookEvent
	for _, e := range WebhookEvents() {
		if slices.Contains(c.Events, e) {
			events = append(events, e)
		}
	}
	if w, known := d.webhooks.get(d.partner); known && w.URL == c.URL && slices.Equal(w.Events, events) {
		return nil, nil
	}
	return []Event{WebhookRegistered{URL: c.URL, Events: events}}, nil
}

func (RemoveWebhook) decide(d *decision) ([]Event, error) {
	if _, known := d.webhooks.get(d.partner); !known {
		return nil, nil
	}
	return []Event{WebhookRemoved{}}, nil
}

// Webhook gives a partner's webhook as of the newest recorded event.
func (b *Book) Webhook(partner TenantID) (w Webhook, registered bool) {
	b.read(func(t *tables) { w, registered = t.webhooks.get(partner) })
	return w, registered
}

// Webhooks gives the webhooks of all partners as of the newest recorded event.
func (b *Book) Webhooks() (all map[TenantID]Webhook) {
	b.read(func(t *tables) { all = maps.Clone(t.webhooks.current) })
	return all
}
