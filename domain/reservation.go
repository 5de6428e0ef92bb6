package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ScopeType says to which subscriptions a discount applies (S14).
type ScopeType string

// Single applies to one subscription; Shared to all that the partner bought for the customer.
const (
	Single ScopeType = "Single"
	Shared ScopeType = "Shared"
)

// Scope is where a reservation's discount applies. SubscriptionID is given for Single only.
type Scope struct {
	Type           ScopeType      `json:"type" enum:"Single,Shared"`
	SubscriptionID SubscriptionID `json:"subscriptionId,omitzero" format:"uuid" doc:"For Single; the billing subscription when absent"`
}

func (s Scope) check(f *faults, field string) {
	oneOf(f, field+".type", s.Type, Single, Shared)
	if s.Type == Shared && !s.SubscriptionID.IsZero() {
		f.note(field+".subscriptionId", "is not allowed with Shared, which reaches every subscription; leave it out")
	}
}

// within gives the scope with its subscription filled in, and refuses one that is not the customer's.
func (s Scope) within(d *decision, billing SubscriptionID) (Scope, error) {
	if s.Type == Shared {
		return s, nil
	}
	if s.SubscriptionID.IsZero() {
		s.SubscriptionID = billing
	}
	_, err := d.subscriptionOf(s.SubscriptionID)
	return s, err
}

// Bought is a reservation as an order creates it.
type Bought struct {
	OrderID        OrderID        `json:"orderId"`
	ReservationID  ReservationID  `json:"reservationId"`
	SubscriptionID SubscriptionID `json:"subscriptionId"` // billed
	Offer
	Family         string    `json:"family"`
	Quantity       int64     `json:"quantity"`
	Scope          Scope     `json:"scope"`
	DisplayName    string    `json:"displayName"`
	UnitPrice      Money     `json:"unitPrice,omitzero"`
	Total          Money     `json:"total,omitzero"`          // quantity × unit price, for the whole term
	WebDirectPrice Money     `json:"webDirectPrice,omitzero"` // of one unit
	BilledTo       TenantID  `json:"billedTo"`                // always the partner (S8)
	StartsAt       time.Time `json:"startsAt"`
	ExpiresAt      time.Time `json:"expiresAt"`
}

// reservationState is why a reservation can no longer be changed; active has no reason.
type reservationState uint8

const (
	stateActive reservationState = iota
	stateReturned
	stateExchanged
	stateSplit
	stateMerged
)

func (s reservationState) String() string {
	return [...]string{"active", "returned", "exchanged", "split", "merged"}[s]
}

// reservation is what decisions need of one reservation. There may be millions: what can be looked up, such
// as the customer of the billing subscription, or computed, such as the end, is left out.
type reservation struct {
	order    OrderID
	billing  SubscriptionID
	scope    SubscriptionID // zero for Shared
	offer    *offer
	unit     int64  // price of one unit in minor units of the customer's currency; −1 when unknown
	starts   int64  // Unix seconds
	name     uint64 // nameTag of the name
	quantity int32
	state    reservationState
	renew    bool // automatic renewal is on
	renewed  bool // its successor exists
}

func (r reservation) startsAt() time.Time  { return time.Unix(r.starts, 0).UTC() }
func (r reservation) expiresAt() time.Time { return r.offer.Term.end(r.startsAt()) }
func (r reservation) expires() int64       { return r.expiresAt().Unix() }

// customerOf is whose reservation it is: the customer of the subscription that is billed, which never changes.
func (t *tables) customerOf(r reservation) TenantID {
	s, _ := t.subscriptions.get(r.billing)
	return s.customer
}

// orderKey names an order in the book of one partner; another partner cannot tell whether it is taken. It
// is made of both ids, and as long as one.
type orderKey uuid.UUID

func keyOf(owner TenantID, id OrderID) orderKey {
	return orderKey(derived(owner.UUID, id.UUID[:]))
}

// freeOrder refuses an order id that is taken in the partner's book.
func (d *decision) freeOrder(id OrderID) error {
	if _, taken := d.orders.get(keyOf(d.partner, id)); taken {
		return refuse(CodeOrderExists, "", "Order %s exists already. Leave orderId out or give a new one; a command whose own order id is taken needs a new command id.", id)
	}
	return nil
}

func (t *tables) takeOrder(f Fact, id OrderID) { t.orders.set(keyOf(f.Partner, id), struct{}{}) }

// reserve adds what an order created to the state.
func (t *tables) reserve(b Bought, f Fact) {
	r := reservation{
		order:    b.OrderID,
		billing:  b.SubscriptionID,
		offer:    t.intern(offer{b.Offer, b.Family}),
		unit:     -1,
		starts:   b.StartsAt.Unix(),
		name:     nameTag(b.DisplayName),
		quantity: int32(b.Quantity),
	}
	if !b.UnitPrice.IsZero() {
		r.unit = b.UnitPrice.minor
	}
	if b.Scope.Type == Single {
		r.scope = b.Scope.SubscriptionID
	}
	t.takeOrder(f, b.OrderID)
	t.reservations.set(b.ReservationID, r)
}

// change alters a reservation that exists.
func (t *tables) change(id ReservationID, alter func(*reservation)) {
	r, known := t.reservations.get(id)
	if !known {
		panic(fmt.Sprintf("domain: an event changes reservation %s, which no event created", id))
	}
	before := r.renew
	alter(&r)
	t.reservations.set(id, r)
	switch {
	case r.renew && !before:
		t.renewals.set(id, r.expires())
	case before && !r.renew:
		t.renewals.remove(id)
	}
}

// end takes units away from a reservation; without any left it is over.
func (t *tables) end(id ReservationID, quantity int64, state reservationState) {
	t.change(id, func(r *reservation) {
		r.quantity -= int32(quantity)
		if r.quantity == 0 {
			r.state, r.renew = state, false
		}
	})
}

// reservationOf finds a reservation of the command's customer, in whatever state. What it says of savings
// plans it says for any id it does not know: whose the id is stays unsaid (L8).
func (d *decision) reservationOf(id ReservationID) (reservation, error) {
	r, known := d.reservations.get(id)
	if !known || d.customerOf(r) != d.customer {
		return reservation{}, refuse(CodeNotFound, "L8", "No reservation %s is known here. Check the id; a savings plan is none, and nothing changes or ends one.", id)
	}
	return r, nil
}

// activeReservation finds a reservation that still runs at the time of the decision.
func (d *decision) activeReservation(id ReservationID) (reservation, error) {
	r, err := d.reservationOf(id)
	switch {
	case err != nil:
		return reservation{}, err
	case r.state != stateActive:
		return reservation{}, refuse(CodeReservationNotActive, "", "Reservation %s is %s and cannot be changed any more.", id, r.state)
	case d.at.Unix() >= r.expires():
		return reservation{}, refuse(CodeReservationNotActive, "", "Reservation %s expired on %s.", id, r.expiresAt().Format(time.DateOnly))
	default:
		return r, nil
	}
}

// activeUnits finds an active reservation that holds at least a quantity.
func (d *decision) activeUnits(id ReservationID, quantity int64) (reservation, error) {
	r, err := d.activeReservation(id)
	if err == nil && quantity > int64(r.quantity) {
		err = refuse(CodeQuantityExceeded, "", "Reservation %s holds %d; %d cannot leave it.", id, r.quantity, quantity)
	}
	return r, err
}
