package azure

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"permledger/domain"
	"permledger/projections"
)

type reservationProperties struct {
	DisplayName                  string             `json:"displayName"`
	ReservedResourceType         string             `json:"reservedResourceType"`
	SKUDescription               string             `json:"skuDescription"`
	BillingScopeID               string             `json:"billingScopeId"`
	BillingPlan                  domain.BillingPlan `json:"billingPlan"`
	Term                         domain.Term        `json:"term"`
	Quantity                     int64              `json:"quantity"`
	ProvisioningState            string             `json:"provisioningState"`
	DisplayProvisioningState     string             `json:"displayProvisioningState"`
	PurchaseDate                 string             `json:"purchaseDate"`
	PurchaseDateTime             time.Time          `json:"purchaseDateTime"`
	BenefitStartTime             time.Time          `json:"benefitStartTime"`
	EffectiveDateTime            time.Time          `json:"effectiveDateTime"`
	LastUpdatedDateTime          time.Time          `json:"lastUpdatedDateTime"`
	ExpiryDate                   string             `json:"expiryDate"`
	ExpiryDateTime               time.Time          `json:"expiryDateTime"`
	UserFriendlyAppliedScopeType string             `json:"userFriendlyAppliedScopeType"`
	UserFriendlyRenewState       string             `json:"userFriendlyRenewState"`
	Renew                        bool               `json:"renew"`
	RenewSource                  string             `json:"renewSource,omitempty"`
	RenewDestination             string             `json:"renewDestination,omitempty"`
	SplitProperties              *splitLinks        `json:"splitProperties,omitempty"`
	MergeProperties              *mergeLinks        `json:"mergeProperties,omitempty"`
	Archived                     bool               `json:"archived"`
	AppliedScope
}

type splitLinks struct {
	SplitSource       string   `json:"splitSource,omitempty"`
	SplitDestinations []string `json:"splitDestinations,omitempty"`
}

type mergeLinks struct {
	MergeDestination string   `json:"mergeDestination,omitempty"`
	MergeSources     []string `json:"mergeSources,omitempty"`
}

var reservationStates = map[projections.ReservationState]string{
	projections.ReservationActive: succeeded, projections.ReservationReturned: cancelled, projections.ReservationExchanged: cancelled,
	projections.ReservationSplit: "Split", projections.ReservationMerged: "Merged", projections.ReservationExpired: expired,
}

// shownStates are the states for people, who see what was split or merged as gone.
var shownStates = map[projections.ReservationState]string{
	projections.ReservationActive: succeeded, projections.ReservationReturned: cancelled, projections.ReservationExchanged: cancelled,
	projections.ReservationSplit: cancelled, projections.ReservationMerged: cancelled, projections.ReservationExpired: expired,
}

var shownScopes = map[domain.ScopeType]string{domain.Shared: "Shared", domain.Single: "Single subscription"}

func shownRenewal(r projections.Reservation) string {
	switch {
	case len(r.Lineage.RenewedBy) > 0:
		return "Renewed"
	case r.State != projections.ReservationActive:
		return "NotApplicable"
	case r.Renew:
		return "On"
	default:
		return "Off"
	}
}

// reservations lists all reservations that the caller may see, newest first.
func (d *Door) reservations(r *request) (any, error) {
	return r.listReservations(listPath, domain.OrderID{})
}

// orderedReservations lists those of one order.
func (d *Door) orderedReservations(r *request) (any, error) {
	id, err := r.orderID()
	if err != nil {
		return nil, err
	}
	if _, err := r.findOrder(id); err != nil {
		return nil, err
	}
	return r.listReservations(orderPath(id)+reservations, id)
}

func (r *request) listReservations(path string, order domain.OrderID) (any, error) {
	paging, err := r.paging()
	if err != nil {
		return nil, err
	}
	page, err := r.door.ledger.Models().Reservations(r.Context(), r.view.Scope, projections.ReservationFilter{At: time.Now(), OrderID: order}, paging)
	return list(r, path, page, err, r.reservationBody)
}

func (d *Door) reservation(r *request) (any, error) {
	row, err := r.addressed()
	if err != nil {
		return nil, err
	}
	return r.reservationBody(row)
}

