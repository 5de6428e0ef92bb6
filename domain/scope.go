package domain

// ReservationScopeChanged says that the discount applies elsewhere from now on. It costs nothing and
// keeps the term.
type ReservationScopeChanged struct {
	ReservationID ReservationID `json:"reservationId"`
	Scope         Scope         `json:"scope"`
	Before        Scope         `json:"before"`
}

// EventType implements Event.
func (ReservationScopeChanged) EventType() string { return "ReservationScopeChanged" }

// ChangeReservationScope changes where the discount applies. Only an AdminAgent may (S9).
type ChangeReservationScope struct {
	CustomerID    TenantID      `json:"customerId" format:"uuid"`
	ReservationID ReservationID `json:"reservationId" format:"uuid"`
	Scope         Scope         `json:"scope"`
	Note
}

// CommandName implements Command.
func (ChangeReservationScope) CommandName() string { return "ChangeReservationScope" }

func (c ChangeReservationScope) target() TenantID { return c.CustomerID }

func (ChangeReservationScope) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c ChangeReservationScope) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("reservationId", c.ReservationID)
	c.Scope.check(f, "scope")
}

func (r reservation) scopeNow() Scope {
	if r.scope.IsZero() {
		return Scope{Type: Shared}
	}
	return Scope{Type: Single, SubscriptionID: r.scope}
}

func (e ReservationScopeChanged) evolve(t *tables, _ Fact) {
	t.change(e.ReservationID, func(r *reservation) { r.scope = e.Scope.SubscriptionID })
}

func (c ChangeReservationScope) decide(d *decision) ([]Event, error) {
	r, err := d.activeReservation(c.ReservationID)
	if err != nil {
		return nil, err
	}
	scope, err := c.Scope.within(d, r.billing)
	if err != nil {
		return nil, err
	}
	if scope == r.scopeNow() {
		return nil, nil
	}
	return []Event{ReservationScopeChanged{ReservationID: c.ReservationID, Scope: scope, Before: r.scopeNow()}}, nil
}
