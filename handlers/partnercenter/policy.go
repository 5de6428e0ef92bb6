package partnercenter

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/partnercenter/wire"
)

// policy is a self-serve policy: a customer's purchase permissions seen together.
type policy struct {
	ID              string       `json:"id"`
	SelfServeEntity entity       `json:"selfServeEntity"`
	Grantor         grantor      `json:"grantor"`
	Permissions     []permission `json:"permissions"`
	Attributes      attributes   `json:"attributes"`
}

type entity struct {
	SelfServeEntityType string `json:"selfServeEntityType"`
	TenantID            string `json:"tenantID"`
}

type grantor struct {
	GrantorType string `json:"grantorType"`
	TenantID    string `json:"tenantID"`
}

type permission struct {
	Resource string `json:"resource"`
	Action   string `json:"action"`
}

// The words of a policy. Clients may write them in any case.
const (
	entityType  = "customer"
	grantorType = "billToPartner"
	purchase    = "Purchase"
)

// policyOf shows the permissions that are on.
func policyOf(partner, customer domain.TenantID, products []domain.Product, tag uuid.UUID) policy {
	p := policy{
		ID:              wire.PolicyID(partner, customer),
		SelfServeEntity: entity{entityType, customer.String()},
		Grantor:         grantor{grantorType, partner.String()},
		Permissions:     make([]permission, len(products)),
		Attributes:      attributes{ETag: `"` + tag.String() + `"`, ObjectType: "SelfServePolicy"},
	}
	for i, product := range products {
		p.Permissions[i] = permission{string(product), purchase}
	}
	return p
}

// customerOfPolicy reads the id of a policy of one partner.
func customerOfPolicy(partner domain.TenantID, id string) (customer domain.TenantID, found bool) {
	first, second, _ := strings.Cut(id, "_")
	owner, err := domain.ParseTenantID(first)
	if err != nil || owner != partner {
		return domain.TenantID{}, false
	}
	customer, err = domain.ParseTenantID(second)
	return customer, err == nil
}

// sentPolicy is a policy as a client sends it. What it left out or sent as null is nil.
type sentPolicy struct {
	ID              *string
	SelfServeEntity *entity
	Grantor         *grantor
	Permissions     []permission
	Attributes      *struct{ ETag *string }
}

// customer is whose policy is meant, by the id in the path, the one in the body and the entity: all that are
// given must name the same.
func (s *sentPolicy) customer(in *request) (customer domain.TenantID, err error) {
	if s.SelfServeEntity != nil {
		if !strings.EqualFold(cmp.Or(s.SelfServeEntity.SelfServeEntityType, entityType), entityType) {
			return customer, badProperty("selfServeEntity.selfServeEntityType is not customer.")
		}
		if customer, err = parseCustomer(s.SelfServeEntity.TenantID); err != nil {
			return customer, err
		}
	}
	id := in.PathValue("id")
	if s.ID != nil && *s.ID != "" {
		if id != "" && !strings.EqualFold(id, *s.ID) {
			return customer, errPolicyDiffers
		}
		id = *s.ID
	}
	if id != "" {
		named, found := customerOfPolicy(in.partner, id)
		switch {
		case !found:
			return customer, errPolicyMissing
		case !customer.IsZero() && named != customer:
			return customer, errPolicyDiffers
		}
		return named, nil
	}
	if customer.IsZero() {
		return customer, badInput("selfServeEntity is required: it names the customer.")
	}
	return customer, nil
}

// products reads the permissions, whose words count in any case.
func (s *sentPolicy) products() ([]domain.Product, error) {
	if s.Permissions == nil {
		return nil, badInput("permissions is required: list what the customer may purchase.")
	}
	list := make([]domain.Product, len(s.Permissions))
	for i, p := range s.Permissions {
		if !strings.EqualFold(p.Action, purchase) {
			return nil, badProperty("The one action of a permission is Purchase.")
		}
		for _, product := range domain.Products() {
			if strings.EqualFold(p.Resource, string(product)) {
				list[i] = product
			}
		}
		if list[i] == "" {
			return nil, badProperty("The resources of a permission are AzureReservedInstances and AzureSavingsPlan.")
		}
	}
	return list, nil
}

// granted refuses a policy in another partner's name.
func (g *grantor) granted(in *request) error {
	id, err := domain.ParseTenantID(g.TenantID)
	switch {
	case err != nil:
		return badInput("grantor.tenantID is not a GUID.")
	case !strings.EqualFold(cmp.Or(g.GrantorType, grantorType), grantorType):
		return badProperty("grantor.grantorType is not billToPartner.")
	case id != in.partner:
		return refuse(http.StatusForbidden, "900308", "Only the partner that pays may grant: grantor.tenantID must be your own tenant.")
	default:
		return nil
	}
}

// version is the etag that a change is for, and how it is refused where that is no longer the newest.
type version struct {
	tag   uuid.UUID // zero: whichever there is
	stale error
}

// version reads the etag in the body and the one in If-Match. One that no policy can have is stale.
func (s *sentPolicy) version(in *request) (version, error) {
	v := version{stale: errStaleInBody}
	if s.Attributes != nil && s.Attributes.ETag != nil && *s.Attributes.ETag != "" {
		if v.tag = parseTag(*s.Attributes.ETag); v.tag == uuid.Nil {
			return v, errStaleInBody
		}
	}
	match := in.Header.Get("If-Match")
	if match == "" || match == "*" {
		return v, nil
	}
	matched := parseTag(match)
	switch {
	case matched == uuid.Nil:
		return v, errStaleInHeader
	case v.tag != uuid.Nil && v.tag != matched:
		return v, errStaleInBody // both cannot be the newest
	default:
		return version{matched, errStaleInHeader}, nil
	}
}

// parseTag reads an etag, a GUID in quotes; anything else is zero.
func parseTag(text string) uuid.UUID {
	tag, err := uuid.Parse(strings.Trim(text, `"`))
	if err != nil {
		return uuid.Nil
	}
	return tag
}
