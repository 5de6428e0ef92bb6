package ledger

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
	"permledger/handlers/problem"
)

// TestAWrongClockRenewsNothingEarly sets the clock three years ahead, where a
// reservation with automatic renewal would have ended.
func TestAWrongClockRenewsNothingEarly(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	l, err := Open(t.Context(), Config{Dir: t.TempDir(), Found: true, Clock: eventstore.ClockOptions{Now: now}})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	ready(t, l)
	id := domain.CommandID{UUID: uuid.New()}
	_, err = l.Execute(t.Context(), Call{ID: id, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
	require.NoError(t, err)
	on := true
	l.must(t, domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: id.Reservation(domaintest.Buyer.Tenant, 0), Enabled: &on})
	head := l.Head()

	off.Store(int64(3 * 366 * 24 * time.Hour))
	require.NotEmpty(t, l.book.DueRenewals(now()), "it would be renewed")
	l.renewDue(t.Context(), now())
	require.Equal(t, head, l.Head())
	h := l.Health()
	require.False(t, h.Ready)
	require.True(t, h.ClockDoubted)
	require.Len(t, h.Reasons, 1)
	require.Contains(t, h.Reasons[0], "set it")
	_, err = l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
	require.Equal(t, http.StatusServiceUnavailable, problem.Of(err).Status)
	_, err = l.Outcome(t.Context(), domaintest.Buyer, id)
	require.NoError(t, err, "reading goes on")
	require.NoError(t, l.Fault())

	off.Store(0)
	require.True(t, l.Health().Ready)
	l.must(t, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
	l.renewDue(t.Context(), now())
	require.Equal(t, head.Position+1, l.Head().Position)
}
