package domain

import (
	"slices"
	"time"
)

// ReservationReturned says that units were cancelled. The refund is pro rata by remaining UTC days less
// the fee; instalments not yet due fall away.
type ReservationReturned struct {
	ReservationID       ReservationID `json:"reservationId"`
	OrderID             OrderID       `json:"orderId"`
	Quantity            int64         `json:"quantity"`
	CommitmentCancelled Money         `json:"commitmentCancelled"` // counts towards the rolling limit
	Fee                 Money         `json:"fee"`
	Refund              Money         `json:"refund"` // after the fee, never negative
	Unpaid              Money         `json:"unpaid"` // instalments no longer due
}

// EventType implements Event.
func (ReservationReturned) EventType() string { return "ReservationReturned" }

// ReturnReservation cancels units of a reservation for a refund. Only an AdminAgent may (S9).
type ReturnReservation struct {
	CustomerID    TenantID      `json:"customerId" format:"uuid"`
	ReservationID ReservationID `json:"reservationId" format:"uuid"`
	Quantity      int64         `json:"quantity" minimum:"1" maximum:"1000000"`
	Note
}

// CommandName implements Command.
func (ReturnReservation) CommandName() string { return "ReturnReservation" }

func (c ReturnReservation) target() TenantID { return c.CustomerID }

func (ReturnReservation) permit() permit { return permit{roles: AdminAgent, rule: "S9"} }

func (c ReturnReservation) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("reservationId", c.ReservationID)
	f.quantity("quantity", c.Quantity)
}

// cancellation is a past return that counts towards the rolling limit.
type cancellation struct {
	at    int64 // Unix seconds
	minor int64 // of the customer's currency
}

func (e ReservationReturned) evolve(t *tables, f Fact) {
	t.end(e.ReservationID, e.Quantity, stateReturned)
	past, _ := t.cancelled.get(f.Customer)
	t.cancelled.set(f.Customer, append(slices.Clone(past), cancellation{f.Time.Unix(), e.CommitmentCancelled.minor}))
}

func (c ReturnReservation) decide(d *decision) ([]Event, error) {
	r, err := d.activeUnits(c.ReservationID, c.Quantity)
	if err != nil {
		return nil, err
	}
	value, err := d.valued(r, c.Quantity)
	if err != nil {
		return nil, err
	}
	p := d.policy()
	if err := d.withinLimit(p, value.remaining); err != nil {
		return nil, err
	}
	fee := Money{currency: value.remaining.currency}
	if d.at.After(r.startsAt().AddDate(0, 0, p.FeeFreeDays)) {
		fee = value.remaining.share(p.FeePercent, 100)
	}
	refund := value.refund.sub(fee)
	refund.minor = max(0, refund.minor)
	return []Event{ReservationReturned{
		ReservationID: c.ReservationID, OrderID: r.order, Quantity: c.Quantity,
		CommitmentCancelled: value.remaining, Fee: fee, Refund: refund, Unpaid: value.unpaid,
	}}, nil
}

// withinLimit refuses a cancellation that would pass the customer's limit in the rolling window.
func (d *decision) withinLimit(p Policy, amount Money) error {
	limit, judged := p.CancellationLimit[amount.currency]
	if !judged {
		return nil
	}
	since := d.at.AddDate(0, -p.CancellationMonths, 0).Unix()
	past, _ := d.cancelled.get(d.customer)
	left := limit
	for _, c := range past {
		if c.at > since {
			left -= c.minor
		}
	}
	if amount.minor > left {
		return refuse(CodeRefundLimit, "", "Cancelling %s passes the limit of %s in %d months; %s are left for this customer as of %s. Return fewer units, or exchange.",
			amount, Money{minor: limit, currency: amount.currency}, p.CancellationMonths, Money{minor: left, currency: amount.currency}, d.at.Format(time.DateOnly))
	}
	return nil
}
