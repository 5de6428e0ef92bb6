package wire

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

func TestTheIdOfARecordHoldsItsTimeToTheTick(t *testing.T) {
	t.Parallel()
	partner, customer := domain.TenantID{UUID: uuid.New()}, domain.TenantID{UUID: uuid.New()}
	at := time.Date(2022, time.September, 28, 22, 13, 20, 123456789, time.UTC)
	id := RecordID(partner, customer, "ORDER", CreateOrder, at)
	require.Equal(t, partner.String()+"_"+customer.String()+"_order_createorder_638000000001234567", id)
	written, found := RecordTime(id)
	require.True(t, found)
	require.Equal(t, at.Truncate(Tick), written)
	require.Equal(t, partner.String()+"_x_deletewebhook_638000000001234567", RecordID(partner, domain.TenantID{}, "x", "delete_webhook", at))
	for _, id := range []string{"", "x", "_", "a_b", "a_-1", "a_0"} {
		_, found := RecordTime(id)
		require.False(t, found, id)
	}
}

func TestAPolicyIsCreatedUpdatedOrDeletedByWhatWasOnBeforeAndAfter(t *testing.T) {
	t.Parallel()
	none, some := []domain.Product{}, []domain.Product{domain.AzureSavingsPlan}
	require.Equal(t, CreatePolicy, PolicyOperation(none, some))
	require.Equal(t, UpdatePolicy, PolicyOperation(some, domain.Products()))
	require.Equal(t, UpdatePolicy, PolicyOperation(domain.Products(), some))
	require.Equal(t, DeletePolicy, PolicyOperation(some, none))
}
