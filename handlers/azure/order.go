package azure

import (
	"net/http"
	"strings"
	"time"

	"permledger/domain"
	"permledger/projections"
)

// resource is what Azure shows of anything that has an id.
type resource[P any] struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	Etag       int32       `json:"etag"`
	Location   string      `json:"location,omitempty"`
	SKU        *skuName    `json:"sku,omitempty"`
	Properties P           `json:"properties"`
	SystemData *systemData `json:"systemData,omitempty"`
}

// systemData says who made a resource: of an order, who bought (S8).
type systemData struct {
	CreatedBy     string    `json:"createdBy,omitempty"`
	CreatedByType string    `json:"createdByType"`
	CreatedAt     time.Time `json:"createdAt"`
}

type orderProperties struct {
	DisplayName       string             `json:"displayName"`
	RequestDateTime   time.Time          `json:"requestDateTime"`
	CreatedDateTime   time.Time          `json:"createdDateTime"`
	BenefitStartTime  time.Time          `json:"benefitStartTime"`
	ExpiryDate        string             `json:"expiryDate"`
	ExpiryDateTime    time.Time          `json:"expiryDateTime"`
	OriginalQuantity  int64              `json:"originalQuantity"`
	Term              domain.Term        `json:"term"`
	BillingPlan       domain.BillingPlan `json:"billingPlan"`
	ProvisioningState string             `json:"provisioningState"`
	Reservations      []reference        `json:"reservations"`
}

// reference names a resource.
type reference struct {
	ID string `json:"id"`
}

// The states that Azure has for what the ledger knows. A cancelled one was returned or exchanged.
const (
	succeeded = "Succeeded"
	cancelled = "Cancelled"
	expired   = "Expired"
)

var orderStates = map[projections.OrderStatus]string{
	projections.OrderActive: succeeded, projections.OrderReturned: cancelled, projections.OrderExchanged: cancelled, projections.OrderExpired: expired,
}

// etag makes an entity tag of the newest position at which something changed. Azure's are 32 bits wide.
func etag(position uint64) int32 { return int32(position & 0x7fff_ffff) }

// orders lists the reservation orders that the caller may see, newest first.
func (d *Door) orders(r *request) (any, error) {
	filter := projections.OrderFilter{At: time.Now(), Product: domain.AzureReservedInstances}
	paging, err := r.paging()
	if err != nil {
		return nil, err
	}
	page, err := d.ledger.Models().Orders(r.Context(), r.view.Scope, filter, paging)
	return list(r, ordersPath, page, err, r.orderBody)
}

func (d *Door) order(r *request) (any, error) {
	id, err := r.orderID()
	if err != nil {
		return nil, err
	}
	o, err := r.findOrder(id)
	if err != nil {
		return nil, err
	}
	return r.orderBody(o)
}

// orderNow is the answer to a command that made or changed an order: the operation succeeded, whatever has become
// of the order meanwhile.
func (r *request) orderNow(id domain.OrderID) (resource[orderProperties], error) {
	o, err := r.findOrder(id)
	if err != nil {
		return resource[orderProperties]{}, err
	}
	body, err := r.orderBody(o)
	body.Properties.ProvisioningState = succeeded
	return body, err
}

// findOrder finds a reservation order. Anybody else's is as unknown as one that does not exist (L8).
func (r *request) findOrder(id domain.OrderID) (projections.Order, error) {
	o, _, err := r.door.ledger.Models().Order(r.Context(), r.view.Scope, id, time.Now())
	if notFound(err) || err == nil && o.Product != domain.AzureReservedInstances {
		err = refusal{http.StatusNotFound, "ReservationOrderNotFound", "No reservation order " + id.String() + " is known here. Check the id."}
	}
	return o, err
}

func (r *request) orderBody(o projections.Order) (resource[orderProperties], error) {
	held, err := r.allIn(o.OrderID)
	if err != nil {
		return resource[orderProperties]{}, err
	}
	changed, references := o.Changed, make([]reference, len(held))
	for i, row := range held {
		changed = max(changed, row.Changed)
		references[i] = reference{reservationPath(o.OrderID, row.ReservationID)}
	}
	return resource[orderProperties]{
		ID: orderPath(o.OrderID), Name: o.OrderID.String(), Type: typeOf(ordersPath), Etag: etag(changed), SystemData: boughtBy(o),
		Properties: orderProperties{
			DisplayName: o.DisplayName, RequestDateTime: o.PurchasedAt, CreatedDateTime: o.Time, BenefitStartTime: o.StartsAt,
			ExpiryDate: day(o.ExpiresAt), ExpiryDateTime: o.ExpiresAt, OriginalQuantity: o.Quantity, Term: o.Term,
			BillingPlan: o.BillingPlan, ProvisioningState: orderStates[o.Status], Reservations: references,
		},
	}, nil
}

// allIn gives every reservation of an order, those that are over included.
func (r *request) allIn(id domain.OrderID) (held []projections.Reservation, err error) {
	filter, paging := projections.ReservationFilter{At: time.Now(), OrderID: id}, projections.Paging{Limit: projections.MaxLimit}
	for {
		page, err := r.door.ledger.Models().Reservations(r.Context(), r.view.Scope, filter, paging)
		if err != nil {
			return nil, err
		}
		held, paging.Cursor = append(held, page.Items...), page.NextCursor
		if paging.Cursor == "" {
			return held, nil
		}
	}
}

func boughtBy(o projections.Order) *systemData {
	if o.BoughtBy.UserID.IsZero() {
		return &systemData{CreatedByType: "Application", CreatedAt: o.Time}
	}
	return &systemData{CreatedBy: o.BoughtBy.UserPrincipalName, CreatedByType: "User", CreatedAt: o.Time}
}

// typeOf is the resource type of a path.
func typeOf(path string) string { return strings.TrimPrefix(path, "/providers/") }
