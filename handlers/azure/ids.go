package azure

import (
	"strings"

	"permledger/domain"
)

const subscriptions = "/subscriptions/"

// subscriptionPath is how Azure names a subscription.
func subscriptionPath(id domain.SubscriptionID) string { return subscriptions + id.String() }

// subscriptionAt reads such a name; what lies inside of a subscription is none.
func subscriptionAt(path string) (domain.SubscriptionID, error) {
	if len(path) > len(subscriptions) && strings.EqualFold(path[:len(subscriptions)], subscriptions) {
		if id, err := domain.ParseSubscriptionID(path[len(subscriptions):]); err == nil {
			return id, nil
		}
	}
	return domain.SubscriptionID{}, badRequest("InvalidSubscriptionId", "Name a subscription as /subscriptions/{subscriptionId}, with a GUID.")
}

const (
	ordersPath   = provider + "/reservationOrders"
	listPath     = provider + "/reservations"
	reservations = "/reservations"
	results      = provider + "/operationResults/"
)

// orderPath is how Azure names an order.
func orderPath(id domain.OrderID) string { return ordersPath + "/" + id.String() }

// reservationPath is how Azure names a reservation.
func reservationPath(order domain.OrderID, id domain.ReservationID) string {
	return orderPath(order) + reservations + "/" + id.String()
}

// reservationAt reads such a name.
func reservationAt(path string) (domain.OrderID, domain.ReservationID, error) {
	rest, known := strings.CutPrefix(strings.ToLower(path), strings.ToLower(ordersPath)+"/")
	first, second, inOrder := strings.Cut(rest, reservations+"/")
	order, wrongOrder := domain.ParseOrderID(first)
	id, wrong := domain.ParseReservationID(second)
	if !known || !inOrder || wrongOrder != nil || wrong != nil {
		return order, id, badRequest("InvalidReservationId", "Name a reservation as "+ordersPath+"/{reservationOrderId}/reservations/{reservationId}, with GUIDs.")
	}
	return order, id, nil
}

// orderID reads the order in the address of a request.
func (r *request) orderID() (domain.OrderID, error) {
	id, err := domain.ParseOrderID(r.PathValue("order"))
	if err != nil {
		return id, badRequest("InvalidReservationOrderId", "The reservation order id in the address is not a GUID.")
	}
	return id, nil
}

// reservationID reads the reservation in the address of a request.
func (r *request) reservationID() (domain.ReservationID, error) {
	id, err := domain.ParseReservationID(r.PathValue("reservation"))
	if err != nil {
		return id, badRequest("InvalidReservationId", "The reservation id in the address is not a GUID.")
	}
	return id, nil
}
