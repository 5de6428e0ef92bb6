package partnercenter

import (
	"strings"

	"github.com/go-json-experiment/json"

	"permledger/projections"
)

// filter is the condition of a query: one field compared with a value, or two filters of which both hold.
type filter struct {
	Field, Value, Operator  string
	LeftFilter, RightFilter *filter
}

// maxConditions bounds the conditions of one filter.
const maxConditions = 8

// conditions are the conditions of a filter, all of which must hold; none where there is no filter.
func (q query) conditions() ([]filter, error) {
	text := q["filter"]
	if text == "" {
		return nil, nil
	}
	var f filter
	if err := json.Unmarshal([]byte(text), &f, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, badProperty(`filter is not a JSON object such as {"Field":"CompanyName","Value":"Con","Operator":"starts_with"}.`)
	}
	list, err := f.flat(nil)
	if err == nil && len(list) > maxConditions {
		err = badProperty("filter has too many conditions.")
	}
	return list, err
}

// flat lists the conditions that and joins. Nothing is asked for by or.
func (f *filter) flat(list []filter) ([]filter, error) {
	if f.LeftFilter == nil && f.RightFilter == nil {
		return append(list, *f), nil
	}
	if f.LeftFilter == nil || f.RightFilter == nil || !strings.EqualFold(f.Operator, "and") {
		return nil, badProperty("Filters are joined by and, two at a time.")
	}
	list, err := f.LeftFilter.flat(list)
	if err != nil {
		return nil, err
	}
	return f.RightFilter.flat(list)
}

// comparisons are the operators that compare texts.
var comparisons = map[string]projections.Comparison{
	"equals":                 projections.Equals,
	"not_equals":             projections.Differs,
	"substring":              projections.Contains,
	"starts_with":            projections.StartsWith,
	"not_starts_with":        projections.StartsNotWith,
	"less_than":              projections.Below,
	"less_than_or_equals":    projections.BelowOrEquals,
	"greater_than":           projections.Beyond,
	"greater_than_or_equals": projections.BeyondOrEquals,
}

// match compares a text as the filter asks. A field may be compared once.
func (f *filter) match(into *projections.TextMatch) error {
	how, known := comparisons[strings.ToLower(f.Operator)]
	switch {
	case !known:
		return badProperty("filter has an operator that texts cannot be compared with.")
	case into.How != "":
		return badProperty("filter names a field twice.")
	}
	*into = projections.TextMatch{How: how, Text: f.Value}
	return nil
}

// is reports whether the filter is about a field.
func (f *filter) is(field string) bool { return strings.EqualFold(f.Field, field) }
