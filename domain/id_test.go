package domain_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func TestNobodyCanSendTheIDOfARenewal(t *testing.T) {
	t.Parallel()
	due := domain.DueRenewal{Reservation: domain.ReservationID{UUID: uuid.New()}}
	id := due.CommandID()
	require.Equal(t, id, due.CommandID(), "the same on every node")
	require.NotEqual(t, id, domain.DueRenewal{Reservation: domain.ReservationID{UUID: uuid.New()}}.CommandID())
	require.True(t, id.Reserved())
	require.Equal(t, uuid.RFC4122, id.Variant())
	require.Equal(t, uuid.Version(8), id.Version())
	require.Error(t, id.CheckSent())
	_, err := domain.ParseCommandID(id.String())
	require.Error(t, err)
	for range 1000 {
		other := domain.CommandID{UUID: uuid.New()}
		require.NoError(t, other.CheckSent())
		_, err := domain.ParseCommandID(other.String())
		require.NoError(t, err)
	}
}

func TestWhatTwoTenantsCreateUnderOneIDDiffers(t *testing.T) {
	t.Parallel()
	id := domain.CommandID{UUID: uuid.New()}
	a, b := domaintest.Admin.Tenant, domaintest.Customer
	require.NotEqual(t, id.Order(a), id.Order(b))
	require.NotEqual(t, id.Reservation(a, 0), id.Reservation(b, 0))
	require.NotEqual(t, id.Reservation(a, 0), id.Reservation(a, 1))
}
