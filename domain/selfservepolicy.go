package domain

import (
	"encoding/binary"
	"slices"

	"github.com/google/uuid"
)

// SelfServePolicy is a customer's purchase permissions seen together, as Partner Center shows them: there
// is one while at least one of them is on.
type SelfServePolicy struct {
	Products []Product // those that are on, in the order of Products; none when there is no policy
	ETag     uuid.UUID // a new one whenever a permission is turned on or off; zero when there is no policy
	Position uint64    // the answer holds as of this position
}

// Expectation is what a SetPurchasePermissions takes for granted.
type Expectation string

// ExpectNone wants every permission to be off before, ExpectSome at least one to be on.
const (
	ExpectNone Expectation = "None"
	ExpectSome Expectation = "Some"
)

// SetPurchasePermissions makes the listed permissions the customer's only ones: what is on and not listed is
// turned off, all of it or nothing.
type SetPurchasePermissions struct {
	CustomerID TenantID    `json:"customerId" format:"uuid"`
	Products   []Product   `json:"products" maxItems:"2" enum:"AzureReservedInstances,AzureSavingsPlan" doc:"Those that are on afterwards; none turns all off"`
	Expect     Expectation `json:"expect,omitempty" enum:"None,Some" doc:"Refuse unless every permission is off (None) or at least one is on (Some)"`
	ETag       uuid.UUID   `json:"etag,omitzero" format:"uuid" doc:"Refuse unless this is the customer's policy's newest entity tag"`
	Note
}

// CommandName implements Command.
func (SetPurchasePermissions) CommandName() string { return "SetPurchasePermissions" }

func (c SetPurchasePermissions) target() TenantID { return c.CustomerID }

func (SetPurchasePermissions) permit() permit { return PermissionChange{}.permit() }

func (c SetPurchasePermissions) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	for i, p := range c.Products {
		oneOf(f, field("products", i), p, Products()...)
		if slices.Contains(c.Products[:i], p) {
			f.note(field("products", i), "is listed before; name each product once")
		}
	}
	if c.Expect != "" {
		oneOf(f, "expect", c.Expect, ExpectNone, ExpectSome)
	}
}

func (c SetPurchasePermissions) decide(d *decision) ([]Event, error) {
	state, _ := d.customers.get(c.CustomerID)
	current := state.policy(c.CustomerID)
	switch {
	case c.Expect == ExpectNone && len(current.Products) > 0:
		return nil, refuse(CodePolicyExists, "", "%s has purchase permissions already. Change them instead.", state.companyName)
	case c.Expect == ExpectSome && len(current.Products) == 0:
		return nil, refuse(CodePolicyMissing, "", "%s has no purchase permission. Grant one first.", state.companyName)
	case c.ETag != uuid.Nil && c.ETag != current.ETag:
		return nil, refuse(CodePolicyChanged, "", "The purchase permissions of %s were changed meanwhile. Read them again, then decide.", state.companyName)
	}
	var events []Event
	for _, p := range Products() {
		change := PermissionChange{CustomerID: c.CustomerID, Product: p}
		var turned []Event
		var err error
		if slices.Contains(c.Products, p) {
			turned, err = GrantPurchasePermission{PermissionChange: change}.decide(d)
		} else {
			turned, err = RevokePurchasePermission{PermissionChange: change}.decide(d)
		}
		if err != nil {
			return nil, err
		}
		events = append(events, turned...)
	}
	return events, nil
}

// policy sees a customer's permissions together.
func (c customer) policy(id TenantID) (p SelfServePolicy) {
	for _, product := range Products() {
		if c.permissions[product.index()] {
			p.Products = append(p.Products, product)
		}
	}
	if len(p.Products) > 0 {
		p.ETag = PolicyETag(id, c.permitted)
	}
	return p
}

// PolicyETag is the entity tag of a customer's policy whose newest change stands at a position.
func PolicyETag(customer TenantID, position uint64) uuid.UUID {
	return derived(customer.UUID, binary.BigEndian.AppendUint64([]byte("self-serve-policy"), position))
}

// SelfServePolicy gives the policy of a partner's customer as of the newest recorded event. A customer that
// is unknown, or another partner's, is CodeNotFound (L8).
func (b *Book) SelfServePolicy(owner, customer TenantID) (SelfServePolicy, error) {
	var p SelfServePolicy
	var known bool
	position := b.read(func(t *tables) {
		c, found := t.customers.get(customer)
		if known = found && c.partner == owner; known {
			p = c.policy(customer)
		}
	})
	if !known {
		return SelfServePolicy{}, unknown("customer", customer)
	}
	p.Position = position
	return p, nil
}
