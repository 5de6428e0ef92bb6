package projections

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// How many rows one page holds.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// ErrBadCursor says that a cursor was not made by the query it was given to, with the same filters.
var ErrBadCursor = errors.New("the cursor does not belong to this list: start again without one")

// Paging asks for one page of a list. A page starts after the row at which the last one ended, so that
// rows written in between neither repeat nor hide others.
type Paging struct {
	Limit  int    // rows; DefaultLimit when 0, at most MaxLimit
	Cursor string // NextCursor of the page before; empty for the first
}

// Page is one page of a list.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"` // empty on the last page
	Position   uint64 `json:"-"`                    // the rows are the fold of the log up to here
}

// limit is how many rows a caller who asks for n is given.
func limit(n int) int {
	if n <= 0 {
		return DefaultLimit
	}
	return min(n, MaxLimit)
}

// conditions gathers what a query asks for. Text of the caller's goes into args only.
type conditions struct {
	where []string
	args  []any
}

func (c *conditions) and(condition string, args ...any) {
	c.where = append(c.where, condition)
	c.args = append(c.args, args...)
}

// scope limits a query to its scope. The plus keeps the database from walking all of a partner's rows
// where the customer's are asked for.
func (c *conditions) scope(s Scope, partner, customer string) {
	if s.customer.IsZero() {
		c.and(partner+" = ?", s.partner.UUID[:])
		return
	}
	c.and(customer+" = ?", s.customer.UUID[:])
	c.and("+"+partner+" = ?", s.partner.UUID[:])
}

// about limits a query to its scope, and to one customer where a filter names one. That need not be a
// customer of the partner's: what its agents attempted with a tenant that is none belongs to its book.
func (c *conditions) about(s Scope, filter domain.TenantID, partner, customer string) {
	if !filter.IsZero() && s.customer.IsZero() {
		s.customer = filter
	} else if !filter.IsZero() {
		c.and(customer+" = ?", filter.UUID[:])
	}
	c.scope(s, partner, customer)
}

// within limits a query to its scope where other conditions leave few rows, and are to be walked by.
func (c *conditions) within(s Scope, partner, customer string) {
	c.and("+"+partner+" = ?", s.partner.UUID[:])
	if !s.customer.IsZero() {
		c.and("+"+customer+" = ?", s.customer.UUID[:])
	}
}

// any limits a column to one of several texts; none of them means no limit.
func (c *conditions) any(column string, values []string) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	c.and(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
}

func (c *conditions) String() string {
	if len(c.where) == 0 {
		return "TRUE"
	}
	return strings.Join(c.where, " AND ")
}

// listing is a query that is read page by page.
type listing[T any] struct {
	rows       string // SELECT … FROM …, without conditions
	conditions conditions
	keys       []string // columns that order the rows and tell any two apart
	descending bool
	scan       func(row *sql.Rows) (T, error)
	key        func(T) []any // what the row has in keys
}

// page reads one page. name and filter tell lists apart in cursors.
func (l *listing[T]) page(ctx context.Context, tx *sqlite.Tx, name string, s Scope, filter any, p Paging) ([]T, string, error) {
	mark, err := markOf(name, s, filter)
	if err != nil {
		return nil, "", err
	}
	direction, beyond := " ASC", ">"
	if l.descending {
		direction, beyond = " DESC", "<"
	}
	if p.Cursor != "" {
		after, err := readPageCursor(p.Cursor, mark, len(l.keys))
		if err != nil {
			return nil, "", err
		}
		l.conditions.and("("+strings.Join(l.keys, ", ")+") "+beyond+" (?"+strings.Repeat(", ?", len(after)-1)+")", after...)
	}
	n := limit(p.Limit)
	query := l.rows + " WHERE " + l.conditions.String() +
		" ORDER BY " + strings.Join(l.keys, direction+", ") + direction
	items := make([]T, 0, n)
	err = tx.Query(ctx, func(row *sql.Rows) error {
		if len(items) > n {
			return sqlite.ErrEnough
		}
		item, err := l.scan(row)
		items = append(items, item)
		return err
	}, query, l.conditions.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", name, err)
	}
	if len(items) <= n {
		return items, "", nil
	}
	items = items[:n]
	return items, writePageCursor(mark, l.key(items[n-1])), nil
}

// markSize is how many bytes of a cursor say to which list, scope and filter it belongs.
const markSize = 8

func markOf(name string, s Scope, filter any) ([]byte, error) {
	content, err := json.Marshal([]any{name, s.partner, s.customer, filter})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", name, err)
	}
	sum := sha256.Sum256(content)
	return sum[:markSize], nil
}

// writePageCursor makes a cursor of the key of the last row given: whole numbers, texts and bytes.
func writePageCursor(mark []byte, key []any) string {
	content, err := json.Marshal(cursorKeys(key))
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return base64.RawURLEncoding.EncodeToString(append(bytes.Clone(mark), content...))
}

// cursorKey is one value of a key; one of its members is set.
type cursorKey struct {
	N *int64  `json:"n,omitempty"`
	S *string `json:"s,omitempty"`
	B []byte  `json:"b,omitempty"`
}

func cursorKeys(key []any) []cursorKey {
	list := make([]cursorKey, len(key))
	for i, v := range key {
		switch v := v.(type) {
		case int64:
			list[i].N = &v
		case string:
			list[i].S = &v
		case []byte:
			list[i].B = v
		default:
			panic(fmt.Sprintf("projections: a cursor cannot hold %T", v))
		}
	}
	return list
}

func readPageCursor(cursor string, mark []byte, keys int) ([]any, error) {
	content, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || !bytes.HasPrefix(content, mark) {
		return nil, ErrBadCursor
	}
	var list []cursorKey
	if err := json.Unmarshal(content[markSize:], &list); err != nil || len(list) != keys {
		return nil, ErrBadCursor
	}
	values := make([]any, keys)
	for i, k := range list {
		switch {
		case k.N != nil:
			values[i] = *k.N
		case k.S != nil:
			values[i] = *k.S
		default:
			values[i] = k.B
		}
	}
	return values, nil
}
