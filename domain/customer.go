package domain

// CustomerRegistered makes a tenant a customer of a partner. Every purchase permission is off (S1).
type CustomerRegistered struct {
	CompanyName string `json:"companyName"`
	Domain      string `json:"domain"`
}

// EventType implements Event.
func (CustomerRegistered) EventType() string { return "CustomerRegistered" }

// RegisterCustomer takes on a customer. A customer belongs to exactly one partner of a ledger.
type RegisterCustomer struct {
	CustomerID  TenantID `json:"customerId" format:"uuid" doc:"The customer's tenant"`
	CompanyName string   `json:"companyName" minLength:"1" maxLength:"256"`
	Domain      string   `json:"domain" minLength:"1" maxLength:"256" doc:"The tenant's domain, such as contoso.onmicrosoft.com"`
	Note
}

// CommandName implements Command.
func (RegisterCustomer) CommandName() string { return "RegisterCustomer" }

func (c RegisterCustomer) target() TenantID { return c.CustomerID }

func (RegisterCustomer) permit() permit {
	return permit{roles: AdminAgent | SalesAgent, newcomer: true}
}

func (c RegisterCustomer) validate(f *faults) {
	f.given("customerId", c.CustomerID)
	f.name("companyName", c.CompanyName)
	f.name("domain", c.Domain)
}

type customer struct {
	partner     TenantID
	companyName string
	domain      string
	permissions [productCount]bool
	permitted   uint64   // position of the newest change of a permission
	active      int32    // subscriptions that are active
	currency    Currency // of the price list; empty until the first price
	changed     uint64   // position of the newest event about the customer
}

func (e CustomerRegistered) evolve(t *tables, f Fact) {
	t.customers.set(f.Customer, customer{partner: f.Partner, companyName: e.CompanyName, domain: e.Domain})
}

func (c RegisterCustomer) decide(d *decision) ([]Event, error) {
	_, isPartner := d.partners.get(c.CustomerID)
	registered, known := d.customers.get(c.CustomerID)
	switch {
	case isPartner, known && registered.partner != d.partner:
		return nil, refuse(CodeCustomerDiffers, "", "Tenant %s cannot be registered as your customer.", c.CustomerID)
	case !known:
		return []Event{CustomerRegistered{CompanyName: c.CompanyName, Domain: c.Domain}}, nil
	case registered.companyName != c.CompanyName || registered.domain != c.Domain:
		return nil, refuse(CodeCustomerDiffers, "", "Customer %s is registered already as %q (%s).", c.CustomerID, registered.companyName, registered.domain)
	default:
		return nil, nil
	}
}
