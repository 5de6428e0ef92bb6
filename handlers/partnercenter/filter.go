package partnercenter

import (
	"strings"

	"github.com/go-json-experiment/json"

	"permledger/projections"
)

// filter is the condition of a query: one field compared with a value, or two filters of which both, or either, hold.
type filter struct {
	Field, Value, Operator  string
	LeftFilter, RightFilter *filter
}

// maxConditions bounds the conditions of one filter.
const maxConditions = 8

// conditions are the filters that and joins, all of which must hold; none where there is no filter.
func (q query) conditions() ([]filter, error) {
	text := q["filter"]
	if text == "" {
		return nil, nil
	}
	var f filter
	if err := json.Unmarshal([]byte(text), &f, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, badProperty(`filter is not a JSON object such as {"Field":"CompanyName","Value":"Con","Operator":"starts_with"}.`)
	}
	n, err := f.count()
	if err == nil && n > maxConditions {
		err = badProperty("filter has too many conditions.")
	}
	if err != nil {
		return nil, err
	}
	return f.flat(nil), nil
}

// joins reports whether the filter joins others by a word.
func (f *filter) joins(by string) bool {
	return f.LeftFilter != nil && strings.EqualFold(f.Operator, by)
}

// count gives the number of conditions, and refuses filters that are not joined two at a time by and or or.
func (f *filter) count() (int, error) {
	if f.LeftFilter == nil && f.RightFilter == nil {
		return 1, nil
	}
	if f.LeftFilter == nil || f.RightFilter == nil || !f.joins("and") && !f.joins("or") {
		return 0, badProperty("Filters are joined by and or or, two at a time.")
	}
	left, err := f.LeftFilter.count()
	if err != nil {
		return 0, err
	}
	right, err := f.RightFilter.count()
	return left + right, err
}

// flat lists the filters that and joins.
func (f *filter) flat(list []filter) []filter {
	if f.joins("and") {
		return f.RightFilter.flat(f.LeftFilter.flat(list))
	}
	return append(list, *f)
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

// texts is a filter that is about texts alone, whose fields are known by these names in small letters.
func (f *filter) texts(fields map[string]projections.TextColumn) (t projections.TextFilter, known bool, err error) {
	if f.LeftFilter == nil {
		return f.text(fields)
	}
	left, known, err := f.LeftFilter.texts(fields)
	if err != nil || !known {
		return t, known, err
	}
	right, known, err := f.RightFilter.texts(fields)
	if f.joins("or") {
		t.Any = []projections.TextFilter{left, right}
	} else {
		t.All = []projections.TextFilter{left, right}
	}
	return t, known, err
}

func (f *filter) text(fields map[string]projections.TextColumn) (t projections.TextFilter, known bool, err error) {
	t.Text = f.Value
	if t.Column, known = fields[strings.ToLower(f.Field)]; !known {
		return t, false, nil
	}
	if t.How, known = comparisons[strings.ToLower(f.Operator)]; !known {
		return t, true, badProperty("filter has an operator that texts cannot be compared with.")
	}
	return t, true, nil
}

// is reports whether the filter is about a field alone.
func (f *filter) is(field string) bool {
	return f.LeftFilter == nil && strings.EqualFold(f.Field, field)
}
