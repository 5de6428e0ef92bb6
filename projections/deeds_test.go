package projections

import (
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
)

func TestADeedIsAllThatOneCommandDid(t *testing.T) {
	t.Parallel()
	b := ready(t)
	set := func(products ...domain.Product) {
		b.after(cast.Admin, domain.SetPurchasePermissions{CustomerID: cast.Customer, Products: products})
	}
	set(domain.AzureSavingsPlan) // one is turned off, the other on
	set()
	set(domain.AzureReservedInstances, domain.AzureSavingsPlan)

	page, err := b.Deeds(t.Context(), contoso, DeedFilter{Actions: []string{"PurchasePermissionGranted"}}, Paging{Limit: 2})
	require.NoError(t, err)
	both, swapped := page.Items[0], page.Items[1]
	require.Len(t, both.Events, 2)
	require.Equal(t, both.Position, both.Events[1].Position)
	require.Equal(t, both.Position-1, both.Events[0].Position)
	require.Empty(t, both.Permitted.Before.Products)
	require.Equal(t, domain.Products(), both.Permitted.After.Products)
	require.Equal(t, both.Position, both.Permitted.After.Position)
	require.Equal(t, both.Position-2, both.Permitted.Before.Position, "turned off in between, which this list leaves out")

	require.Equal(t, []string{"PurchasePermissionRevoked", "PurchasePermissionGranted"}, []string{swapped.Events[0].Type, swapped.Events[1].Type})
	require.Equal(t, []domain.Product{domain.AzureReservedInstances}, swapped.Permitted.Before.Products)
	require.Equal(t, []domain.Product{domain.AzureSavingsPlan}, swapped.Permitted.After.Products)
	require.Equal(t, "Contoso", swapped.CompanyName)
}
