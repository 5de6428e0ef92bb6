package domain

import (
	"time"
)

// ReservationRenewed says either that automatic renewal was switched (Enabled) or that the reservation
// got a successor which starts when it ends (Successor).
type ReservationRenewed struct {
	ReservationID ReservationID `json:"reservationId"`
	OrderID       OrderID       `json:"orderId"`
	Enabled       *bool         `json:"enabled,omitempty"`
	Successor     *Bought       `json:"successor,omitempty"`
}

// EventType implements Event.
func (ReservationRenewed) EventType() string { return "ReservationRenewed" }

// RenewReservation switches automatic renewal, which is off by default, or without Enabled buys the
// successor now, near or after expiry. Only an AdminAgent may (S9).
type RenewReservation struct {
	CustomerID    TenantID      `json:"customerId" format:"uuid"`
	ReservationID ReservationID `json:"reservationId" format:"uuid"`
	Enabled       *bool         `json:"enabled,omitempty" doc:"Switches automatic renewal; absent: renew now"`
	Note
}

// CommandName implements Command.
func (RenewReservation) CommandName() string { return "RenewReservation" }

func (c RenewReservation) target() TenantID { return c.CustomerID }

func (RenewReservation) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c RenewReservation) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("reservationId", c.ReservationID)
}

func (e ReservationRenewed) evolve(t *tables, f Fact) {
	var name uint64
	t.change(e.ReservationID, func(r *reservation) {
		name = r.name
		if e.Enabled != nil {
			r.renew = *e.Enabled
		}
		if e.Successor != nil {
			r.renewed, r.renew = true, false
		}
	})
	if e.Successor != nil {
		t.reserve(*e.Successor, f)
		// The event calls the successor by its size, since the decision knew no name to give it.
		t.change(e.Successor.ReservationID, func(r *reservation) { r.name = name })
	}
}

// DueRenewal is a reservation that ended with automatic renewal on and has no successor yet.
type DueRenewal struct {
	Partner     TenantID
	Customer    TenantID
	Reservation ReservationID
}

// CommandID is the id under which the renewal is sent, by whichever node comes first.
func (r DueRenewal) CommandID() CommandID {
	return reserved([]byte("renewal"), r.Reservation.UUID[:])
}

// DueRenewals lists the reservations to renew at a moment, in no order.
func (b *Book) DueRenewals(at time.Time) []DueRenewal {
	var due []DueRenewal
	b.read(func(t *tables) {
		for id, expires := range t.renewals.current {
			if expires > at.Unix() {
				continue
			}
			r, _ := t.reservations.get(id)
			owner := t.customerOf(r)
			c, _ := t.customers.get(owner)
			due = append(due, DueRenewal{Partner: c.partner, Customer: owner, Reservation: id})
		}
	})
	return due
}

func (c RenewReservation) decide(d *decision) ([]Event, error) {
	r, err := d.reservationOf(c.ReservationID)
	switch {
	case err != nil:
		return nil, err
	case r.state != stateActive:
		return nil, refuse(CodeReservationNotActive, "", "Reservation %s is %s and cannot be renewed.", c.ReservationID, r.state)
	case r.renewed:
		return nil, refuse(CodeAlreadyRenewed, "", "Reservation %s has its successor already.", c.ReservationID)
	case c.Enabled == nil:
		return c.renewNow(d, r)
	case *c.Enabled == r.renew:
		return nil, nil
	default:
		return []Event{ReservationRenewed{ReservationID: c.ReservationID, OrderID: r.order, Enabled: c.Enabled}}, nil
	}
}

// renewNow buys the successor: the same thing at today's price, starting when the old one ends.
func (c RenewReservation) renewNow(d *decision, r reservation) ([]Event, error) {
	if opens := r.expiresAt().AddDate(0, 0, -d.policy().RenewalDays); d.at.Before(opens) {
		return nil, refuse(CodeRenewalTooEarly, "", "Reservation %s expires on %s and can be renewed from %s on. Switch automatic renewal on instead (enabled: true).",
			c.ReservationID, r.expiresAt().Format(time.DateOnly), opens.Format(time.DateOnly))
	}
	if err := d.billable(r.billing); err != nil {
		return nil, err
	}
	if err := d.freeOrder(d.ownOrder()); err != nil {
		return nil, err
	}
	start := r.expiresAt()
	if start.Before(d.at) {
		start = d.at
	}
	successor, err := d.buy(Wanted{SubscriptionID: r.billing, Offer: r.offer.Offer, Quantity: int64(r.quantity), Scope: r.scopeNow()}, d.ownOrder(), 0, start)
	if err != nil {
		return nil, err
	}
	if successor.UnitPrice.IsZero() {
		return nil, d.priceNotSet(r.offer.Offer)
	}
	return []Event{ReservationRenewed{ReservationID: c.ReservationID, OrderID: r.order, Successor: &successor}}, nil
}
