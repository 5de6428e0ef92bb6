package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"permledger/domain"
)

// routes lists the API. Who may use what is in access.go.
func (a *API) routes() {
	command[domain.RegisterPartner](a, "Make the caller's tenant a partner of this ledger")
	command[domain.RegisterCustomer](a, "Take on a customer; its purchase permissions are off")
	command[domain.RecordSubscription](a, "Note a subscription that the partner bought for a customer")
	command[domain.ChangeSubscriptionStatus](a, "Note a subscription's new status")
	command[domain.AssignSubscriptionRole](a, "Give a user a role on a subscription, such as Owner")
	command[domain.RemoveSubscriptionRole](a, "Take a role away")
	command[domain.SetReservationPrice](a, "Set what a customer pays for one unit for the whole term")
	command[domain.GrantPurchasePermission](a, "Let a customer buy a product; the partner pays from now on")
	command[domain.RevokePurchasePermission](a, "Stop a customer's later purchases of a product")
	command[domain.SetPurchasePermissions](a, "Make the listed permissions the customer's only ones, all or nothing")
	command[domain.PurchaseReservation](a, "Buy: a customer's user for itself, an agent on the customer's behalf")
	command[domain.ReportCustomerPurchase](a, "Report what a customer has bought outside")
	command[domain.PurchaseSavingsPlan](a, "Buy a savings plan: a customer's user for itself, an agent on the customer's behalf")
	command[domain.ReportCustomerSavingsPlan](a, "Report which savings plan a customer has bought outside")
	command[domain.ExchangeReservation](a, "Exchange units of a reservation for others")
	command[domain.ReturnReservation](a, "Cancel units of a reservation for a refund")
	command[domain.RenewReservation](a, "Switch automatic renewal, or renew now")
	command[domain.ChangeReservationScope](a, "Change where a reservation's discount applies")
	command[domain.RenameReservation](a, "Give a reservation another name")
	command[domain.SplitReservation](a, "Make two reservations of one")
	command[domain.MergeReservations](a, "Make one reservation of several")
	command[domain.RegisterWebhook](a, "Register a webhook")
	command[domain.RemoveWebhook](a, "Remove the webhook and stop deliveries")
	a.HandleFunc("POST /api/commands/{name}", noCommand)
	query(a, "/api/commands/{id}", "get-command", "Commands", "The recorded answer to a command by its id", a.outcome)

	query(a, "/api/customers", "list-customers", "Partner", "Customers", a.customers)
	query(a, "/api/customers/{customerId}", "get-customer", "Customers", "One customer", a.customer)
	query(a, "/api/customers/{customerId}/permissions", "list-permissions", "Customers", "Its purchase permissions", a.permissions)
	query(a, "/api/customers/{customerId}/permissions/history", "list-permission-changes", "Customers", "When they were turned on and off", a.permissionHistory)
	query(a, "/api/customers/{customerId}/permissions/{product}/check", "check-permission", "Customers", "May this user buy now, and if not which rule says no", a.check, directly(a.check))
	query(a, "/api/customers/{customerId}/subscriptions", "list-subscriptions", "Customers", "Its subscriptions with who holds which role", a.subscriptions)
	query(a, "/api/customers/{customerId}/orders", "list-customer-orders", "Customers", "Its order history", a.customerOrders)
	query(a, "/api/customers/{customerId}/orders/{orderId}", "get-order", "Customers", "One order", a.order)
	query(a, "/api/customers/{customerId}/reservations", "list-customer-reservations", "Customers", "Its reservations", a.customerReservations)
	query(a, "/api/customers/{customerId}/reservations/{reservationId}", "get-reservation", "Customers", "One reservation", a.reservation)
	query(a, "/api/customers/{customerId}/reservations/{reservationId}/coverage", "list-coverage", "Customers", "The subscriptions that its discount reaches", a.coverage)
	query(a, "/api/customers/{customerId}/prices", "list-prices", "Customers", "Its price list", a.prices)
	query(a, "/api/customers/{customerId}/activity", "list-customer-activity", "Customers", "Its activity log, newest first", a.customerActivity)

	query(a, "/api/orders", "list-orders", "Partner", "Order history across customers", a.orders)
	query(a, "/api/reservations", "list-reservations", "Partner", "Reservations across customers", a.reservations)
	query(a, "/api/activity", "list-activity", "Partner", "Activity log across customers, newest first", a.activity)

	query(a, "/api/events", "list-events", "Events", "A piece of the feed, oldest first", a.events)
	a.HandleFunc("GET /api/events/stream", a.stream)
	describeStream(a.huma.OpenAPI())

	operation(a, "/livez", "livez", "Does the process run", a.livez)
	operation(a, "/readyz", "readyz", "Does the ledger serve, and if not why", a.readyz)
	a.HandleFunc("GET /metrics", a.metricsPage())
}

// operation registers a route for operators, for which no token is needed.
func operation[I, O any](a *API, path, id, summary string, answer func(context.Context, *I) (*O, error)) {
	huma.Register(a.huma, huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{"Operation"}, Security: []map[string][]string{{}},
	}, answer)
}
