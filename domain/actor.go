package domain

import (
	"fmt"
	"strings"
)

// Roles is the set of roles an actor holds.
type Roles uint8

// The roles of the ledger. The three agents are a partner's employees; an Auditor reads one partner's
// book; a CustomerUser is a person in a customer's tenant.
const (
	AdminAgent Roles = 1 << iota
	SalesAgent
	HelpdeskAgent
	Auditor
	CustomerUser
)

const (
	anyAgent    = AdminAgent | SalesAgent | HelpdeskAgent
	partnerSide = anyAgent | Auditor
)

var roleNames = []struct {
	role Roles
	name string
}{
	{AdminAgent, "AdminAgent"},
	{SalesAgent, "SalesAgent"},
	{HelpdeskAgent, "HelpdeskAgent"},
	{Auditor, "Auditor"},
	{CustomerUser, "CustomerUser"},
}

// ParseRole reads one role by its exact name.
func ParseRole(s string) (Roles, error) {
	for _, r := range roleNames {
		if r.name == s {
			return r.role, nil
		}
	}
	return 0, fmt.Errorf("%q is not a role: use AdminAgent, SalesAgent, HelpdeskAgent, Auditor or CustomerUser", clip(s))
}

// Has reports whether any of the wanted roles is held.
func (r Roles) Has(wanted Roles) bool { return r&wanted != 0 }

// Names lists the roles held, most powerful first.
func (r Roles) Names() []string {
	var names []string
	for _, n := range roleNames {
		if r.Has(n.role) {
			names = append(names, n.name)
		}
	}
	return names
}

// String lists the roles for people: "AdminAgent or SalesAgent".
func (r Roles) String() string { return strings.Join(r.Names(), " or ") }

// Actor is who sends a command: the subject is tenant and object id, never the mail address.
type Actor struct {
	Tenant TenantID
	User   UserID // zero for an application acting without a signed-in user
	UPN    string // user principal name, for people to read
	Roles  Roles
	App    string // client application id
}

// OnPartnerSide reports whether the actor acts for a partner rather than as a customer's user.
func (a Actor) OnPartnerSide() bool { return a.Roles.Has(partnerSide) }

// Name is how the actor is shown to people: user principal name, else object id, else application.
func (a Actor) Name() string {
	switch {
	case a.UPN != "":
		return a.UPN
	case !a.User.IsZero():
		return a.User.String()
	default:
		return a.App
	}
}
