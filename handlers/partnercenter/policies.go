package partnercenter

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
	"permledger/projections"
)

// listPolicies gives the policy of the customer in the query, or those of all the partner's customers.
func (d *Door) listPolicies(in *request) (answer, error) {
	entity := in.query["entity_id"]
	if entity == "" {
		return d.allPolicies(in)
	}
	customer, err := parseCustomer(entity)
	if err != nil {
		return answer{}, err
	}
	found, err := d.ledger.Book().SelfServePolicy(in.partner, customer)
	if err != nil {
		return answer{}, err
	}
	items := []policy{}
	if len(found.Products) > 0 {
		items = append(items, policyOf(in.partner, customer, found.Products, found.ETag))
	}
	return page(in, items, ""), nil
}

// allPolicies lists the policies of a partner by their customers' names.
func (d *Door) allPolicies(in *request) (answer, error) {
	m, paging, err := d.listing(in)
	if err != nil {
		return answer{}, err
	}
	on := true
	rows, err := m.Customers(in.Context(), in.Scope, projections.CustomerFilter{Allowed: &on}, paging)
	if err != nil {
		return answer{}, err
	}
	items := make([]policy, 0, len(rows.Items))
	for _, row := range rows.Items {
		found, err := d.ledger.Book().SelfServePolicy(in.partner, row.CustomerID)
		if err != nil {
			return answer{}, err
		}
		if len(found.Products) > 0 { // else it was deleted a moment ago
			items = append(items, policyOf(in.partner, row.CustomerID, found.Products, found.ETag))
		}
	}
	return page(in, items, rows.NextCursor), nil
}

func (d *Door) getPolicy(in *request) (answer, error) {
	customer, found := customerOfPolicy(in.partner, in.PathValue("id"))
	if !found {
		return answer{}, errPolicyMissing
	}
	return d.standing(in.partner, customer)
}

// standing answers with the policy as it stands.
func (d *Door) standing(partner, customer domain.TenantID) (answer, error) {
	p, err := d.ledger.Book().SelfServePolicy(partner, customer)
	if err != nil || len(p.Products) == 0 {
		return answer{}, cmp.Or(absent(err, errPolicyMissing), errPolicyMissing)
	}
	return ok(policyOf(partner, customer, p.Products, p.ETag)), nil
}

func (d *Door) createPolicy(in *request) (answer, error) {
	sent, err := body.Decode[sentPolicy](in.Request)
	if err != nil {
		return answer{}, err
	}
	if sent.Grantor == nil || sent.SelfServeEntity == nil {
		return answer{}, badInput("selfServeEntity and grantor are required: they name the customer and your own tenant.")
	}
	change, err := sent.change(in)
	if err != nil {
		return answer{}, err
	}
	if len(change.Products) == 0 {
		return answer{}, badInput("permissions is empty: list what the customer may purchase.")
	}
	change.Expect = domain.ExpectNone
	out, err := d.setPolicy(in, change)
	out.status = http.StatusCreated
	return out, err
}

func (d *Door) updatePolicy(in *request) (answer, error) {
	sent, err := body.Decode[sentPolicy](in.Request)
	if err != nil {
		return answer{}, err
	}
	change, err := sent.change(in)
	if err != nil {
		return answer{}, err
	}
	v, err := sent.version(in)
	if err != nil {
		return answer{}, err
	}
	change.Expect, change.ETag = domain.ExpectSome, v.tag
	out, err := d.setPolicy(in, change)
	return out, v.judge(err)
}

func (d *Door) deletePolicy(in *request) (answer, error) {
	var sent sentPolicy
	customer, err := sent.customer(in)
	if err != nil {
		return answer{}, err
	}
	v, err := sent.version(in)
	if err != nil {
		return answer{}, err
	}
	done, err := d.execute(in, domain.SetPurchasePermissions{CustomerID: customer, Expect: domain.ExpectSome, ETag: v.tag})
	return answer{status: http.StatusNoContent, position: done.Position}, v.judge(err)
}

// change is the command that a policy in a body asks for.
func (s *sentPolicy) change(in *request) (c domain.SetPurchasePermissions, err error) {
	if s.Grantor != nil {
		if err = s.Grantor.granted(in); err != nil {
			return c, err
		}
	}
	if c.CustomerID, err = s.customer(in); err != nil {
		return c, err
	}
	c.Products, err = s.products()
	return c, err
}

// judge words the refusal of a change of a policy that is there no longer, or not as the client knew it.
func (v version) judge(err error) error {
	if err != nil && problem.Of(err).Code == domain.CodePolicyChanged {
		return v.stale
	}
	return absent(err, errPolicyMissing)
}

// setPolicy executes a change and answers with the policy that it made. Its etag is that of the recorded
// change, so that the same request gets the same answer again. A change that found things already so made
// none: the answer is then the policy as it was judged, or stands now.
func (d *Door) setPolicy(in *request, c domain.SetPurchasePermissions) (answer, error) {
	done, err := d.execute(in, c)
	if err != nil {
		return answer{}, err
	}
	tag := c.ETag
	if len(done.Events) > 0 {
		tag = domain.PolicyETag(c.CustomerID, done.Position)
	}
	if tag == uuid.Nil {
		return d.standing(in.partner, c.CustomerID)
	}
	slices.SortFunc(c.Products, func(a, b domain.Product) int {
		return cmp.Compare(slices.Index(domain.Products(), a), slices.Index(domain.Products(), b))
	})
	return answer{status: http.StatusOK, body: policyOf(in.partner, c.CustomerID, c.Products, tag), position: done.Position}, nil
}
