package domain

// SubscriptionRole is an RBAC role on a subscription. Only Owner lets a customer's user buy (S6).
type SubscriptionRole string

// The roles the ledger keeps.
const (
	Owner                SubscriptionRole = "Owner"
	Contributor          SubscriptionRole = "Contributor"
	Reader               SubscriptionRole = "Reader"
	ReservationPurchaser SubscriptionRole = "ReservationPurchaser"
)

// RoleSet is the roles one user holds on one subscription.
type RoleSet uint8

func (r SubscriptionRole) bit() RoleSet {
	switch r {
	case Owner:
		return 1
	case Contributor:
		return 2
	case Reader:
		return 4
	case ReservationPurchaser:
		return 8
	default:
		return 0
	}
}

// SubscriptionRoleAssigned gives a user a role on a subscription.
type SubscriptionRoleAssigned struct {
	SubscriptionID    SubscriptionID   `json:"subscriptionId"`
	UserID            UserID           `json:"userId"`
	UserPrincipalName string           `json:"userPrincipalName"`
	Role              SubscriptionRole `json:"role"`
}

// SubscriptionRoleRemoved takes it away.
type SubscriptionRoleRemoved struct {
	SubscriptionID    SubscriptionID   `json:"subscriptionId"`
	UserID            UserID           `json:"userId"`
	UserPrincipalName string           `json:"userPrincipalName"`
	Role              SubscriptionRole `json:"role"`
}

// EventType implements Event.
func (SubscriptionRoleAssigned) EventType() string { return "SubscriptionRoleAssigned" }

// EventType implements Event.
func (SubscriptionRoleRemoved) EventType() string { return "SubscriptionRoleRemoved" }

// AssignSubscriptionRole gives a user of the customer an RBAC role.
type AssignSubscriptionRole struct {
	RoleAssignment
	Note
}

// RemoveSubscriptionRole takes the role away.
type RemoveSubscriptionRole struct {
	RoleAssignment
	Note
}

// RoleAssignment is one user's role on one subscription.
type RoleAssignment struct {
	CustomerID        TenantID         `json:"customerId" format:"uuid"`
	SubscriptionID    SubscriptionID   `json:"subscriptionId" format:"uuid"`
	UserID            UserID           `json:"userId" format:"uuid" doc:"Object id of the user"`
	UserPrincipalName string           `json:"userPrincipalName" minLength:"1" maxLength:"256"`
	Role              SubscriptionRole `json:"role" enum:"Owner,Contributor,Reader,ReservationPurchaser"`
}

// CommandName implements Command.
func (AssignSubscriptionRole) CommandName() string { return "AssignSubscriptionRole" }

// CommandName implements Command.
func (RemoveSubscriptionRole) CommandName() string { return "RemoveSubscriptionRole" }

func (a RoleAssignment) target() TenantID { return a.CustomerID }

func (RoleAssignment) permit() permit { return permit{roles: AdminAgent} }

func (a RoleAssignment) validate(f *faults) {
	f.given("customerId", a.CustomerID)
	f.given("subscriptionId", a.SubscriptionID)
	f.given("userId", a.UserID)
	f.name("userPrincipalName", a.UserPrincipalName)
	oneOf(f, "role", a.Role, Owner, Contributor, Reader, ReservationPurchaser)
}

type roleKey struct {
	subscription SubscriptionID
	user         UserID
}

// ownerKey counts the subscriptions of a customer on which a user is Owner.
type ownerKey struct {
	customer TenantID
	user     UserID
}

func (e SubscriptionRoleAssigned) evolve(t *tables, f Fact) {
	key := roleKey{e.SubscriptionID, e.UserID}
	held, _ := t.roles.get(key)
	t.roles.set(key, held|e.Role.bit())
	if e.Role == Owner && held&Owner.bit() == 0 {
		t.countOwner(ownerKey{f.Customer, e.UserID}, +1)
	}
}

func (e SubscriptionRoleRemoved) evolve(t *tables, f Fact) {
	key := roleKey{e.SubscriptionID, e.UserID}
	held, _ := t.roles.get(key)
	t.roles.set(key, held&^e.Role.bit())
	if e.Role == Owner && held&Owner.bit() != 0 {
		t.countOwner(ownerKey{f.Customer, e.UserID}, -1)
	}
}

func (t *tables) countOwner(key ownerKey, change int32) {
	n, _ := t.owners.get(key)
	if n += change; n == 0 {
		t.owners.remove(key)
		return
	}
	t.owners.set(key, n)
}

func (t *tables) isOwner(id SubscriptionID, user UserID) bool {
	held, _ := t.roles.get(roleKey{id, user})
	return held&Owner.bit() != 0
}

// holds reports whether the assignment is in force, and refuses a subscription that cannot have one.
func (a RoleAssignment) holds(d *decision) (bool, error) {
	s, err := d.subscriptionOf(a.SubscriptionID)
	if err != nil {
		return false, err
	}
	if s.status == Deleted {
		return false, deletedSubscription(a.SubscriptionID)
	}
	held, _ := d.roles.get(roleKey{a.SubscriptionID, a.UserID})
	return held&a.Role.bit() != 0, nil
}

func (c AssignSubscriptionRole) decide(d *decision) ([]Event, error) {
	held, err := c.holds(d)
	if err != nil || held {
		return nil, err
	}
	return []Event{SubscriptionRoleAssigned{c.SubscriptionID, c.UserID, c.UserPrincipalName, c.Role}}, nil
}

func (c RemoveSubscriptionRole) decide(d *decision) ([]Event, error) {
	held, err := c.holds(d)
	if err != nil || !held {
		return nil, err
	}
	return []Event{SubscriptionRoleRemoved{c.SubscriptionID, c.UserID, c.UserPrincipalName, c.Role}}, nil
}
