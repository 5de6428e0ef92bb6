package partnercenter

import (
	"cmp"
	"net/http"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/projections"
)

// customer is a customer as this API shows it.
type customer struct {
	ID                    domain.TenantID `json:"id"`
	CommerceID            domain.TenantID `json:"commerceId"`
	CompanyProfile        companyProfile  `json:"companyProfile"`
	RelationshipToPartner string          `json:"relationshipToPartner"`
	AllowDelegatedAccess  bool            `json:"allowDelegatedAccess"`
	Links                 *links          `json:"links"`
	Attributes            attributes      `json:"attributes"`
}

type companyProfile struct {
	TenantID    domain.TenantID `json:"tenantId"`
	Domain      string          `json:"domain"`
	CompanyName string          `json:"companyName"`
	Attributes  attributes      `json:"attributes"`
}

func customerPath(id domain.TenantID) string { return "/customers/" + id.String() }

// customerOfRow shows a customer. The ledger knows it by its tenant alone, and keeps no delegated access: the
// one this API means is that of a reseller.
func customerOfRow(c projections.Customer) customer {
	return customer{
		ID: c.CustomerID, CommerceID: c.CustomerID,
		CompanyProfile: companyProfile{
			TenantID: c.CustomerID, Domain: c.Domain, CompanyName: c.CompanyName,
			Attributes: attributes{ObjectType: "CustomerCompanyProfile"},
		},
		RelationshipToPartner: "reseller", AllowDelegatedAccess: true,
		Links: selfLink(customerPath(c.CustomerID)), Attributes: attributes{ObjectType: "Customer"},
	}
}

func (d *Door) listCustomers(in *request) (answer, error) {
	filter, err := customerFilter(in.query)
	if err != nil {
		return answer{}, err
	}
	m, paging, err := d.listing(in)
	if err != nil {
		return answer{}, err
	}
	rows, err := m.Customers(in.Context(), in.Scope, filter, paging)
	return pageOf(in, rows, err, customerOfRow)
}

func customerFilter(q query) (f projections.CustomerFilter, err error) {
	conditions, err := q.conditions()
	if err != nil {
		return f, err
	}
	for _, c := range conditions {
		text, known, err := c.texts(map[string]projections.TextColumn{"companyname": projections.CompanyName, "domain": projections.CustomerDomain})
		switch {
		case err != nil:
			return f, err
		case !known:
			return f, badProperty("Customers are filtered by CompanyName and Domain.")
		}
		f.Texts = append(f.Texts, text)
	}
	return f, nil
}

func (d *Door) getCustomer(in *request) (answer, error) {
	m, err := d.models(in.Context())
	if err != nil {
		return answer{}, err
	}
	row, _, err := m.Customer(in.Context(), in.Scope)
	return ok(customerOfRow(row)), err
}

// sentCustomer is a customer as a client sends it. Profiles that the ledger does not keep are passed over.
type sentCustomer struct {
	ID             string
	CompanyProfile struct{ TenantID, Domain, CompanyName string }
}

// createCustomer registers a customer. Microsoft makes the tenant; here it is the one that the body names,
// or an id made from the request's where it names none.
func (d *Door) createCustomer(in *request) (answer, error) {
	sent, err := body.Decode[sentCustomer](in.Request)
	if err != nil {
		return answer{}, err
	}
	command := domain.RegisterCustomer{CompanyName: sent.CompanyProfile.CompanyName, Domain: sent.CompanyProfile.Domain}
	named := cmp.Or(sent.ID, sent.CompanyProfile.TenantID)
	if named == "" {
		command.CustomerID = domain.TenantID{UUID: uuid.NewSHA1(in.command.UUID, []byte("customer"))}
	} else if command.CustomerID, err = parseCustomer(named); err != nil {
		return answer{}, err
	}
	done, err := d.execute(in, command)
	row := projections.Customer{CustomerID: command.CustomerID, CompanyName: command.CompanyName, Domain: command.Domain}
	return answer{status: http.StatusCreated, body: customerOfRow(row), position: done.Position}, err
}
