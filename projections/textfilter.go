package projections

import "strings"

// TextFilter asks for rows by texts of their customer: one compared with a value, or several filters of which all, or
// any, hold. The case of ASCII letters does not matter.
type TextFilter struct {
	Column   TextColumn
	How      Comparison
	Text     string
	All, Any []TextFilter // one of them instead of the three above
}

// TextColumn names a text of a customer.
type TextColumn string

// The texts by which rows are found, as queries name them that know the customer as c. Both ignore the case of ASCII
// letters.
const (
	CompanyName    TextColumn = "c.company_name"
	CustomerDomain TextColumn = "c.domain"
)

// Comparison is how a text is compared with another.
type Comparison string

// The comparisons.
const (
	Equals         Comparison = "equals"
	Differs        Comparison = "differs"
	Contains       Comparison = "contains"
	StartsWith     Comparison = "starts with"
	StartsNotWith  Comparison = "starts not with"
	Below          Comparison = "below"
	BelowOrEquals  Comparison = "below or equals"
	Beyond         Comparison = "beyond"
	BeyondOrEquals Comparison = "beyond or equals"
)

// texts limits a query to rows of which every filter holds.
func (c *conditions) texts(list []TextFilter) {
	for _, f := range list {
		condition, args := f.condition()
		c.and(condition, args...)
	}
}

func (f TextFilter) condition() (condition string, args []any) {
	switch {
	case len(f.All) > 0:
		return joined(f.All, " AND ")
	case len(f.Any) > 0:
		return joined(f.Any, " OR ")
	default:
		return f.comparison()
	}
}

func joined(list []TextFilter, by string) (condition string, args []any) {
	parts := make([]string, len(list))
	for i, f := range list {
		part, more := f.condition()
		parts[i], args = part, append(args, more...)
	}
	return "(" + strings.Join(parts, by) + ")", args
}

func (f TextFilter) comparison() (condition string, args []any) {
	column := string(f.Column)
	switch f.How {
	case Equals:
		return column + " = ?", []any{f.Text}
	case Differs:
		return column + " <> ?", []any{f.Text}
	case Contains:
		return column + ` LIKE ? ESCAPE '\'`, []any{contains(f.Text)}
	case StartsWith:
		return column + ` LIKE ? ESCAPE '\'`, []any{literal(f.Text) + "%"}
	case StartsNotWith:
		return column + ` NOT LIKE ? ESCAPE '\'`, []any{literal(f.Text) + "%"}
	case Below:
		return column + " < ?", []any{f.Text}
	case BelowOrEquals:
		return column + " <= ?", []any{f.Text}
	case Beyond:
		return column + " > ?", []any{f.Text}
	case BeyondOrEquals:
		return column + " >= ?", []any{f.Text}
	default:
		return "TRUE", nil
	}
}
