package api

import (
	"context"

	"permledger/domain"
	"permledger/projections"
)

type customersInput struct {
	Paging
	Text    string `query:"text" maxLength:"256" doc:"Part of the company name or domain"`
	Product string `query:"product" enum:"AzureReservedInstances,AzureSavingsPlan" doc:"Together with allowed"`
	Allowed flag   `query:"allowed" doc:"Whose purchase permission is on, or off"`
}

func (a *API) customers(ctx context.Context, in *customersInput) (*listOutput[projections.Customer], error) {
	page, err := a.ledger.Models().Customers(ctx, viewOf(ctx).Scope, projections.CustomerFilter{
		Text: in.Text, Product: domain.Product(in.Product), Allowed: in.Allowed.value(),
	}, in.paging())
	return list(&in.Paging, page, err)
}

func (a *API) customer(ctx context.Context, _ *struct{ OfCustomer }) (*oneOutput[projections.Customer], error) {
	row, position, err := a.ledger.Models().Customer(ctx, viewOf(ctx).Scope)
	return one(row, position, err)
}

type subscriptionsInput struct {
	OfCustomer
	Paging
	Kind   string `query:"kind" enum:"AzurePlan,AzureGlobal"`
	Status string `query:"status" enum:"active,suspended,disabled,deleted"`
	Owner  guid   `query:"owner" doc:"On which this user holds the role Owner"`
}

func (a *API) subscriptions(ctx context.Context, in *subscriptionsInput) (*listOutput[projections.Subscription], error) {
	page, err := a.ledger.Models().Subscriptions(ctx, viewOf(ctx).Scope, projections.SubscriptionFilter{
		Kind: domain.SubscriptionKind(in.Kind), Status: domain.SubscriptionStatus(in.Status), Owner: domain.UserID{UUID: in.Owner.UUID},
	}, in.paging())
	return list(&in.Paging, page, err)
}

type pricesInput struct {
	OfCustomer
	Paging
	SKU    string `query:"sku" maxLength:"128"`
	Region string `query:"region" maxLength:"64"`
}

func (a *API) prices(ctx context.Context, in *pricesInput) (*listOutput[projections.Price], error) {
	page, err := a.ledger.Models().Prices(ctx, viewOf(ctx).Scope, projections.PriceFilter{SKU: in.SKU, Region: in.Region}, in.paging())
	return list(&in.Paging, page, err)
}
