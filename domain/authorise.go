package domain

// identify finds the partner in whose book the actor acts: an agent's own tenant, or the partner of the
// customer whose user it is.
func (d *decision) identify(p permit) error {
	if d.actor.OnPartnerSide() {
		d.partner = d.actor.Tenant
		if _, known := d.partners.get(d.partner); !known && !(p.newcomer && d.customer.IsZero()) {
			return refuse(CodeTenantNotRegistered, "L8", "Tenant %s is no partner of this ledger. Send RegisterPartner first.", d.partner)
		}
		return nil
	}
	c, known := d.customers.get(d.actor.Tenant)
	if !known {
		return refuse(CodeTenantNotRegistered, "L8", "Tenant %s is not known to this ledger. Ask your partner to register it.", d.actor.Tenant)
	}
	d.partner, d.byCustomer = c.partner, true
	return nil
}

// authorise refuses whoever the permit does not name: a customer is told to ask the partner (S9), an
// agent which role is needed.
func (d *decision) authorise(p permit) error {
	switch {
	case !d.actor.Roles.Has(p.roles) && d.byCustomer && p.rule == "S9":
		return refuse(CodePartnerOnly, "S9", "Only your partner can do this. Ask %s.", d.partnerName())
	case !d.actor.Roles.Has(p.roles):
		return refuse(CodeRoleNotAllowed, p.rule, "This needs the role %s.", p.roles)
	case p.user && d.actor.User.IsZero():
		return refuse(CodeUserRequired, p.rule, "An application alone may not do this. Use the token of a signed-in user.")
	default:
		return nil
	}
}

func (d *decision) partnerName() string {
	p, _ := d.partners.get(d.partner)
	return p.name
}
