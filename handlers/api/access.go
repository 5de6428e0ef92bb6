package api

import (
	"fmt"

	"permledger/domain"
	"permledger/handlers/auth"
	"permledger/handlers/problem"
	"permledger/projections"
)

// access says who may use a route. The zero access lets nobody in.
type access struct {
	open     bool         // no token is asked for
	command  bool         // any token: the domain judges who may send the command
	agents   domain.Roles // roles on the partner's side that may read
	customer byCustomer   // what a customer's own users may read
}

// byCustomer is what a customer's users may read of their own tenant.
type byCustomer int

const (
	never    byCustomer = iota
	owners              // only those who hold Owner on one of its subscriptions
	everyone            // everyone; prices are shown to owners only
)

const anyAgent = domain.AdminAgent | domain.SalesAgent | domain.HelpdeskAgent | domain.Auditor

// accessTable says for every route who may use it. A route that is not in it cannot be registered.
var accessTable = withCommands(map[string]access{
	"GET /livez":        {open: true},
	"GET /readyz":       {open: true},
	"GET /metrics":      {open: true},
	"GET /openapi.json": {open: true},
	"GET /docs":         {open: true},
	"GET /docs.css":     {open: true},

	"GET /api/commands/{id}":    {command: true},
	"POST /api/commands/{name}": {command: true},

	"GET /api/customers":                                                    {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}":                                       {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/permissions":                           {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/permissions/history":                   {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/permissions/{product}/check":           {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/subscriptions":                         {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/orders":                                {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/orders/{orderId}":                      {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/reservations":                          {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/reservations/{reservationId}":          {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/reservations/{reservationId}/coverage": {agents: anyAgent, customer: everyone},
	"GET /api/customers/{customerId}/prices":                                {agents: anyAgent, customer: owners},
	"GET /api/customers/{customerId}/activity":                              {agents: anyAgent, customer: owners},

	"GET /api/orders":       {agents: anyAgent, customer: everyone},
	"GET /api/reservations": {agents: anyAgent, customer: everyone},
	"GET /api/activity":     {agents: anyAgent, customer: owners},

	"GET /api/events":        {agents: domain.AdminAgent | domain.SalesAgent | domain.Auditor},
	"GET /api/events/stream": {agents: domain.AdminAgent | domain.SalesAgent | domain.Auditor},
})

// withCommands adds the commands, one route each.
func withCommands(table map[string]access) map[string]access {
	for _, c := range domain.Commands() {
		table["POST "+commandPath(c)] = access{command: true}
	}
	return table
}

// view is what a principal may read: whose rows, and whether with prices.
type view struct {
	auth.Principal
	scope  projections.Scope
	prices bool
}

// authorise finds what a principal may read on a route, about one customer or with the zero customer
// about all. Another partner's customer is answered like one that does not exist (L8).
func (a *API) authorise(p auth.Principal, rule access, customer domain.TenantID) (view, error) {
	switch {
	case rule.command:
		return view{Principal: p}, nil
	case p.Actor.OnPartnerSide():
		return a.agentsView(p, rule, customer)
	case p.Actor.Roles.Has(domain.CustomerUser):
		return a.customersView(p, rule, customer)
	default:
		return view{}, problem.Refuse(domain.CodeRoleNotAllowed, "The token carries none of the ledger's roles.")
	}
}

func (a *API) agentsView(p auth.Principal, rule access, customer domain.TenantID) (view, error) {
	partner := p.Actor.Tenant
	switch {
	case !a.ledger.Book().IsPartner(partner):
		return view{}, problem.Refuse(domain.CodeTenantNotRegistered, "Your tenant is no partner of this ledger. Send RegisterPartner first.")
	case !p.Actor.Roles.Has(rule.agents):
		return view{}, roleNotAllowed(rule.agents)
	case customer.IsZero():
		return view{Principal: p, scope: projections.OfPartner(partner), prices: true}, nil
	}
	if owner, known := a.ledger.Book().PartnerOf(customer); !known || owner != partner {
		return view{}, noCustomer(customer)
	}
	return view{Principal: p, scope: projections.OfCustomer(partner, customer), prices: true}, nil
}

func (a *API) customersView(p auth.Principal, rule access, customer domain.TenantID) (view, error) {
	own := p.Actor.Tenant
	partner, known := a.ledger.Book().PartnerOf(own)
	switch {
	case !known:
		return view{}, problem.Refuse(domain.CodeTenantNotRegistered, "Your tenant is not known to this ledger. Ask your partner to register it.")
	case rule.customer == never:
		return view{}, roleNotAllowed(rule.agents)
	case !customer.IsZero() && customer != own:
		return view{}, noCustomer(customer)
	}
	scope := projections.OfCustomer(partner, own)
	owner := a.ledger.Book().IsOwner(own, p.Actor.User)
	switch {
	case rule.customer == owners && !owner:
		return view{}, problem.Refuse(domain.CodeOwnerMissing, "Only a user who holds Owner on one of your subscriptions may read this. Ask your partner to assign it.")
	default:
		return view{Principal: p, scope: scope, prices: owner}, nil
	}
}

func roleNotAllowed(roles domain.Roles) error {
	return problem.Refuse(domain.CodeRoleNotAllowed, fmt.Sprintf("This needs the role %s.", roles))
}

// noCustomer is the one answer for a customer that does not exist and for another partner's.
func noCustomer(id domain.TenantID) error {
	return &problem.Error{Code: domain.CodeNotFound, Rule: "L8", Detail: fmt.Sprintf("No customer %s is known here. Check the id, or register it first.", id)}
}
