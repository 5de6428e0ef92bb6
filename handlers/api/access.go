package api

import (
	"permledger/domain"
	"permledger/handlers/gate"
)

// accessTable says for every route who may use it. A route that is not in it cannot be registered.
var accessTable = withCommands(map[string]gate.Access{
	"GET /livez":        {Open: true},
	"GET /readyz":       {Open: true},
	"GET /metrics":      {Open: true},
	"GET /openapi.json": {Open: true},
	"GET /docs":         {Open: true},
	"GET /docs.css":     {Open: true},

	"GET /api/commands/{id}":    {Command: true},
	"POST /api/commands/{name}": {Command: true},

	"GET /api/customers":                                                    {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}":                                       {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/permissions":                           {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/permissions/history":                   {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/permissions/{product}/check":           {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/subscriptions":                         {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/orders":                                {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/orders/{orderId}":                      {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/reservations":                          {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/reservations/{reservationId}":          {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/reservations/{reservationId}/coverage": {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/customers/{customerId}/prices":                                {Agents: gate.AnyAgent, Customer: gate.Owners},
	"GET /api/customers/{customerId}/activity":                              {Agents: gate.AnyAgent, Customer: gate.Owners},

	"GET /api/orders":       {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/reservations": {Agents: gate.AnyAgent, Customer: gate.Everyone},
	"GET /api/activity":     {Agents: gate.AnyAgent, Customer: gate.Owners},

	"GET /api/events":        {Agents: domain.AdminAgent | domain.SalesAgent | domain.Auditor},
	"GET /api/events/stream": {Agents: domain.AdminAgent | domain.SalesAgent | domain.Auditor},
})

// withCommands adds the commands, one route each.
func withCommands(table map[string]gate.Access) map[string]gate.Access {
	for _, c := range domain.Commands() {
		table["POST "+commandPath(c)] = gate.Access{Command: true}
	}
	return table
}
