package partnercenter

import (
	"permledger/domain"
	"permledger/handlers/gate"
)

// access says who may use a route.
type access struct {
	gate.Access
	signedIn bool // an application without a signed-in user may not
}

// accessTable says for every route who may use it. A route that is not in it cannot be registered. The door
// is for a partner's people: a customer's users read nothing here.
var accessTable = map[string]access{
	"GET /v1/SelfServePolicy":         {Access: agents, signedIn: true},
	"GET /v1/SelfServePolicy/{id}":    {Access: agents, signedIn: true},
	"POST /v1/SelfServePolicy":        {Access: command, signedIn: true},
	"PUT /v1/SelfServePolicy":         {Access: command, signedIn: true},
	"PUT /v1/SelfServePolicy/{id}":    {Access: command, signedIn: true},
	"DELETE /v1/SelfServePolicy/{id}": {Access: command, signedIn: true},

	"GET /v1/auditrecords":                    {Access: agents},
	"GET /v1/auditrecords/{id}":               {Access: agents},
	"GET /auditactivity/v1/auditrecords":      {Access: agents},
	"GET /auditactivity/v1/auditrecords/{id}": {Access: agents},

	"GET /v1/customers":                                             {Access: agents},
	"POST /v1/customers":                                            {Access: command},
	"GET /v1/customers/{customerId}":                                {Access: agents},
	"GET /v1/customers/{customerId}/subscriptions":                  {Access: agents},
	"GET /v1/customers/{customerId}/subscriptions/{subscriptionId}": {Access: agents},
	"GET /v1/customers/{customerId}/subscriptions/{subscriptionId}/azureEntitlements": {Access: agents},
	"GET /v1/customers/{customerId}/orders":                                           {Access: agents},
	"GET /v1/customers/{customerId}/orders/{orderId}":                                 {Access: agents},
	"GET /v1/customers/{customerId}/entitlements":                                     {Access: agents},
	"GET /v1/customers/{customerId}/artifacts/reservedinstances/{artifactId}":         {Access: agents},

	"GET /webhooks/v1/registration":                       {Access: senders},
	"POST /webhooks/v1/registration":                      {Access: command},
	"PUT /webhooks/v1/registration":                       {Access: command},
	"DELETE /webhooks/v1/registration":                    {Access: command},
	"GET /webhooks/v1/registration/events":                {Access: agents},
	"POST /webhooks/v1/registration/validationEvents":     {Access: gate.Access{Agents: domain.AdminAgent}},
	"GET /webhooks/v1/registration/validationEvents/{id}": {Access: senders},
	"GET /webhooks/v1/certificate.cer":                    {Access: open},

	"/v1":             {Access: open}, // says that there is nothing, as do the others
	"/v1/":            {Access: open},
	"/auditactivity":  {Access: open},
	"/auditactivity/": {Access: open},
	"/webhooks":       {Access: open},
	"/webhooks/":      {Access: open},
}

var (
	open    = gate.Access{Open: true}
	agents  = gate.Access{Agents: gate.AnyAgent}
	senders = gate.Access{Agents: domain.AdminAgent | domain.SalesAgent | domain.Auditor} // the address may hold secrets
	command = gate.Access{Command: true}                                                  // the domain judges who may send it
)
