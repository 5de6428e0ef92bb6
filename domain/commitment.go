package domain

import "time"

const secondsPerDay = 24 * 60 * 60

// remaining is how much of its term a reservation still has at a moment, in whole UTC days.
func (r reservation) remaining(at time.Time) (days, of int64) {
	first, last := r.starts/secondsPerDay, r.expires()/secondsPerDay
	days = last - at.Unix()/secondsPerDay
	return max(0, min(days, last-first)), last - first
}

// commitment is what leaving a reservation early is about, for some of its units.
type commitment struct {
	remaining Money // value of the days not used: the commitment cancelled
	refund    Money // what was paid for days not used
	unpaid    Money // instalments that are no longer due
}

// commitment values a quantity of the reservation at a moment, pro rata by remaining UTC days, rounded
// down to a minor unit. ok is false when the price was never known.
func (r reservation) commitment(quantity int64, currency Currency, at time.Time) (c commitment, ok bool) {
	if r.unit < 0 {
		return commitment{}, false
	}
	total, ok := Money{minor: r.unit, currency: currency}.times(quantity)
	if !ok {
		return commitment{}, false
	}
	days, of := r.remaining(at)
	c.remaining = total.share(days, of)
	paid := total
	if r.offer.BillingPlan == Monthly {
		paid = total.share(r.instalmentsDue(at), int64(r.offer.Term.years())*12)
	}
	used := total.sub(c.remaining)
	c.unpaid = total.sub(paid)
	c.refund = paid.sub(used)
	if c.refund.minor < 0 {
		c.refund.minor = 0
	}
	return c, true
}

// instalmentsDue counts the monthly payments that fell due by a moment: one at the start, then one on
// the same day of each month, none after the term.
func (r reservation) instalmentsDue(at time.Time) int64 {
	start, months := r.startsAt(), int64(r.offer.Term.years())*12
	due := int64(at.Year()-start.Year())*12 + int64(at.Month()-start.Month())
	if start.AddDate(0, int(due), 0).After(at) {
		due--
	}
	return max(0, min(due+1, months))
}

// valued is the commitment of units of the customer's reservation, or the refusal that says why it
// cannot be valued.
func (d *decision) valued(r reservation, quantity int64) (commitment, error) {
	c, _ := d.customers.get(d.customer)
	value, ok := r.commitment(quantity, c.currency, d.at)
	if !ok {
		return commitment{}, refuse(CodePriceNotSet, "S13", "This reservation was recorded without a price, so that its remaining value is unknown. Only its scope can be changed.")
	}
	return value, nil
}
