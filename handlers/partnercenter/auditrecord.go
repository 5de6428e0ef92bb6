package partnercenter

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/partnercenter/wire"
	"permledger/projections"
)

// auditRecord is one record of the activity log: what one command did, or was refused.
type auditRecord struct {
	ID                    string          `json:"id"`
	PartnerID             domain.TenantID `json:"partnerId"`
	CustomerID            domain.TenantID `json:"customerId,omitzero"`
	CustomerName          string          `json:"customerName,omitempty"`
	UserPrincipalName     string          `json:"userPrincipalName,omitempty"`
	ApplicationID         string          `json:"applicationId,omitempty"`
	ResourceType          string          `json:"resourceType"`
	ResourceOldValue      string          `json:"resourceOldValue,omitempty"`
	ResourceNewValue      string          `json:"resourceNewValue,omitempty"`
	OperationType         string          `json:"operationType"`
	OriginalCorrelationID string          `json:"originalCorrelationId,omitempty"`
	OperationDate         string          `json:"operationDate"`
	OperationStatus       string          `json:"operationStatus"`
	CustomizedData        []pair          `json:"customizedData"`
	Attributes            attributes      `json:"attributes"`
}

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// recordOf tells a deed in a partner's book in the words of Partner Center.
func recordOf(partner domain.TenantID, d *projections.Deed) (auditRecord, error) {
	o := operationOf(d)
	r := auditRecord{
		PartnerID: partner, CustomerID: d.CustomerID, CustomerName: d.CompanyName,
		UserPrincipalName: cmp.Or(d.ActorDetail.UserPrincipalName, userOf(d)), ApplicationID: d.ActorDetail.App,
		ResourceType: o.resource, OperationType: o.kind, OriginalCorrelationID: d.CorrelationID,
		OperationDate: dateTime(d.Time), OperationStatus: string(d.Result), Attributes: attributes{ObjectType: "AuditRecord"},
	}
	resource := d.CommandID.String()
	var err error
	switch {
	case d.Result == projections.Failed:
		r.CustomizedData = some(pair{"ErrorCode", string(d.Code)}, pair{"Rule", d.Rule}, pair{"Description", d.Detail})
	case d.Permitted != nil:
		r.ResourceOldValue, err = policyValue(partner, d.CustomerID, d.Permitted.Before)
		if err == nil {
			r.ResourceNewValue, err = policyValue(partner, d.CustomerID, d.Permitted.After)
		}
	case o.kind == wire.CreateOrder:
		resource = d.Target
		r.CustomizedData, err = orderData(d.Events[0].Data)
		fallthrough
	default:
		if err == nil {
			r.ResourceNewValue, err = pascal(d.Events[0].Data)
		}
	}
	r.ID = wire.RecordID(partner, d.CustomerID, resource, o.kind, d.Time)
	r.CustomizedData = append(r.CustomizedData, some(
		pair{"CommandId", d.CommandID.String()}, pair{"Position", strconv.FormatUint(d.Position, 10)}, pair{"Reason", d.Reason},
	)...)
	return r, err
}

// some leaves out pairs without a value.
func some(pairs ...pair) []pair {
	return slices.DeleteFunc(pairs, func(p pair) bool { return p.Value == "" })
}

// userOf names a user by the object id where the token named no other.
func userOf(d *projections.Deed) string {
	if d.ActorDetail.UserID.IsZero() {
		return ""
	}
	return d.ActorDetail.UserID.String()
}

// dateTime writes a time in UTC as .NET does, with 7 digits of the second's fraction.
func dateTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// policyValue is a policy as audit records hold it; none where no permission is on.
func policyValue(partner, customer domain.TenantID, state projections.PolicyState) (string, error) {
	if len(state.Products) == 0 {
		return "", nil
	}
	content, err := json.Marshal(policyOf(partner, customer, state.Products, domain.PolicyETag(customer, state.Position)))
	if err != nil {
		return "", err
	}
	return pascal(content)
}

// pascal writes a JSON object with names of members that begin with a capital letter, as audit records do.
func pascal(content []byte) (string, error) {
	var b bytes.Buffer
	in, out := jsontext.NewDecoder(bytes.NewReader(content)), jsontext.NewEncoder(&b)
	for {
		token, err := in.ReadToken()
		if errors.Is(err, io.EOF) {
			return strings.TrimSpace(b.String()), nil
		}
		if err != nil {
			return "", err
		}
		if kind, n := in.StackIndex(in.StackDepth()); kind == '{' && n%2 == 1 && token.Kind() == '"' {
			name := token.String()
			token = jsontext.String(strings.ToUpper(name[:1]) + name[1:])
		}
		if err := out.WriteToken(token); err != nil {
			return "", err
		}
	}
}

// orderData is what the record of a purchase says beside the order itself. Savings plans alone have a commitment, and
// are one unit.
func orderData(event []byte) ([]pair, error) {
	var b struct {
		domain.Bought
		Commitment domain.Money `json:"commitment"`
	}
	if err := json.Unmarshal(event, &b); err != nil {
		return nil, err
	}
	product, commitment := domain.AzureReservedInstances, ""
	if !b.Commitment.IsZero() {
		product, b.Quantity = domain.AzureSavingsPlan, 1
		commitment = b.Commitment.String()
	}
	return some(
		pair{"OrderId", b.OrderID.String()},
		pair{"OfferId-0", offerID(product, b.SKU, b.Region)},
		pair{"SubscriptionId-0", b.SubscriptionID.String()},
		pair{"SubscriptionName-0", b.DisplayName},
		pair{"Quantity-0", strconv.FormatInt(b.Quantity, 10)},
		pair{"Commitment-0", commitment},
	), nil
}
