package domain

// SubscriptionKind is one of the two usage-based kinds that make a customer eligible (S5).
type SubscriptionKind string

// The kinds: Azure plan is product DZH318Z0BPS6, Azure Global the legacy offer MS-AZR-0145P.
const (
	AzurePlan   SubscriptionKind = "AzurePlan"
	AzureGlobal SubscriptionKind = "AzureGlobal"
)

// SubscriptionStatus is the state of a subscription; only an active one can be billed.
type SubscriptionStatus string

// The statuses. Deleted is final.
const (
	Active    SubscriptionStatus = "active"
	Suspended SubscriptionStatus = "suspended"
	Disabled  SubscriptionStatus = "disabled"
	Deleted   SubscriptionStatus = "deleted"
)

// SubscriptionRecorded says that the partner bought a subscription for the customer. It starts active.
type SubscriptionRecorded struct {
	SubscriptionID SubscriptionID   `json:"subscriptionId"`
	Kind           SubscriptionKind `json:"kind"`
	Name           string           `json:"name"`
}

// SubscriptionStatusChanged gives a subscription's new status and the one it had.
type SubscriptionStatusChanged struct {
	SubscriptionID SubscriptionID     `json:"subscriptionId"`
	Status         SubscriptionStatus `json:"status"`
	Before         SubscriptionStatus `json:"before"`
}

// EventType implements Event.
func (SubscriptionRecorded) EventType() string { return "SubscriptionRecorded" }

// EventType implements Event.
func (SubscriptionStatusChanged) EventType() string { return "SubscriptionStatusChanged" }

// RecordSubscription notes a subscription that the partner bought for the customer.
type RecordSubscription struct {
	CustomerID     TenantID         `json:"customerId" format:"uuid"`
	SubscriptionID SubscriptionID   `json:"subscriptionId" format:"uuid"`
	Kind           SubscriptionKind `json:"kind" enum:"AzurePlan,AzureGlobal"`
	Name           string           `json:"name" minLength:"1" maxLength:"256"`
	Note
}

// ChangeSubscriptionStatus notes a subscription's new status.
type ChangeSubscriptionStatus struct {
	CustomerID     TenantID           `json:"customerId" format:"uuid"`
	SubscriptionID SubscriptionID     `json:"subscriptionId" format:"uuid"`
	Status         SubscriptionStatus `json:"status" enum:"active,suspended,disabled,deleted"`
	Note
}

// CommandName implements Command.
func (RecordSubscription) CommandName() string { return "RecordSubscription" }

// CommandName implements Command.
func (ChangeSubscriptionStatus) CommandName() string { return "ChangeSubscriptionStatus" }

func (c RecordSubscription) target() TenantID       { return c.CustomerID }
func (c ChangeSubscriptionStatus) target() TenantID { return c.CustomerID }

func (RecordSubscription) permit() permit       { return permit{roles: AdminAgent | SalesAgent} }
func (ChangeSubscriptionStatus) permit() permit { return permit{roles: AdminAgent | SalesAgent} }

func (c RecordSubscription) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("subscriptionId", c.SubscriptionID)
	oneOf(f, "kind", c.Kind, AzurePlan, AzureGlobal)
	f.name("name", c.Name)
}

func (c ChangeSubscriptionStatus) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.given("subscriptionId", c.SubscriptionID)
	oneOf(f, "status", c.Status, Active, Suspended, Disabled, Deleted)
}

type subscription struct {
	customer TenantID
	kind     SubscriptionKind
	status   SubscriptionStatus
	name     string
}

// countActive keeps the number of active subscriptions on which S5 is judged.
func (t *tables) countActive(id TenantID, change int32) {
	c, _ := t.customers.get(id)
	c.active += change
	t.customers.set(id, c)
}

func (e SubscriptionRecorded) evolve(t *tables, f Fact) {
	t.subscriptions.set(e.SubscriptionID, subscription{customer: f.Customer, kind: e.Kind, status: Active, name: e.Name})
	t.countActive(f.Customer, +1)
}

func (e SubscriptionStatusChanged) evolve(t *tables, f Fact) {
	s, _ := t.subscriptions.get(e.SubscriptionID)
	if s.status == Active {
		t.countActive(f.Customer, -1)
	}
	if e.Status == Active {
		t.countActive(f.Customer, +1)
	}
	s.status = e.Status
	t.subscriptions.set(e.SubscriptionID, s)
}

// subscriptionOf finds a subscription of the command's customer; anybody else's is unknown (L8).
func (d *decision) subscriptionOf(id SubscriptionID) (subscription, error) {
	s, known := d.subscriptions.get(id)
	if !known || s.customer != d.customer {
		return subscription{}, unknown("subscription", id)
	}
	return s, nil
}

func (c RecordSubscription) decide(d *decision) ([]Event, error) {
	s, known := d.subscriptions.get(c.SubscriptionID)
	switch {
	case !known:
		return []Event{SubscriptionRecorded{SubscriptionID: c.SubscriptionID, Kind: c.Kind, Name: c.Name}}, nil
	case s.customer != d.customer:
		return nil, refuse(CodeSubscriptionDiffers, "", "Subscription %s cannot be recorded for this customer.", c.SubscriptionID)
	case s.kind != c.Kind || s.name != c.Name:
		return nil, refuse(CodeSubscriptionDiffers, "", "Subscription %s is recorded already as %s %q.", c.SubscriptionID, s.kind, s.name)
	default:
		return nil, nil
	}
}

func (c ChangeSubscriptionStatus) decide(d *decision) ([]Event, error) {
	s, err := d.subscriptionOf(c.SubscriptionID)
	switch {
	case err != nil:
		return nil, err
	case s.status == c.Status:
		return nil, nil
	case s.status == Deleted:
		return nil, deletedSubscription(c.SubscriptionID)
	default:
		return []Event{SubscriptionStatusChanged{SubscriptionID: c.SubscriptionID, Status: c.Status, Before: s.status}}, nil
	}
}

func deletedSubscription(id SubscriptionID) error {
	return refuse(CodeSubscriptionDeleted, "", "Subscription %s is deleted, which is final. Record another one.", id)
}
