package api

import (
	"context"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"permledger/domain"
	"permledger/projections"
)

type permissionsInput struct {
	OfCustomer
	Paging
	Product string `query:"product" enum:"AzureReservedInstances,AzureSavingsPlan"`
	Allowed flag   `query:"allowed" doc:"Those that are on, or off"`
}

func (in *permissionsInput) filter() projections.PermissionFilter {
	return projections.PermissionFilter{Product: domain.Product(in.Product), Allowed: in.Allowed.value()}
}

func (a *API) permissions(ctx context.Context, in *permissionsInput) (*listOutput[projections.Permission], error) {
	page, err := a.ledger.Models().Permissions(ctx, viewOf(ctx).Scope, in.filter(), in.paging())
	return list(&in.Paging, page, err)
}

func (a *API) permissionHistory(ctx context.Context, in *permissionsInput) (*listOutput[projections.PermissionChange], error) {
	page, err := a.ledger.Models().PermissionHistory(ctx, viewOf(ctx).Scope, in.filter(), in.paging())
	return list(&in.Paging, page, err)
}

type checkInput struct {
	OfCustomer
	Product        string `path:"product" enum:"AzureReservedInstances,AzureSavingsPlan"`
	UserID         guid   `query:"userId" required:"true" doc:"Object id of the user who would buy"`
	SubscriptionID guid   `query:"subscriptionId" required:"true" doc:"Billing subscription"`
}

// read implements readsItself. The gate has read the customer.
func (in *checkInput) read(ctx huma.Context) (taken bool, err error) {
	var user, subscription string
	address := ctx.URL()
	for parameter := range strings.SplitSeq(address.RawQuery, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		switch {
		case name == "userId" && user == "":
			user = value
		case name == "subscriptionId" && subscription == "":
			subscription = value
		default:
			return false, nil
		}
	}
	in.Product = ctx.Param("product")
	return slices.Contains(domain.Products(), domain.Product(in.Product)) && in.UserID.parse(user) && in.SubscriptionID.parse(subscription), nil
}

// verdict answers "may this user buy now?".
type verdict struct {
	Allowed  bool            `json:"allowed"`
	Reasons  []domain.Reason `json:"reasons" doc:"Every rule that says no"`
	Position uint64          `json:"position" doc:"The answer holds as of this position"`
}

// check judges S7 on the state that decisions are made on, not on a read model.
func (a *API) check(ctx context.Context, in *checkInput) (*oneOutput[verdict], error) {
	s := viewOf(ctx).Scope
	v, err := a.ledger.Book().Check(s.Partner(), s.Customer(), domain.Product(in.Product),
		domain.SubscriptionID{UUID: in.SubscriptionID.UUID}, domain.UserID{UUID: in.UserID.UUID})
	return one(verdict{Allowed: v.Allowed, Reasons: v.Reasons, Position: v.Position}, v.Position, err)
}
