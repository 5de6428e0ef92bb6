package azure

import (
	"permledger/domain"
	"permledger/handlers/body"
	"permledger/projections"
)

type availableScopesBody struct {
	Properties struct {
		Scopes []string `json:"scopes"`
	} `json:"properties"`
}

type availableScopesAnswer struct {
	Properties availableScopesProperties `json:"properties"`
}

type availableScopesProperties struct {
	Scopes []availableScope `json:"scopes"`
}

type availableScope struct {
	Scope string `json:"scope"`
	Valid bool   `json:"valid"`
}

// maxScopes is how many scopes one request may ask about.
const maxScopes = 100

// availableScopes says to which of some subscriptions a reservation's discount could apply: those that the partner
// bought for the same customer and that are not deleted (S14).
func (d *Door) availableScopes(r *request) (any, error) {
	sent, err := body.Decode[availableScopesBody](r.Request)
	if err != nil {
		return nil, err
	}
	row, err := r.addressed()
	if err != nil {
		return nil, err
	}
	if len(sent.Properties.Scopes) > maxScopes {
		return nil, badRequest(badRequestCode, "Ask about at most 100 scopes at once.")
	}
	out := availableScopesProperties{Scopes: make([]availableScope, len(sent.Properties.Scopes))}
	for i, path := range sent.Properties.Scopes {
		valid, err := r.reachable(row.CustomerID, path)
		if err != nil {
			return nil, err
		}
		out.Scopes[i] = availableScope{Scope: path, Valid: valid}
	}
	return availableScopesAnswer{out}, nil
}

// reachable reports whether a path names a subscription of the customer's. Anything else is none.
func (r *request) reachable(customer domain.TenantID, path string) (bool, error) {
	id, err := subscriptionAt(path)
	if err != nil {
		return false, nil //nolint:nilerr // what is no subscription is not reached
	}
	s, _, err := r.door.ledger.Models().Subscription(r.Context(), projections.OfCustomer(r.view.Scope.Partner(), customer), id)
	if notFound(err) {
		return false, nil
	}
	return s.Status != domain.Deleted, err
}
