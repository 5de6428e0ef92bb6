package api

import (
	"context"
	"time"

	"permledger/domain"
	"permledger/projections"
)

// OrderFilter narrows a list of orders.
type OrderFilter struct {
	BoughtBy       string    `query:"boughtBy" enum:"customer,partner"`
	Kind           string    `query:"kind" enum:"purchase,exchange,renewal"`
	Product        string    `query:"product" enum:"AzureReservedInstances,AzureSavingsPlan"`
	SKU            string    `query:"sku" maxLength:"128"`
	Status         string    `query:"status" enum:"active,returned,exchanged,expired"`
	SubscriptionID guid      `query:"subscriptionId" doc:"Billing subscription"`
	Authorised     flag      `query:"authorised" doc:"False: reported purchases that broke a rule"`
	Since          time.Time `query:"since" doc:"Recorded at or after this time"`
	Until          time.Time `query:"until" doc:"Recorded before this time"`
}

func (f *OrderFilter) filter() projections.OrderFilter {
	return projections.OrderFilter{
		At: time.Now(), BoughtBy: projections.BuyerKind(f.BoughtBy), Kind: projections.OrderKind(f.Kind), Product: domain.Product(f.Product),
		SKU: f.SKU, Status: projections.OrderStatus(f.Status), SubscriptionID: domain.SubscriptionID{UUID: f.SubscriptionID.UUID},
		Authorised: f.Authorised.value(), Since: f.Since, Until: f.Until,
	}
}

func (a *API) orders(ctx context.Context, in *struct {
	Paging
	OrderFilter
},
) (*listOutput[projections.Order], error) {
	return a.listOrders(ctx, &in.Paging, &in.OrderFilter)
}

func (a *API) customerOrders(ctx context.Context, in *struct {
	OfCustomer
	Paging
	OrderFilter
},
) (*listOutput[projections.Order], error) {
	return a.listOrders(ctx, &in.Paging, &in.OrderFilter)
}

func (a *API) listOrders(ctx context.Context, p *Paging, f *OrderFilter) (*listOutput[projections.Order], error) {
	v := viewOf(ctx)
	page, err := a.ledger.Models().Orders(ctx, v.Scope, f.filter(), p.paging())
	return list(p, hidePrices(v, page), err)
}

func (a *API) order(ctx context.Context, in *struct {
	OfCustomer
	OrderID guid `path:"orderId"`
},
) (*oneOutput[projections.Order], error) {
	v := viewOf(ctx)
	row, position, err := a.ledger.Models().Order(ctx, v.Scope, domain.OrderID{UUID: in.OrderID.UUID}, time.Now())
	if !v.Prices {
		row = row.WithoutPrices()
	}
	return one(row, position, err)
}
