package api

import (
	"context"
	"time"

	"permledger/domain"
	"permledger/projections"
)

// ActivityFilter narrows the activity log.
type ActivityFilter struct {
	Actions    []string  `query:"action" maxItems:"32" maxLength:"64" doc:"Event types, separated by commas; AttemptDenied for what was refused"`
	Actor      string    `query:"actor" maxLength:"256" doc:"Object id, or part of the user principal name"`
	Result     string    `query:"result" enum:"succeeded,failed"`
	CustomerID guid      `query:"customer" doc:"Entries about this customer"`
	Since      time.Time `query:"since" doc:"Recorded at or after this time"`
	Until      time.Time `query:"until" doc:"Recorded before this time"`
}

func (f *ActivityFilter) filter() projections.ActivityFilter {
	return projections.ActivityFilter{
		Actions: f.Actions, Actor: f.Actor, Result: projections.Result(f.Result),
		CustomerID: domain.TenantID{UUID: f.CustomerID.UUID}, Since: f.Since, Until: f.Until,
	}
}

func (a *API) activity(ctx context.Context, in *struct {
	Paging
	ActivityFilter
},
) (*listOutput[projections.Activity], error) {
	return a.listActivity(ctx, &in.Paging, &in.ActivityFilter)
}

func (a *API) customerActivity(ctx context.Context, in *struct {
	OfCustomer
	Paging
	ActivityFilter
},
) (*listOutput[projections.Activity], error) {
	return a.listActivity(ctx, &in.Paging, &in.ActivityFilter)
}

// listActivity gives who did what and what was refused, newest first.
func (a *API) listActivity(ctx context.Context, p *Paging, f *ActivityFilter) (*listOutput[projections.Activity], error) {
	page, err := a.ledger.Models().Activity(ctx, viewOf(ctx).Scope, f.filter(), p.paging())
	return list(p, page, err)
}
