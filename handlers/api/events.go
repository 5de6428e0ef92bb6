package api

import (
	"context"

	"permledger/domain"
	"permledger/projections"
)

type eventsInput struct {
	After      uint64   `query:"after" doc:"Position of the last event already known; 0 for all"`
	Limit      int      `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Events of one piece"`
	Types      []string `query:"type" maxItems:"32" maxLength:"64" doc:"Event types, separated by commas"`
	CustomerID guid     `query:"customer" doc:"Events about this customer"`
}

func (in *eventsInput) filter() projections.EventFilter {
	return projections.EventFilter{After: in.After, Types: in.Types, CustomerID: domain.TenantID{UUID: in.CustomerID.UUID}}
}

// events gives a piece of the feed, oldest first.
func (a *API) events(ctx context.Context, in *eventsInput) (*oneOutput[projections.EventPage], error) {
	page, err := a.ledger.Models().Events(ctx, viewOf(ctx).Scope, in.filter(), in.Limit)
	return one(page, page.Position, err)
}
