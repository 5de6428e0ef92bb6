package domain

import (
	"encoding/json"
	"fmt"
	"time"
)

// Event is something that happened. Its type name and the JSON of its fields are the stored format:
// events already written are decoded for ever, so a change of meaning is a new version in the catalogue.
//
//sumtype:decl
type Event interface {
	// EventType is the stored name, past tense.
	EventType() string
	// evolve folds the event into the pending state.
	evolve(t *tables, f Fact)
}

// Fact is an event with its place in the log.
type Fact struct {
	Position uint64    // ordinal of the event in the ledger, from 1, without gaps
	Time     time.Time // recorded time of the command, UTC; never goes back along the log
	Partner  TenantID  // whose book it belongs to
	Customer TenantID  // zero for an event about the partner itself
	Event    Event
}

// kind is one line of the catalogue: a stored name, its current version and how its bytes are read.
type kind struct {
	name    string
	version int
	summary string
	decode  func(data []byte) (Event, error)
}

// catalogue lists every event there is, in the order in which a reader meets them.
var catalogue = []kind{
	describe[PartnerRegistered](1, "A tenant became a partner of this ledger."),
	describe[CustomerRegistered](1, "A partner took on a customer; its purchase permissions are off (S1)."),
	describe[SubscriptionRecorded](1, "The partner bought an Azure plan or Azure Global subscription for the customer; it is active."),
	describe[SubscriptionStatusChanged](1, "A subscription became active, suspended, disabled or deleted."),
	describe[SubscriptionRoleAssigned](1, "A user was given an RBAC role on a subscription (S6)."),
	describe[SubscriptionRoleRemoved](1, "A user lost an RBAC role on a subscription."),
	describe[ReservationPriceSet](1, "The partner set what a customer pays for one unit, beside the Web Direct price (S13)."),
	describe[PurchasePermissionGranted](1, "The customer may buy this product; the partner pays from now on (S8)."),
	describe[PurchasePermissionRevoked](1, "The customer may no longer buy this product; what was bought stays (S16)."),
	describe[CustomerPurchasedReservation](1, "A customer bought a reservation, or the partner reported that it had."),
	describe[PartnerPurchasedReservation](1, "An agent bought a reservation on the customer's behalf (S15)."),
	describe[CustomerPurchasedSavingsPlan](1, "A customer bought a savings plan, or the partner reported that it had. It is never changed or ended."),
	describe[PartnerPurchasedSavingsPlan](1, "An agent bought a savings plan on the customer's behalf (S15)."),
	describe[ReservationExchanged](1, "Units of a reservation were exchanged for new reservations."),
	describe[ReservationReturned](1, "Units of a reservation were cancelled and refunded pro rata."),
	describe[ReservationRenewed](1, "Automatic renewal was switched, or a reservation got its successor."),
	describe[ReservationScopeChanged](1, "The discount now applies to another scope (S14)."),
	describe[ReservationRenamed](1, "A reservation is shown under another name."),
	describe[ReservationSplit](1, "A reservation became two whose quantities sum to it."),
	describe[ReservationsMerged](1, "Equal reservations became one."),
	describe[WebhookRegistered](1, "The partner is told of events at an address from now on, instead of any before (S10)."),
	describe[WebhookRemoved](1, "The partner removed its webhook; deliveries stop (S10)."),
	describe[AttemptDenied](1, "A command of a wrong role or tenant, or a customer's purchase, was refused (L7)."),
}

var kinds = func() map[string]kind {
	byName := make(map[string]kind, len(catalogue))
	for _, k := range catalogue {
		byName[k.name] = k
	}
	return byName
}()

func describe[E Event](version int, summary string) kind {
	var zero E
	return kind{
		name:    zero.EventType(),
		version: version,
		summary: summary,
		decode: func(data []byte) (Event, error) {
			var e E
			if r, ok := any(&e).(reader); ok && r.readJSON(data) {
				return e, nil
			}
			var slow E
			err := json.Unmarshal(data, &slow)
			return slow, err
		},
	}
}

// EncodeEvent gives an event's stored name, version and bytes.
func EncodeEvent(e Event) (name string, version int, data []byte, err error) {
	name = e.EventType()
	if a, ok := e.(appender); ok {
		return name, kinds[name].version, a.appendJSON(make([]byte, 0, 1024)), nil
	}
	data, err = json.Marshal(e)
	if err != nil {
		return "", 0, nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return name, kinds[name].version, data, nil
}

// DecodeEvent reads a stored event. A name or version that is not in the catalogue is an error: a
// program that does not know what happened must not answer as if nothing had.
func DecodeEvent(name string, version int, data []byte) (Event, error) {
	k, known := kinds[name]
	if !known || version != k.version {
		return nil, fmt.Errorf("event %s version %d is unknown to this program: run the release that wrote it or a later one", clip(name), version)
	}
	e, err := k.decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	return e, nil
}

// EventKind describes an event type for documentation.
type EventKind struct {
	Name    string
	Version int
	Summary string
}

// EventKinds lists the catalogue.
func EventKinds() []EventKind {
	list := make([]EventKind, len(catalogue))
	for i, k := range catalogue {
		list[i] = EventKind{Name: k.name, Version: k.version, Summary: k.summary}
	}
	return list
}
