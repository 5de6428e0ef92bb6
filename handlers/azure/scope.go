package azure

import (
	"slices"
	"strings"

	"permledger/domain"
)

// AppliedScope is where a discount applies, as part of other bodies.
type AppliedScope struct {
	AppliedScopeType       string                  `json:"appliedScopeType,omitempty"`
	AppliedScopes          []string                `json:"appliedScopes,omitempty"`
	AppliedScopeProperties *appliedScopeProperties `json:"appliedScopeProperties,omitempty"`
}

type appliedScopeProperties struct {
	SubscriptionID    string `json:"subscriptionId,omitempty"`
	ResourceGroupID   string `json:"resourceGroupId,omitempty"`
	ManagementGroupID string `json:"managementGroupId,omitempty"`
}

// appliedScope shows a scope of the ledger.
func appliedScope(s domain.Scope) AppliedScope {
	if s.Type == domain.Shared {
		return AppliedScope{AppliedScopeType: string(s.Type)}
	}
	path := subscriptionPath(s.SubscriptionID)
	return AppliedScope{
		AppliedScopeType: string(s.Type), AppliedScopes: []string{path},
		AppliedScopeProperties: &appliedScopeProperties{SubscriptionID: path},
	}
}

// scope reads where a discount shall apply. The ledger knows Shared and a Single subscription.
func (s AppliedScope) scope() (domain.Scope, error) {
	within := appliedScopeProperties{}
	if s.AppliedScopeProperties != nil {
		within = *s.AppliedScopeProperties
	}
	switch {
	case within.ResourceGroupID != "" || within.ManagementGroupID != "":
		return domain.Scope{}, badRequest(badRequestCode, "A discount applies to one subscription or to all of the customer's. Resource groups and management groups are not supported.")
	case strings.EqualFold(s.AppliedScopeType, string(domain.Shared)):
		if len(s.AppliedScopes) > 0 || within.SubscriptionID != "" {
			return domain.Scope{}, badRequest(badRequestCode, "The scope Shared reaches every subscription. Leave appliedScopes and appliedScopeProperties out.")
		}
		return domain.Scope{Type: domain.Shared}, nil
	case strings.EqualFold(s.AppliedScopeType, string(domain.Single)):
		return single(s.AppliedScopes, within.SubscriptionID)
	default:
		return domain.Scope{}, badRequest(badRequestCode, "appliedScopeType is Single or Shared. Others are not supported.")
	}
}

// single reads the one subscription of a scope, which is named in a list, as a property, or in both.
func single(listed []string, property string) (domain.Scope, error) {
	if property != "" {
		listed = append(slices.Clip(listed), property)
	}
	if len(listed) == 0 {
		return domain.Scope{}, badRequest("MissingAppliedScopesForSingle", "The scope Single needs its subscription: name it under appliedScopes or appliedScopeProperties.subscriptionId.")
	}
	scope := domain.Scope{Type: domain.Single}
	for i, path := range listed {
		id, err := subscriptionAt(path)
		if err != nil {
			return domain.Scope{}, err
		}
		if i > 0 && (id != scope.SubscriptionID || property == "") {
			return domain.Scope{}, badRequest("InvalidSingleAppliedScopesCount", "The scope Single has one subscription.")
		}
		scope.SubscriptionID = id
	}
	return scope, nil
}
