package api

import (
	"context"
	"time"

	"permledger/domain"
	"permledger/projections"
)

// ReservationFilter narrows a list of reservations.
type ReservationFilter struct {
	State          string    `query:"state" enum:"active,returned,exchanged,split,merged,expired"`
	ScopeType      string    `query:"scopeType" enum:"Single,Shared"`
	Reaches        guid      `query:"reaches" doc:"Whose discount applies to this subscription"`
	OrderID        guid      `query:"orderId"`
	ExpiringBefore time.Time `query:"expiringBefore" doc:"That end before this time"`
}

func (f *ReservationFilter) filter() projections.ReservationFilter {
	return projections.ReservationFilter{
		At: time.Now(), State: projections.ReservationState(f.State), ScopeType: domain.ScopeType(f.ScopeType),
		Reaches: domain.SubscriptionID{UUID: f.Reaches.UUID}, OrderID: domain.OrderID{UUID: f.OrderID.UUID}, ExpiringBefore: f.ExpiringBefore,
	}
}

func (a *API) reservations(ctx context.Context, in *struct {
	Paging
	ReservationFilter
},
) (*listOutput[projections.Reservation], error) {
	return a.listReservations(ctx, &in.Paging, &in.ReservationFilter)
}

func (a *API) customerReservations(ctx context.Context, in *struct {
	OfCustomer
	Paging
	ReservationFilter
},
) (*listOutput[projections.Reservation], error) {
	return a.listReservations(ctx, &in.Paging, &in.ReservationFilter)
}

func (a *API) listReservations(ctx context.Context, p *Paging, f *ReservationFilter) (*listOutput[projections.Reservation], error) {
	v := viewOf(ctx)
	page, err := a.ledger.Models().Reservations(ctx, v.Scope, f.filter(), p.paging())
	return list(p, hidePrices(v, page), err)
}

func (a *API) reservation(ctx context.Context, in *struct {
	OfCustomer
	ReservationID guid `path:"reservationId"`
},
) (*oneOutput[projections.Reservation], error) {
	v := viewOf(ctx)
	row, position, err := a.ledger.Models().Reservation(ctx, v.Scope, domain.ReservationID{UUID: in.ReservationID.UUID}, time.Now())
	if !v.Prices {
		row = row.WithoutPrices()
	}
	return one(row, position, err)
}

// coverage lists the subscriptions that a reservation reaches now (S14).
func (a *API) coverage(ctx context.Context, in *struct {
	OfCustomer
	Paging
	ReservationID guid `path:"reservationId"`
},
) (*listOutput[projections.Subscription], error) {
	id := domain.ReservationID{UUID: in.ReservationID.UUID}
	page, err := a.ledger.Models().Coverage(ctx, viewOf(ctx).Scope, id, time.Now(), in.paging())
	return list(&in.Paging, page, err)
}
