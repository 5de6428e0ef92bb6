package projections

import (
	"fmt"
	"time"

	"permledger/domain"
	"permledger/eventstore"
)

// Codec translates between the domain's facts and the events of the store.
type Codec struct{}

var _ eventstore.Codec[domain.Fact] = Codec{}

// Encode gives the stored form of a fact. Its position and time are the record's to keep.
func (Codec) Encode(f domain.Fact) (eventstore.Event, error) {
	name, version, data, err := domain.EncodeEvent(f.Event)
	if err != nil {
		return eventstore.Event{}, err
	}
	e := eventstore.Event{Type: name, Version: version, Partner: f.Partner.String(), Data: data}
	if !f.Customer.IsZero() {
		e.Customer = f.Customer.String()
	}
	return e, nil
}

// Decode gives the fact back. An event that is not in the catalogue and an id that is no GUID are errors.
func (Codec) Decode(e eventstore.Event, position uint64, at time.Time) (domain.Fact, error) {
	partner, err := domain.ParseTenantID(e.Partner)
	if err != nil {
		return domain.Fact{}, fmt.Errorf("event %d: partner: %w", position, err)
	}
	var customer domain.TenantID
	if e.Customer != "" {
		if customer, err = domain.ParseTenantID(e.Customer); err != nil {
			return domain.Fact{}, fmt.Errorf("event %d: customer: %w", position, err)
		}
	}
	event, err := domain.DecodeEvent(e.Type, e.Version, e.Data)
	if err != nil {
		return domain.Fact{}, fmt.Errorf("event %d: %w", position, err)
	}
	return domain.Fact{Position: position, Time: at, Partner: partner, Customer: customer, Event: event}, nil
}

// EncodeActor gives the stored form of who sent a command.
func EncodeActor(a domain.Actor) eventstore.Actor {
	stored := eventstore.Actor{Tenant: a.Tenant.String(), UPN: a.UPN, Roles: a.Roles.Names(), App: a.App}
	if !a.User.IsZero() {
		stored.ObjectID = a.User.String()
	}
	return stored
}

// DecodeActor gives who sent a command back. An unknown role and an id that is no GUID are errors.
func DecodeActor(stored eventstore.Actor) (domain.Actor, error) {
	a := domain.Actor{UPN: stored.UPN, App: stored.App}
	var err error
	if a.Tenant, err = domain.ParseTenantID(stored.Tenant); err != nil {
		return domain.Actor{}, fmt.Errorf("actor's tenant: %w", err)
	}
	if stored.ObjectID != "" {
		if a.User, err = domain.ParseUserID(stored.ObjectID); err != nil {
			return domain.Actor{}, fmt.Errorf("actor's object id: %w", err)
		}
	}
	for _, name := range stored.Roles {
		role, err := domain.ParseRole(name)
		if err != nil {
			return domain.Actor{}, fmt.Errorf("actor's role: %w", err)
		}
		a.Roles |= role
	}
	return a, nil
}
