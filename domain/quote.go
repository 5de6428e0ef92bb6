package domain

import "time"

// Quote is what units at a price come to over a term, and when it is paid.
type Quote struct {
	Total    Money
	Payments []Payment // at least one; they sum to the total
}

// Payment is one instalment of a total.
type Payment struct {
	Due    time.Time
	Amount Money
}

// NewQuote multiplies the price of one unit for the whole term and divides the total into the payments of
// the billing plan: one at the start, or one each month, on the same day, each rounded down to what is paid
// in all by then. A total that the ledger cannot hold is refused (L4).
func NewQuote(unit Money, quantity int64, term Term, plan BillingPlan, start time.Time) (Quote, error) {
	total, fits := unit.times(quantity)
	if !fits {
		return Quote{}, refuse(CodeAmountTooLarge, "L4", "%d × %s is more than the ledger can hold. Buy fewer units.", quantity, unit)
	}
	q, months := Quote{Total: total}, int64(1)
	if plan == Monthly {
		months = int64(term.years()) * 12
	}
	paid := Money{currency: total.currency}
	for n := int64(1); n <= months; n++ {
		due := total.share(n, months)
		q.Payments = append(q.Payments, Payment{Due: start.AddDate(0, int(n-1), 0), Amount: due.sub(paid)})
		paid = due
	}
	return q, nil
}

// DueBy counts the payments that are due at a moment.
func (q Quote) DueBy(at time.Time) int {
	n := 0
	for n < len(q.Payments) && !q.Payments[n].Due.After(at) {
		n++
	}
	return n
}
