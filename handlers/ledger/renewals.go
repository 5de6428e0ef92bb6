package ledger

import (
	"context"
	"time"

	"permledger/domain"
)

// renewalPeriod is how often reservations that ended are looked for.
const renewalPeriod = time.Minute

// keepRenewing renews what ended with automatic renewal on, until the context ends.
func (l *Ledger) keepRenewing(ctx context.Context) {
	ticker := time.NewTicker(renewalPeriod)
	defer ticker.Stop()
	for {
		if at, err := l.writer.Time(); err == nil { // a clock that is ahead would renew early
			l.renewDue(ctx, at)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// renewDue sends a renewal for every reservation that is due. Each has a command id of its own, so that of
// several nodes one renews; one that is refused, for want of a price say, is tried again next time.
func (l *Ledger) renewDue(ctx context.Context, at time.Time) {
	for _, due := range l.book.DueRenewals(at) {
		_, err := l.Execute(ctx, Call{
			ID:      due.CommandID(),
			Actor:   domain.Actor{Tenant: due.Partner, Roles: domain.AdminAgent, App: "permledger/renewals"},
			Command: domain.RenewReservation{CustomerID: due.Customer, ReservationID: due.Reservation, Note: domain.Note{Reason: "automatic renewal"}},
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.logger().Warn("a reservation was not renewed", "reservation", due.Reservation, "customer", due.Customer, "error", err)
		}
	}
}
