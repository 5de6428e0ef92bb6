package domain

// Part is one of the reservations that a split makes, or the one that a merge makes.
type Part struct {
	ReservationID ReservationID `json:"reservationId"`
	Quantity      int64         `json:"quantity"`
}

// ReservationSplit says that a reservation became two with the same terms, order and end.
type ReservationSplit struct {
	ReservationID ReservationID `json:"reservationId"`
	OrderID       OrderID       `json:"orderId"`
	Into          []Part        `json:"into"`
}

// EventType implements Event.
func (ReservationSplit) EventType() string { return "ReservationSplit" }

// SplitReservation makes two reservations of one. Only an AdminAgent may (S9).
type SplitReservation struct {
	CustomerID    TenantID      `json:"customerId" format:"uuid"`
	ReservationID ReservationID `json:"reservationId" format:"uuid"`
	Quantities    []int64       `json:"quantities" minItems:"2" maxItems:"2" doc:"Two quantities that sum to the reservation's"`
	Note
}

// CommandName implements Command.
func (SplitReservation) CommandName() string { return "SplitReservation" }

func (c SplitReservation) target() TenantID { return c.CustomerID }

func (SplitReservation) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c SplitReservation) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("reservationId", c.ReservationID)
	if len(c.Quantities) != 2 {
		f.note("quantities", "lists %d quantities; a split makes exactly two", len(c.Quantities))
		return
	}
	for i, q := range c.Quantities {
		f.quantity(field("quantities", i), q)
	}
}

func (e ReservationSplit) evolve(t *tables, _ Fact) {
	var whole reservation
	t.change(e.ReservationID, func(r *reservation) {
		r.renew = false
		whole = *r
		r.quantity, r.state = 0, stateSplit
	})
	for _, p := range e.Into {
		part := whole
		part.quantity = int32(p.Quantity)
		t.reservations.set(p.ReservationID, part)
	}
}

func (c SplitReservation) decide(d *decision) ([]Event, error) {
	r, err := d.activeReservation(c.ReservationID)
	if err != nil {
		return nil, err
	}
	if sum := c.Quantities[0] + c.Quantities[1]; sum != int64(r.quantity) {
		return nil, refuse(CodeSplitSum, "", "%d and %d sum to %d; the reservation holds %d.", c.Quantities[0], c.Quantities[1], sum, r.quantity)
	}
	into := make([]Part, len(c.Quantities))
	for i, q := range c.Quantities {
		into[i] = Part{ReservationID: d.id.Reservation(d.actor.Tenant, i), Quantity: q}
	}
	return []Event{ReservationSplit{ReservationID: c.ReservationID, OrderID: r.order, Into: into}}, nil
}
