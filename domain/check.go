package domain

// againstPurchase lists every rule that forbids a customer's user to buy a product billed to a
// subscription; none means it is allowed (S7). All are judged on the same state.
func (t *tables) againstPurchase(p Product, id TenantID, billing SubscriptionID, user UserID) []Reason {
	var reasons []Reason
	c, _ := t.customers.get(id)
	owner, _ := t.partners.get(c.partner)
	no := func(rule string, code Code, detail string) {
		reasons = append(reasons, Reason{Rule: rule, Code: code, Detail: detail})
	}
	if !c.permissions[p.index()] {
		no("S7", CodePermissionOff, c.companyName+" may not buy "+string(p)+" itself. Ask "+owner.name+" to grant the purchase permission.")
	}
	s, known := t.subscriptions.get(billing)
	switch {
	case !known || s.customer != id:
		no("S7", CodeBillingInactive, "Subscription "+billing.String()+" was not bought for "+c.companyName+" by "+owner.name+". Bill the purchase to one that was.")
		return reasons
	case s.status != Active:
		no("S7", CodeBillingInactive, "Subscription "+s.name+" is "+string(s.status)+". Bill the purchase to an active one.")
	}
	if !t.isOwner(billing, user) {
		no("S6", CodeOwnerMissing, "The buying user does not hold the role Owner on subscription "+s.name+". Ask "+owner.name+" to assign it (AssignSubscriptionRole, role Owner), then buy again.")
	}
	return reasons
}

// refusalFor is the refusal that a list of reasons amounts to.
func refusalFor(reasons []Reason) *Error {
	refusal := &Error{Code: reasons[0].Code, Rule: reasons[0].Rule, Detail: reasons[0].Detail}
	if len(reasons) > 1 {
		refusal.Also = reasons[1:]
	}
	return refusal
}

// Verdict answers "may this customer's user buy now?".
type Verdict struct {
	Allowed  bool
	Reasons  []Reason // every rule that says no
	Position uint64   // the answer holds as of this position
}

// Check judges S7 for a customer of a partner as of the newest recorded event. A customer that is
// unknown, or another partner's, is CodeNotFound (L8).
func (b *Book) Check(owner, customer TenantID, p Product, billing SubscriptionID, user UserID) (Verdict, error) {
	var reasons []Reason
	var known bool
	position := b.read(func(t *tables) {
		c, found := t.customers.get(customer)
		if known = found && c.partner == owner; known {
			reasons = t.againstPurchase(p, customer, billing, user)
		}
	})
	if !known {
		return Verdict{}, unknown("customer", customer)
	}
	return Verdict{Allowed: len(reasons) == 0, Reasons: reasons, Position: position}, nil
}

// PartnerOf gives the partner whose customer a tenant is.
func (b *Book) PartnerOf(customer TenantID) (owner TenantID, known bool) {
	b.read(func(t *tables) {
		c, found := t.customers.get(customer)
		owner, known = c.partner, found
	})
	return owner, known
}

// IsOwner reports whether a user holds Owner on any of a customer's subscriptions.
func (b *Book) IsOwner(customer TenantID, user UserID) (holds bool) {
	b.read(func(t *tables) { _, holds = t.owners.get(ownerKey{customer, user}) })
	return holds
}

// IsPartner reports whether a tenant is a partner of this ledger.
func (b *Book) IsPartner(tenant TenantID) (known bool) {
	b.read(func(t *tables) { _, known = t.partners.get(tenant) })
	return known
}

// Head is the position of the newest event the book has taken in.
func (b *Book) Head() uint64 { return b.read(func(*tables) {}) }
