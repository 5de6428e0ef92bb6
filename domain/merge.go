package domain

import "slices"

// MaxMerged is the largest number of reservations one merge takes.
const MaxMerged = 10

// ReservationsMerged says that reservations of one order with the same terms became one.
type ReservationsMerged struct {
	ReservationIDs []ReservationID `json:"reservationIds"`
	OrderID        OrderID         `json:"orderId"`
	Into           Part            `json:"into"`
}

// EventType implements Event.
func (ReservationsMerged) EventType() string { return "ReservationsMerged" }

// MergeReservations makes one reservation of several that differ in quantity only. Only an AdminAgent
// may (S9).
type MergeReservations struct {
	CustomerID     TenantID        `json:"customerId" format:"uuid"`
	ReservationIDs []ReservationID `json:"reservationIds" minItems:"2" maxItems:"10"`
	Note
}

// CommandName implements Command.
func (MergeReservations) CommandName() string { return "MergeReservations" }

func (c MergeReservations) target() TenantID { return c.CustomerID }

func (MergeReservations) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c MergeReservations) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	if n := len(c.ReservationIDs); n < 2 || n > MaxMerged {
		f.note("reservationIds", "lists %d reservations; a merge takes 2 to %d", n, MaxMerged)
		return
	}
	for i, id := range c.ReservationIDs {
		if id.IsZero() {
			f.note("reservationIds", "holds the zero GUID; give real ids")
		}
		if slices.Contains(c.ReservationIDs[:i], id) {
			f.note("reservationIds", "names %s twice", id)
		}
	}
}

func (e ReservationsMerged) evolve(t *tables, _ Fact) {
	var whole reservation
	first, _ := t.reservations.get(e.ReservationIDs[0])
	for _, id := range e.ReservationIDs {
		t.change(id, func(r *reservation) {
			r.renew = false
			whole = *r
			r.quantity, r.state = 0, stateMerged
		})
	}
	whole.quantity, whole.name = int32(e.Into.Quantity), first.name
	t.reservations.set(e.Into.ReservationID, whole)
}

// alike reports whether two reservations differ in quantity, pending renewal and name only. What they become has the
// name of the first.
func alike(a, b reservation) bool {
	a.quantity, a.renew, a.name = b.quantity, b.renew, b.name
	return a == b
}

func (c MergeReservations) decide(d *decision) ([]Event, error) {
	first, err := d.activeReservation(c.ReservationIDs[0])
	if err != nil {
		return nil, err
	}
	quantity := int64(first.quantity)
	for _, id := range c.ReservationIDs[1:] {
		r, err := d.activeReservation(id)
		if err != nil {
			return nil, err
		}
		if !alike(first, r) {
			return nil, refuse(CodeMergeDiffers, "", "Reservations %s and %s differ in more than quantity: only those of one order with the same size, term, price, scope and end merge.", c.ReservationIDs[0], id)
		}
		quantity += int64(r.quantity)
	}
	if quantity > MaxQuantity {
		return nil, refuse(CodeQuantityExceeded, "L5", "Merged they would hold %d; a reservation holds at most %d.", quantity, MaxQuantity)
	}
	return []Event{ReservationsMerged{
		ReservationIDs: c.ReservationIDs, OrderID: first.order,
		Into: Part{ReservationID: d.id.Reservation(d.actor.Tenant, 0), Quantity: quantity},
	}}, nil
}
