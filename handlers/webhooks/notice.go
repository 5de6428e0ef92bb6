package webhooks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/partnercenter/wire"
	"permledger/projections"
)

// notice is one thing that a partner is told.
type notice struct {
	id          uuid.UUID // the same whenever the same thing is told
	event       domain.WebhookEvent
	resource    string // address of what changed
	audit       string // address of its entry in the activity log; empty for a test
	at          time.Time
	correlation string
}

// told are the event types of which anything is told: those that noticeOf makes a notice of.
var told = []string{
	domain.PurchasePermissionGranted{}.EventType(),
	domain.PurchasePermissionRevoked{}.EventType(),
	domain.CustomerPurchasedReservation{}.EventType(),
	domain.CustomerPurchasedSavingsPlan{}.EventType(),
}

// noticeOf makes the one notice of what a command did.
func (f *follower) noticeOf(ctx context.Context, events []projections.Event) (notice, error) {
	first := events[0]
	decoded, err := domain.DecodeEvent(first.Type, first.Version, first.Data)
	if err != nil {
		return notice{}, fmt.Errorf("event %d: %w", first.Position, err)
	}
	n := notice{at: first.Time, correlation: first.CorrelationID}
	if n.correlation == "" {
		n.correlation = first.CommandID.String()
	}
	switch e := decoded.(type) {
	case domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked:
		err = f.changed(ctx, &n, events)
	case domain.CustomerPurchasedReservation:
		f.bought(&n, first, e.OrderID)
	case domain.CustomerPurchasedSavingsPlan:
		f.bought(&n, first, e.OrderID)
	case domain.PartnerRegistered, domain.CustomerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.PartnerPurchasedReservation, domain.PartnerPurchasedSavingsPlan,
		domain.ReservationExchanged, domain.ReservationReturned, domain.ReservationRenewed,
		domain.ReservationScopeChanged, domain.ReservationRenamed, domain.ReservationSplit, domain.ReservationsMerged,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return notice{}, fmt.Errorf("event %d: nobody is told of %s", first.Position, first.Type)
	}
	n.id = uuid.NewSHA1(first.CommandID.UUID, fmt.Appendf(nil, "webhook/%s of %s", n.event, first.Actor.Tenant))
	return n, err
}

// policyEvents are what partners are told of what is done with a policy.
var policyEvents = map[string]domain.WebhookEvent{
	wire.CreatePolicy: domain.PolicyCreated,
	wire.UpdatePolicy: domain.PolicyUpdated,
	wire.DeletePolicy: domain.PolicyDeleted,
}

// changed tells what a command made of a customer's permissions as a whole.
func (f *follower) changed(ctx context.Context, n *notice, events []projections.Event) error {
	first, models := events[0], f.ledger.Models()
	customer := projections.OfCustomer(f.partner, first.CustomerID)
	before, err := models.PermittedAt(ctx, customer, first.Position-1)
	if err != nil {
		return err
	}
	after, err := models.PermittedAt(ctx, customer, events[len(events)-1].Position)
	if err != nil {
		return err
	}
	operation := wire.PolicyOperation(before, after)
	n.event = policyEvents[operation]
	n.resource = f.options.PublicURL + wire.PolicyPath(f.partner, first.CustomerID)
	n.audit = f.record(first, first.CommandID.String(), operation)
	return nil
}

// bought tells of an order.
func (f *follower) bought(n *notice, e projections.Event, id domain.OrderID) {
	n.event = domain.PurchaseCreated
	n.resource = f.options.PublicURL + wire.OrderPath(e.CustomerID, id)
	n.audit = f.record(e, id.String(), wire.CreateOrder)
}

// record is the address of the audit record of a command.
func (f *follower) record(e projections.Event, resource, operation string) string {
	return f.options.PublicURL + wire.RecordPath(wire.RecordID(f.partner, e.CustomerID, resource, operation, e.Time))
}

// body is what receivers get.
func (n notice) body() ([]byte, error) {
	resource := string(n.event[:strings.LastIndexByte(string(n.event), '-')])
	var audit *string
	if n.audit != "" {
		audit = &n.audit
	}
	return json.Marshal(struct {
		EventName             domain.WebhookEvent
		ResourceURI           string `json:"ResourceUri"`
		ResourceName          string
		AuditURI              *string `json:"AuditUri"`
		ResourceChangeUtcDate string
	}{n.event, n.resource, resource, audit, n.at.UTC().Format("2006-01-02T15:04:05.0000000+00:00")})
}
