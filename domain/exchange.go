package domain

// MaxExchangeTargets is the largest number of reservations one exchange may buy.
const MaxExchangeTargets = 10

// ReservationExchanged says that units were given back for new reservations, each with a new term. It
// does not count towards the cancellation limit.
type ReservationExchanged struct {
	ReservationID       ReservationID `json:"reservationId"`
	OrderID             OrderID       `json:"orderId"`
	Quantity            int64         `json:"quantity"`
	RemainingCommitment Money         `json:"remainingCommitment"` // of the units given back
	Refund              Money         `json:"refund"`
	Unpaid              Money         `json:"unpaid"`
	NewCommitment       Money         `json:"newCommitment"` // lifetime total of what is bought, at least the remaining one
	To                  []Bought      `json:"to"`
}

// EventType implements Event.
func (ReservationExchanged) EventType() string { return "ReservationExchanged" }

// ExchangeReservation gives units back and buys others of the same product family. Only an AdminAgent
// may (S9).
type ExchangeReservation struct {
	CustomerID    TenantID      `json:"customerId" format:"uuid"`
	ReservationID ReservationID `json:"reservationId" format:"uuid"`
	Quantity      int64         `json:"quantity" minimum:"1" maximum:"1000000" doc:"Units given back"`
	To            []Wanted      `json:"to" minItems:"1" maxItems:"10"`
	Note
}

// CommandName implements Command.
func (ExchangeReservation) CommandName() string { return "ExchangeReservation" }

func (c ExchangeReservation) target() TenantID { return c.CustomerID }

func (ExchangeReservation) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c ExchangeReservation) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("reservationId", c.ReservationID)
	f.quantity("quantity", c.Quantity)
	if n := len(c.To); n < 1 || n > MaxExchangeTargets {
		f.note("to", "lists %d reservations; an exchange buys 1 to %d", n, MaxExchangeTargets)
		return
	}
	for i, w := range c.To {
		w.check(f, field("to", i)+".")
	}
}

func (e ReservationExchanged) evolve(t *tables, f Fact) {
	t.end(e.ReservationID, e.Quantity, stateExchanged)
	for _, b := range e.To {
		t.reserve(b, f)
	}
}

func (c ExchangeReservation) decide(d *decision) ([]Event, error) {
	r, err := d.activeUnits(c.ReservationID, c.Quantity)
	if err != nil {
		return nil, err
	}
	if !d.exchangeable(r.offer.family, r.startsAt()) {
		return nil, refuse(CodeExchangeClosed, "", "Reservations of %s bought since the programme's change can no longer be exchanged. Return it, or buy a savings plan.", r.offer.family)
	}
	value, err := d.valued(r, c.Quantity)
	if err != nil {
		return nil, err
	}
	bought, total, err := d.exchangeFor(c.To, r.offer.family, value.remaining.currency)
	if err != nil {
		return nil, err
	}
	if total.minor < value.remaining.minor {
		return nil, refuse(CodeExchangeTooSmall, "", "The new commitment of %s is below the remaining %s. Choose more units, a longer term or a larger size.", total, value.remaining)
	}
	return []Event{ReservationExchanged{
		ReservationID: c.ReservationID, OrderID: r.order, Quantity: c.Quantity,
		RemainingCommitment: value.remaining, Refund: value.refund, Unpaid: value.unpaid,
		NewCommitment: total, To: bought,
	}}, nil
}

// exchangeFor buys what an exchange asks for and sums its lifetime commitment.
func (d *decision) exchangeFor(to []Wanted, family string, currency Currency) ([]Bought, Money, error) {
	order := d.ownOrder()
	if err := d.freeOrder(order); err != nil {
		return nil, Money{}, err
	}
	bought := make([]Bought, len(to))
	total := Money{currency: currency}
	for i, w := range to {
		if err := d.billable(w.SubscriptionID); err != nil {
			return nil, Money{}, err
		}
		b, err := d.buy(w, order, i, d.at)
		switch {
		case err != nil:
			return nil, Money{}, err
		case b.UnitPrice.IsZero():
			return nil, Money{}, d.priceNotSet(w.Offer)
		case b.Family != family:
			return nil, Money{}, refuse(CodeExchangeFamily, "", "%s is of family %s; an exchange stays within %s.", b.SKU, b.Family, family)
		}
		sum, fits := total.add(b.Total)
		if !fits {
			return nil, Money{}, refuse(CodeAmountTooLarge, "L4", "The new commitment is more than the ledger can hold. Buy fewer units.")
		}
		bought[i], total = b, sum
	}
	return bought, total, nil
}
