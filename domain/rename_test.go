package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func renamed(id domain.ReservationID, name string) domain.RenameReservation {
	return domain.RenameReservation{CustomerID: domaintest.Customer, ReservationID: id, DisplayName: name}
}

func TestAReservationIsRenamedAndTheSameNameIsNoChange(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	bought := b.Bought(domaintest.Offer, 2)
	require.Empty(t, b.Accepted(domaintest.Admin, renamed(bought.ReservationID, bought.DisplayName)), "it was bought under it")
	e := domaintest.One[domain.ReservationRenamed](t, b.Accepted(domaintest.Admin, renamed(bought.ReservationID, "網頁")))
	require.Equal(t, domain.ReservationRenamed{ReservationID: bought.ReservationID, DisplayName: "網頁"}, e)
	require.Empty(t, b.Accepted(domaintest.Admin, renamed(bought.ReservationID, "網頁")))
	require.Len(t, b.Accepted(domaintest.Admin, renamed(bought.ReservationID, bought.DisplayName)), 1, "and back")
	b.Given(domaintest.Admin, returned(bought.ReservationID, 2))
	b.Refused(domaintest.Admin, renamed(bought.ReservationID, "db"), domain.CodeReservationNotActive, "")
}

func TestWhatAReservationBecomesKeepsItsName(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	whole := b.Bought(domaintest.Offer, 2)
	b.Given(domaintest.Admin, renamed(whole.ReservationID, "web"))
	parts := domaintest.One[domain.ReservationSplit](t, b.Accepted(domaintest.Admin, domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: whole.ReservationID, Quantities: []int64{1, 1}})).Into
	require.Empty(t, b.Accepted(domaintest.Admin, renamed(parts[1].ReservationID, "web")))

	b.Given(domaintest.Admin, renamed(parts[0].ReservationID, "db"))
	merged := domaintest.One[domain.ReservationsMerged](t, b.Accepted(domaintest.Admin, domain.MergeReservations{
		CustomerID: domaintest.Customer, ReservationIDs: []domain.ReservationID{parts[0].ReservationID, parts[1].ReservationID},
	})).Into
	require.Empty(t, b.Accepted(domaintest.Admin, renamed(merged.ReservationID, "db")), "names may differ, and the first one stays")

	b.Now = whole.ExpiresAt
	successor := domaintest.One[domain.ReservationRenewed](t, b.Accepted(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: merged.ReservationID})).Successor
	require.Empty(t, b.Accepted(domaintest.Admin, renamed(successor.ReservationID, "db")))
	require.Len(t, b.Accepted(domaintest.Admin, renamed(successor.ReservationID, "web")), 1)
}
