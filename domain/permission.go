package domain

// Product is what a purchase permission is for.
type Product string

// The products: the seed's reservations, and savings plans since 2022.
const (
	AzureReservedInstances Product = "AzureReservedInstances"
	AzureSavingsPlan       Product = "AzureSavingsPlan"
)

const productCount = 2

// Products lists the products a permission can be for.
func Products() []Product { return []Product{AzureReservedInstances, AzureSavingsPlan} }

func (p Product) index() int {
	if p == AzureSavingsPlan {
		return 1
	}
	return 0
}

// PurchasePermissionGranted lets the customer buy a product; the partner pays from now on (S8).
type PurchasePermissionGranted struct {
	Product Product `json:"product"`
}

// PurchasePermissionRevoked stops later purchases only (S16).
type PurchasePermissionRevoked struct {
	Product Product `json:"product"`
}

// EventType implements Event.
func (PurchasePermissionGranted) EventType() string { return "PurchasePermissionGranted" }

// EventType implements Event.
func (PurchasePermissionRevoked) EventType() string { return "PurchasePermissionRevoked" }

// GrantPurchasePermission turns "Allow customer to purchase" on.
type GrantPurchasePermission struct {
	PermissionChange
	Note
}

// RevokePurchasePermission turns it off.
type RevokePurchasePermission struct {
	PermissionChange
	Note
}

// PermissionChange names a customer's permission.
type PermissionChange struct {
	CustomerID TenantID `json:"customerId" format:"uuid"`
	Product    Product  `json:"product" enum:"AzureReservedInstances,AzureSavingsPlan"`
}

// CommandName implements Command.
func (GrantPurchasePermission) CommandName() string { return "GrantPurchasePermission" }

// CommandName implements Command.
func (RevokePurchasePermission) CommandName() string { return "RevokePurchasePermission" }

func (c PermissionChange) target() TenantID { return c.CustomerID }

func (PermissionChange) permit() permit { return permit{roles: AdminAgent, rule: "S2", user: true} }

func (c PermissionChange) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	oneOf(f, "product", c.Product, Products()...)
}

func (t *tables) permit(f Fact, p Product, allowed bool) {
	c, _ := t.customers.get(f.Customer)
	c.permissions[p.index()], c.permitted = allowed, f.Position
	t.customers.set(f.Customer, c)
}

func (e PurchasePermissionGranted) evolve(t *tables, f Fact) { t.permit(f, e.Product, true) }

func (e PurchasePermissionRevoked) evolve(t *tables, f Fact) { t.permit(f, e.Product, false) }

func (c GrantPurchasePermission) decide(d *decision) ([]Event, error) {
	state, _ := d.customers.get(c.CustomerID)
	switch {
	case state.permissions[c.Product.index()]:
		return nil, nil
	case state.active == 0:
		return nil, refuse(CodeNoEligible, "S5", "%s has no active Azure plan or Azure Global subscription. Buy one for the customer and record it (RecordSubscription), then grant again.", state.companyName)
	default:
		return []Event{PurchasePermissionGranted{c.Product}}, nil
	}
}

func (c RevokePurchasePermission) decide(d *decision) ([]Event, error) {
	state, _ := d.customers.get(c.CustomerID)
	if !state.permissions[c.Product.index()] {
		return nil, nil
	}
	return []Event{PurchasePermissionRevoked{c.Product}}, nil
}
