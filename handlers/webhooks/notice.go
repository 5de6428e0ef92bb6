package webhooks

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"permledger/domain"
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
	base := f.options.PublicURL
	pair := f.partner.String() + "_" + first.CustomerID.String()
	var subject, operation string
	switch e := decoded.(type) {
	case domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked:
		if n.event, err = f.policyEvent(ctx, events); err != nil {
			return notice{}, err
		}
		n.resource = base + "/v1/SelfServePolicy/" + pair
		subject, operation = first.CommandID.String(), policyOperations[n.event]
	case domain.CustomerPurchasedReservation:
		n.event, subject, operation = domain.PurchaseCreated, e.OrderID.String(), "createorder"
	case domain.CustomerPurchasedSavingsPlan:
		n.event, subject, operation = domain.PurchaseCreated, e.OrderID.String(), "createorder"
	case domain.PartnerRegistered, domain.CustomerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.PartnerPurchasedReservation, domain.PartnerPurchasedSavingsPlan,
		domain.ReservationExchanged, domain.ReservationReturned, domain.ReservationRenewed,
		domain.ReservationScopeChanged, domain.ReservationSplit, domain.ReservationsMerged,
		domain.WebhookRegistered, domain.WebhookRemoved,
		domain.AttemptDenied:
		return notice{}, fmt.Errorf("event %d: nobody is told of %s", first.Position, first.Type)
	}
	if n.event == domain.PurchaseCreated {
		n.resource = base + "/v1/customers/" + first.CustomerID.String() + "/orders/" + subject
	}
	n.audit = base + "/auditactivity/v1/auditrecords/" + pair + "_" + subject + "_" + operation + "_" + strconv.FormatInt(ticks(n.at), 10)
	n.id = uuid.NewSHA1(first.CommandID.UUID, []byte("webhook/"+n.event))
	return n, nil
}

// policyOperations are the names of what is done with a policy as they stand in the ids of audit records.
var policyOperations = map[domain.WebhookEvent]string{
	domain.PolicyCreated: "createselfservepolicy",
	domain.PolicyUpdated: "updateselfservepolicy",
	domain.PolicyDeleted: "deleteselfservepolicy",
}

// policyEvent says what a command made of a customer's permissions as a whole.
func (f *follower) policyEvent(ctx context.Context, events []projections.Event) (domain.WebhookEvent, error) {
	customer := projections.OfCustomer(f.partner, events[0].CustomerID)
	before, err := f.ledger.Models().PermittedAt(ctx, customer, events[0].Position-1)
	if err != nil {
		return "", err
	}
	after, err := f.ledger.Models().PermittedAt(ctx, customer, events[len(events)-1].Position)
	switch {
	case err != nil:
		return "", err
	case len(before) == 0:
		return domain.PolicyCreated, nil
	case len(after) == 0:
		return domain.PolicyDeleted, nil
	default:
		return domain.PolicyUpdated, nil
	}
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

// ticks is a time as the number of 100 nanoseconds since the first of January of the year 1.
func ticks(t time.Time) int64 {
	const ticksAt1970 = 621_355_968_000_000_000
	return ticksAt1970 + t.Unix()*10_000_000 + int64(t.Nanosecond())/100
}

// eventNames lists the events that can be asked for.
func eventNames() []domain.WebhookEvent { return slices.Sorted(slices.Values(domain.WebhookEvents())) }