// addressed finds the reservation in the address of a request.
func (r *request) addressed() (projections.Reservation, error) {
	order, err := r.orderID()
	if err != nil {
		return projections.Reservation{}, err
	}
	id, err := r.reservationID()
	if err != nil {
		return projections.Reservation{}, err
	}
	return r.find(order, id)
}

// find finds a reservation of an order. Anybody else's is as unknown as one that does not exist (L8).
func (r *request) find(order domain.OrderID, id domain.ReservationID) (projections.Reservation, error) {
	row, err := r.lookUp(id)
	if err == nil && row.OrderID != order {
		err = refusal{http.StatusNotFound, "ReservationIdNotInReservationOrder", "Reservation " + id.String() + " is not of order " + order.String() + "."}
	}
	return row, err
}

func (r *request) lookUp(id domain.ReservationID) (projections.Reservation, error) {
	row, _, err := r.door.ledger.Models().Reservation(r.Context(), r.view.Scope, id, time.Now())
	if notFound(err) {
		err = refusal{http.StatusNotFound, table[domain.CodeNotFound].code, "No reservation " + id.String() + " is known here. Check the id."}
	}
	return row, err
}

func notFound(err error) bool { return errors.Is(err, projections.ErrNotFound) }

func (r *request) reservationBody(row projections.Reservation) (resource[reservationProperties], error) {
	p := reservationProperties{
		DisplayName: row.DisplayName, ReservedResourceType: strings.ReplaceAll(row.Family, " ", ""), SKUDescription: row.SKU,
		BillingScopeID: subscriptionPath(row.SubscriptionID), BillingPlan: row.BillingPlan, Term: row.Term, Quantity: row.Quantity,
		ProvisioningState: reservationStates[row.State], DisplayProvisioningState: shownStates[row.State],
		PurchaseDate: day(row.PurchasedAt), PurchaseDateTime: row.PurchasedAt, BenefitStartTime: row.StartsAt,
		EffectiveDateTime: row.ChangedAt, LastUpdatedDateTime: row.ChangedAt, ExpiryDate: day(row.ExpiresAt), ExpiryDateTime: row.ExpiresAt,
		UserFriendlyAppliedScopeType: shownScopes[row.Scope.Type], UserFriendlyRenewState: shownRenewal(row),
		Renew: row.Renew, AppliedScope: appliedScope(row.Scope),
	}
	err := r.addLineage(&p, row)
	return resource[reservationProperties]{
		ID: reservationPath(row.OrderID, row.ReservationID), Name: row.ReservationID.String(), Type: typeOf(ordersPath + reservations),
		Etag: etag(row.Changed), Location: row.Region, SKU: &skuName{row.SKU}, Properties: p,
	}, err
}

// addLineage says which reservations one came from and went to. Splits and merges stay within an order.
func (r *request) addLineage(p *reservationProperties, row projections.Reservation) error {
	l, own := row.Lineage, row.OrderID
	if len(l.SplitFrom)+len(l.SplitInto) > 0 {
		p.SplitProperties = &splitLinks{SplitSource: onePath(own, l.SplitFrom), SplitDestinations: paths(own, l.SplitInto)}
	}
	if len(l.MergedFrom)+len(l.MergedInto) > 0 {
		p.MergeProperties = &mergeLinks{MergeDestination: onePath(own, l.MergedInto), MergeSources: paths(own, l.MergedFrom)}
	}
	for _, renewal := range []struct {
		ids  []domain.ReservationID
		into *string
	}{{l.RenewedFrom, &p.RenewSource}, {l.RenewedBy, &p.RenewDestination}} {
		if len(renewal.ids) == 0 {
			continue
		}
		other, err := r.lookUp(renewal.ids[0])
		if err != nil {
			return err
		}
		*renewal.into = reservationPath(other.OrderID, other.ReservationID)
	}
	return nil
}

func paths(order domain.OrderID, ids []domain.ReservationID) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = reservationPath(order, id)
	}
	return list
}

// onePath is the path of the first of some reservations; empty where there is none.
func onePath(order domain.OrderID, ids []domain.ReservationID) string {
	if len(ids) == 0 {
		return ""
	}
	return reservationPath(order, ids[0])
}
