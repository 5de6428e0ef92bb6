package azure

import "permledger/handlers/gate"

// route is who may use an address, and what answers there.
type route struct {
	access gate.Access
	serve  func(*Door, *request) (any, error)
}

// anybody may read what is their own: an agent that of all customers of the partner, a customer's user that of its
// tenant. A route that sends a command is for anybody too, since the domain judges who may send it.
var anybody = gate.Access{Agents: gate.AnyAgent, Customer: gate.Everyone}

// routes is the door's table, by method and what follows the provider's name. Parts that vary are in small letters.
var routes = map[string]route{
	"GET /operations": {anybody, (*Door).operations},

	"POST /calculatePrice":           {gate.Access{Agents: gate.AnyAgent, Customer: gate.Owners}, (*Door).calculatePrice},
	"PUT /reservationOrders/{order}": {anybody, (*Door).purchase},
	"GET /reservationOrders":         {anybody, (*Door).orders},
	"GET /reservationOrders/{order}": {anybody, (*Door).order},
	"GET /reservations":              {anybody, (*Door).reservations},

	"GET /reservationOrders/{order}/reservations":                                {anybody, (*Door).orderedReservations},
	"GET /reservationOrders/{order}/reservations/{reservation}":                  {anybody, (*Door).reservation},
	"PATCH /reservationOrders/{order}/reservations/{reservation}":                {anybody, (*Door).update},
	"POST /reservationOrders/{order}/reservations/{reservation}/availableScopes": {anybody, (*Door).availableScopes},

	"POST /reservationOrders/{order}/split":           {anybody, (*Door).split},
	"POST /reservationOrders/{order}/merge":           {anybody, (*Door).merge},
	"POST /reservationOrders/{order}/calculateRefund": {anybody, (*Door).calculateRefund},
	"POST /reservationOrders/{order}/return":          {anybody, (*Door).giveBack},
	"POST /calculateExchange":                         {anybody, (*Door).calculateExchange},
	"POST /exchange":                                  {anybody, (*Door).exchange},
}
