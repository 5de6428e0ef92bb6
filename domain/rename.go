package domain

import "hash/fnv"

// ReservationRenamed says that the reservation is shown under another name from now on. Its order keeps the one
// under which it was bought.
type ReservationRenamed struct {
	ReservationID ReservationID `json:"reservationId"`
	DisplayName   string        `json:"displayName"`
}

// EventType implements Event.
func (ReservationRenamed) EventType() string { return "ReservationRenamed" }

// RenameReservation gives a reservation another name. Only an AdminAgent may (S9).
type RenameReservation struct {
	CustomerID    TenantID      `json:"customerId" format:"uuid"`
	ReservationID ReservationID `json:"reservationId" format:"uuid"`
	DisplayName   string        `json:"displayName" minLength:"1" maxLength:"256"`
	Note
}

// CommandName implements Command.
func (RenameReservation) CommandName() string { return "RenameReservation" }

func (c RenameReservation) target() TenantID { return c.CustomerID }

func (RenameReservation) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c RenameReservation) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("reservationId", c.ReservationID)
	f.name("displayName", c.DisplayName)
}

// nameTag stands for a name in the decision state, which keeps none: nothing is decided by a name but whether it is
// the same (L2). Of two names one in 2⁶⁴ has the same tag by chance, and giving that one would be taken as already so.
func nameTag(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

func (e ReservationRenamed) evolve(t *tables, _ Fact) {
	t.change(e.ReservationID, func(r *reservation) { r.name = nameTag(e.DisplayName) })
}

func (c RenameReservation) decide(d *decision) ([]Event, error) {
	r, err := d.activeReservation(c.ReservationID)
	if err != nil || r.name == nameTag(c.DisplayName) {
		return nil, err
	}
	return []Event{ReservationRenamed{ReservationID: c.ReservationID, DisplayName: c.DisplayName}}, nil
}
