package projections

// Comparison is how a text is compared with another. The case of ASCII letters does not matter.
type Comparison string

// The comparisons. The zero Comparison asks for nothing.
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

// TextMatch asks for rows whose text compares so with Text.
type TextMatch struct {
	How  Comparison
	Text string
}

// match limits a column, which must ignore the case of ASCII letters.
func (c *conditions) match(column string, m TextMatch) {
	switch m.How {
	case Equals:
		c.and(column+" = ?", m.Text)
	case Differs:
		c.and(column+" <> ?", m.Text)
	case Contains:
		c.and(column+` LIKE ? ESCAPE '\'`, contains(m.Text))
	case StartsWith:
		c.and(column+` LIKE ? ESCAPE '\'`, literal(m.Text)+"%")
	case StartsNotWith:
		c.and(column+` NOT LIKE ? ESCAPE '\'`, literal(m.Text)+"%")
	case Below:
		c.and(column+" < ?", m.Text)
	case BelowOrEquals:
		c.and(column+" <= ?", m.Text)
	case Beyond:
		c.and(column+" > ?", m.Text)
	case BeyondOrEquals:
		c.and(column+" >= ?", m.Text)
	}
}
