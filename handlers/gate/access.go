package gate

import (
	"fmt"

	"permledger/domain"
	"permledger/handlers/auth"
	"permledger/handlers/problem"
	"permledger/projections"
)

// Access says who may use a route. The zero Access lets nobody in.
type Access struct {
	Open     bool         // no token is asked for
	Command  bool         // any token: the domain judges who may send the command
	Agents   domain.Roles // roles on the partner's side that may read
	Customer ByCustomer   // what a customer's own users may read
}

// ByCustomer is what a customer's users may read of their own tenant.
type ByCustomer int

// The readers among a customer's users.
const (
	Never    ByCustomer = iota
	Owners              // only those who hold Owner on one of its subscriptions
	Everyone            // everyone; prices are shown to owners only
)

// AnyAgent are the roles on the partner's side that may read most things.
const AnyAgent = domain.AdminAgent | domain.SalesAgent | domain.HelpdeskAgent | domain.Auditor

// View is what a principal may read: whose rows, and whether with prices.
type View struct {
	auth.Principal
	Scope  projections.Scope
	Prices bool
}

// View finds what a principal may read on a route, about one customer or with the zero customer
// about all. Another partner's customer is answered like one that does not exist (L8).
func (g *Gate) View(p auth.Principal, rule Access, customer domain.TenantID) (View, error) {
	switch {
	case rule.Command:
		return View{Principal: p}, nil
	case p.Actor.OnPartnerSide():
		return g.agentsView(p, rule, customer)
	case p.Actor.Roles.Has(domain.CustomerUser):
		return g.customersView(p, rule, customer)
	default:
		return View{}, problem.Refuse(domain.CodeRoleNotAllowed, "The token carries none of the ledger's roles.")
	}
}

func (g *Gate) agentsView(p auth.Principal, rule Access, customer domain.TenantID) (View, error) {
	partner := p.Actor.Tenant
	switch {
	case !g.ledger.Book().IsPartner(partner):
		return View{}, problem.Refuse(domain.CodeTenantNotRegistered, "Your tenant is no partner of this ledger. Send RegisterPartner first.")
	case !p.Actor.Roles.Has(rule.Agents):
		return View{}, roleNotAllowed(rule.Agents)
	case customer.IsZero():
		return View{Principal: p, Scope: projections.OfPartner(partner), Prices: true}, nil
	}
	if owner, known := g.ledger.Book().PartnerOf(customer); !known || owner != partner {
		return View{}, noCustomer(customer)
	}
	return View{Principal: p, Scope: projections.OfCustomer(partner, customer), Prices: true}, nil
}

func (g *Gate) customersView(p auth.Principal, rule Access, customer domain.TenantID) (View, error) {
	own := p.Actor.Tenant
	partner, known := g.ledger.Book().PartnerOf(own)
	switch {
	case !known:
		return View{}, problem.Refuse(domain.CodeTenantNotRegistered, "Your tenant is not known to this ledger. Ask your partner to register it.")
	case rule.Customer == Never:
		return View{}, roleNotAllowed(rule.Agents)
	case !customer.IsZero() && customer != own:
		return View{}, noCustomer(customer)
	}
	scope := projections.OfCustomer(partner, own)
	owner := g.ledger.Book().IsOwner(own, p.Actor.User)
	switch {
	case rule.Customer == Owners && !owner:
		return View{}, problem.Refuse(domain.CodeOwnerMissing, "Only a user who holds Owner on one of your subscriptions may read this. Ask your partner to assign it.")
	default:
		return View{Principal: p, Scope: scope, Prices: owner}, nil
	}
}

func roleNotAllowed(roles domain.Roles) error {
	return problem.Refuse(domain.CodeRoleNotAllowed, fmt.Sprintf("This needs the role %s.", roles))
}

// noCustomer is the one answer for a customer that does not exist and for another partner's.
func noCustomer(id domain.TenantID) error {
	return &problem.Error{Code: domain.CodeNotFound, Rule: "L8", Detail: fmt.Sprintf("No customer %s is known here. Check the id, or register it first.", id)}
}
