package partnercenter

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"permledger/domain"
	"permledger/projections"
)

// reservedInstance is the type of entitlements and artifacts that are reservations.
const reservedInstance = "reservedinstance"

// entitlement is what a customer has the right to use: a reservation with units left.
type entitlement struct {
	ReferenceOrder    referenceOrder `json:"referenceOrder"`
	ProductID         domain.Product `json:"productId"`
	SKUID             string         `json:"skuId"`
	Quantity          int64          `json:"quantity"`
	EntitlementType   string         `json:"entitlementType"`
	EntitledArtifacts []artifactLink `json:"entitledArtifacts"`
	ExpiryDate        string         `json:"expiryDate,omitempty"`
	Attributes        attributes     `json:"attributes"`
}

type referenceOrder struct {
	ID         domain.OrderID `json:"id"`
	LineItemID string         `json:"lineItemId"`
}

type artifactLink struct {
	Link              link                 `json:"link"`
	ResourceID        domain.ReservationID `json:"resourceId"`
	ArtifactType      string               `json:"artifactType"`
	DynamicAttributes dynamicAttributes    `json:"dynamicAttributes"`
}

type dynamicAttributes struct {
	ReservationType string `json:"reservationType"`
}

// artifact is the details of a reservation.
type artifact struct {
	Type         string        `json:"type"`
	Reservations []reservation `json:"reservations"`
	Links        *links        `json:"links"`
	Attributes   attributes    `json:"attributes"`
}

type reservation struct {
	ReservationID     domain.ReservationID `json:"reservationId"`
	DisplayName       string               `json:"displayName"`
	ScopeType         domain.ScopeType     `json:"scopeType"`
	AppliedScopes     []string             `json:"appliedScopes"`
	Quantity          int64                `json:"quantity"`
	EffectiveDateTime string               `json:"effectiveDateTime"`
	ExpiryDateTime    string               `json:"expiryDateTime"`
	ProvisioningState string               `json:"provisioningState"`
	Attributes        attributes           `json:"attributes"`
}

func artifactPath(customer domain.TenantID, id domain.ReservationID) string {
	return customerPath(customer) + "/artifacts/reservedinstances/" + id.String()
}

// listEntitlements gives the reservations that a customer has units of.
func (d *Door) listEntitlements(in *request) (answer, error) {
	expiry, err := in.query.flag("showExpiry")
	if err != nil {
		return answer{}, err
	}
	if kind := in.query["entitlementtype"]; kind != "" && !strings.EqualFold(kind, reservedInstance) {
		return page(in, []entitlement{}, ""), nil
	}
	m, paging, err := d.listing(in)
	if err != nil {
		return answer{}, err
	}
	rows, err := m.Reservations(in.Context(), in.Scope, projections.ReservationFilter{At: time.Now()}, paging)
	if err != nil {
		return answer{}, err
	}
	items := make([]entitlement, 0, len(rows.Items))
	lines := lineNumbers{models: m, scope: in.Scope, orders: make(map[domain.OrderID][]projections.OrderLine)}
	for _, r := range rows.Items {
		if r.Quantity == 0 {
			continue
		}
		n, err := lines.of(in.Context(), r)
		if err != nil {
			return answer{}, err
		}
		e := entitlementOf(r, n)
		if expiry {
			e.ExpiryDate = dateTime(r.ExpiresAt)
		}
		items = append(items, e)
	}
	return page(in, items, rows.NextCursor), nil
}

func entitlementOf(r projections.Reservation, line int) entitlement {
	return entitlement{
		ReferenceOrder: referenceOrder{r.OrderID, strconv.Itoa(line)},
		ProductID:      domain.AzureReservedInstances, SKUID: r.SKU, Quantity: r.Quantity, EntitlementType: reservedInstance,
		EntitledArtifacts: []artifactLink{{
			Link: linkTo(artifactPath(r.CustomerID, r.ReservationID)), ResourceID: r.ReservationID, ArtifactType: reservedInstance,
			DynamicAttributes: dynamicAttributes{strings.ToLower(strings.ReplaceAll(r.Family, " ", ""))},
		}},
		Attributes: attributes{ObjectType: "Entitlement"},
	}
}

// lineNumbers finds the line of an order that bought a reservation, reading each order once.
type lineNumbers struct {
	models *projections.Models
	scope  projections.Scope
	orders map[domain.OrderID][]projections.OrderLine
}

// of is 0 as well for a reservation that became of another one since.
func (n lineNumbers) of(ctx context.Context, r projections.Reservation) (int, error) {
	lines, known := n.orders[r.OrderID]
	if !known {
		o, _, err := n.models.Order(ctx, n.scope, r.OrderID, time.Now())
		if err != nil {
			return 0, err
		}
		lines = o.Reservations
		n.orders[r.OrderID] = lines
	}
	at := slices.IndexFunc(lines, func(l projections.OrderLine) bool { return l.ReservationID == r.ReservationID })
	return max(at, 0), nil
}

// provisioningStates are the states of a reservation in Azure's words.
var provisioningStates = map[projections.ReservationState]string{
	projections.ReservationActive:    "Succeeded",
	projections.ReservationReturned:  "Cancelled",
	projections.ReservationExchanged: "Cancelled",
	projections.ReservationSplit:     "Split",
	projections.ReservationMerged:    "Merged",
	projections.ReservationExpired:   "Expired",
}

// getArtifact gives the details of a reservation, also of one that is over.
func (d *Door) getArtifact(in *request) (answer, error) {
	id, found := parseGUID(in.PathValue("artifactId"))
	if !found {
		return answer{}, errNothingHere
	}
	m, err := d.models(in.Context())
	if err != nil {
		return answer{}, err
	}
	r, _, err := m.Reservation(in.Context(), in.Scope, domain.ReservationID{UUID: id}, time.Now())
	if err != nil {
		return answer{}, absent(err, errNothingHere)
	}
	details := reservation{
		ReservationID: r.ReservationID, DisplayName: r.DisplayName, ScopeType: r.Scope.Type, AppliedScopes: []string{},
		Quantity: r.Quantity, EffectiveDateTime: dateTime(r.StartsAt), ExpiryDateTime: dateTime(r.ExpiresAt),
		ProvisioningState: provisioningStates[r.State], Attributes: attributes{ObjectType: "Reservation"},
	}
	if r.Scope.Type == domain.Single {
		details.AppliedScopes = append(details.AppliedScopes, "/subscriptions/"+r.Scope.SubscriptionID.String())
	}
	return ok(artifact{
		Type: reservedInstance, Reservations: []reservation{details}, Links: selfLink(artifactPath(r.CustomerID, r.ReservationID)),
		Attributes: attributes{ObjectType: "ReservedInstanceArtifactDetails"},
	}), nil
}
