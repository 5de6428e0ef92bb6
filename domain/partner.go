package domain

// PartnerRegistered makes a tenant a partner of this ledger.
type PartnerRegistered struct {
	Name     string   `json:"name"`
	Country  string   `json:"country"`
	Currency Currency `json:"currency"`
}

// EventType implements Event.
func (PartnerRegistered) EventType() string { return "PartnerRegistered" }

// RegisterPartner makes the caller's own tenant a partner of this ledger.
type RegisterPartner struct {
	Name     string   `json:"name" doc:"Company name" minLength:"1" maxLength:"256"`
	Country  string   `json:"country" doc:"ISO 3166-1 alpha-2 code in capitals" pattern:"^[A-Z]{2}$"`
	Currency Currency `json:"currency" doc:"ISO 4217 code in which the partner is billed" pattern:"^[A-Z]{3}$"`
	Note
}

// CommandName implements Command.
func (RegisterPartner) CommandName() string { return "RegisterPartner" }

func (RegisterPartner) target() TenantID { return TenantID{} }

func (RegisterPartner) permit() permit { return permit{roles: AdminAgent, newcomer: true} }

func (c RegisterPartner) validate(f *faults) {
	f.name("name", c.Name)
	if len(c.Country) != 2 || c.Country[0] < 'A' || c.Country[0] > 'Z' || c.Country[1] < 'A' || c.Country[1] > 'Z' {
		f.note("country", "is %q; use an ISO 3166-1 code of two capitals, such as TW", clip(c.Country))
	}
	if _, err := ParseCurrency(string(c.Currency)); err != nil {
		f.note("currency", "%v", err)
	}
}

type partner struct {
	name     string
	country  string
	currency Currency
}

func (e PartnerRegistered) evolve(t *tables, f Fact) {
	t.partners.set(f.Partner, partner{name: e.Name, country: e.Country, currency: e.Currency})
}

func (c RegisterPartner) decide(d *decision) ([]Event, error) {
	if _, isCustomer := d.customers.get(d.partner); isCustomer {
		return nil, refuse(CodePartnerDiffers, "", "This tenant is known as a customer and cannot become a partner.")
	}
	registered, known := d.partners.get(d.partner)
	if !known {
		return []Event{PartnerRegistered{Name: c.Name, Country: c.Country, Currency: c.Currency}}, nil
	}
	if registered != (partner{name: c.Name, country: c.Country, currency: c.Currency}) {
		return nil, refuse(CodePartnerDiffers, "", "This tenant is registered already as %q, %s, %s.", registered.name, registered.country, registered.currency)
	}
	return nil, nil
}
