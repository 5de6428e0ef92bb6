package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Deed is what one command did, or was refused: its entries of the activity log as one, and the events
// themselves. What it says as an Activity is that of its newest entry.
type Deed struct {
	Activity
	CompanyName string        // of the customer, where it is the partner's
	Events      []DeedEvent   // oldest first
	Permitted   *PolicyChange // where permissions were turned on or off

	longer bool // there are earlier events, which completeDeeds reads
}

// DeedEvent is one event of a deed, as stored.
type DeedEvent struct {
	Position uint64
	Type     string
	Data     json.RawMessage
}

// PolicyChange is what a customer may buy itself before and after a deed.
type PolicyChange struct{ Before, After PolicyState }

// PolicyState is a customer's purchase permissions together at some point of the log.
type PolicyState struct {
	Products []domain.Product // those that are on
	Position uint64           // of the newest change of any of them; 0 for none
}

// DeedFilter narrows the deeds.
type DeedFilter struct {
	Actions      []string // any of which, as ActivityFilter has them
	CustomerID   domain.TenantID
	Texts        []TextFilter // all of which hold
	Since, Until time.Time    // recorded at or after Since, before Until
}

// deedRows are the newest entries of the commands, for events of one command lie side by side. Longer says
// that the event before is the same command's.
const deedRows = `SELECT ` + activityColumns + `, e.data, c.company_name,
	coalesce((SELECT p.command = e.command AND p.tenant = e.tenant FROM events p WHERE p.position = a.position - 1), 0)
	FROM activity a CROSS JOIN events e ON e.position = a.position
	LEFT JOIN customers c ON c.id = a.customer AND c.partner = a.partner`

// Deeds lists what commands did, newest first.
func (m *Models) Deeds(ctx context.Context, s Scope, f DeedFilter, p Paging) (Page[Deed], error) {
	return list(ctx, m, "deeds", s, f, p, func(tx *sqlite.Tx) (listing[Deed], error) {
		l := listing[Deed]{
			rows: deedRows, keys: []string{"a.position"}, descending: true, scan: scanDeed,
			key: func(d Deed) []any { return []any{int64(d.Position)} },
		}
		l.conditions.about(s, f.CustomerID, "a.partner", "a.customer")
		l.conditions.and(`NOT EXISTS (SELECT 1 FROM events n WHERE n.position = a.position + 1 AND n.command = e.command AND n.tenant = e.tenant)`)
		l.conditions.any("a.action", f.Actions)
		l.conditions.texts(f.Texts)
		return l, l.conditions.between(ctx, tx, "a.position", f.Since, f.Until)
	}, func(tx *sqlite.Tx, items []Deed) error { return completeDeeds(ctx, tx, items) })
}

func scanDeed(row *sql.Rows) (d Deed, err error) {
	var data string
	d.Activity, err = readActivity(row, &data, optional[string]{&d.CompanyName}, &d.longer)
	d.Events = []DeedEvent{{d.Position, d.Type, json.RawMessage(data)}}
	return d, err
}

// completeDeeds adds to the deeds of a page, newest first, their earlier events and what they changed of the
// purchase permissions.
func completeDeeds(ctx context.Context, tx *sqlite.Tx, items []Deed) error {
	for i := range items {
		if !items[i].longer {
			continue
		}
		if err := items[i].readEvents(ctx, tx); err != nil {
			return err
		}
	}
	standing := make(map[domain.TenantID]*policyHistory)
	for i := len(items) - 1; i >= 0; i-- {
		d := &items[i]
		if !turnsPermissions(d.Type) {
			continue
		}
		h := standing[d.CustomerID]
		if h == nil {
			var err error
			if h, err = readPolicyHistory(ctx, tx, d.CustomerID, d.Events[0].Position, items[0].Position); err != nil {
				return err
			}
			standing[d.CustomerID] = h
		}
		d.Permitted = &PolicyChange{Before: h.upTo(d.Events[0].Position - 1), After: h.upTo(d.Position)}
	}
	return nil
}

// readEvents reads all events of the deed.
func (d *Deed) readEvents(ctx context.Context, tx *sqlite.Tx) error {
	var events []DeedEvent
	err := tx.Query(ctx, func(row *sql.Rows) error {
		var e DeedEvent
		var command domain.CommandID
		var sender domain.TenantID
		var data string
		err := row.Scan(&e.Position, &e.Type, &data, &command, &sender)
		if err == nil && (command != d.CommandID || sender != d.ActorDetail.Tenant) {
			return sqlite.ErrEnough
		}
		e.Data = json.RawMessage(data)
		events = append([]DeedEvent{e}, events...)
		return err
	}, `SELECT position, type, data, command, tenant FROM events WHERE position <= ? ORDER BY position DESC`, int64(d.Position))
	if err != nil {
		return fmt.Errorf("list the events of command %s: %w", d.CommandID, err)
	}
	d.Events = events
	return nil
}

func turnsPermissions(eventType string) bool {
	return eventType == domain.PurchasePermissionGranted{}.EventType() || eventType == domain.PurchasePermissionRevoked{}.EventType()
}

// policyHistory walks through the changes of a customer's permissions, oldest first.
type policyHistory struct {
	on       map[domain.Product]bool
	position uint64 // of the newest change walked past
	ahead    []turned
}

// turned is one change of a permission.
type turned struct {
	position uint64
	product  domain.Product
	allowed  bool
}

// readPolicyHistory reads what was on before position first, and the changes from there through last.
func readPolicyHistory(ctx context.Context, tx *sqlite.Tx, customer domain.TenantID, first, last uint64) (*policyHistory, error) {
	h := &policyHistory{on: make(map[domain.Product]bool)}
	for _, product := range domain.Products() {
		var allowed bool
		var position uint64
		found, err := tx.One(ctx, []any{&allowed, &position}, `SELECT allowed, position FROM permission_changes
			WHERE customer = ? AND product = ? AND position < ? ORDER BY position DESC LIMIT 1`, customer.UUID[:], string(product), int64(first))
		if err != nil {
			return nil, fmt.Errorf("read the permissions of customer %s: %w", customer, err)
		}
		if found {
			h.on[product], h.position = allowed, max(h.position, position)
		}
	}
	err := tx.Query(ctx, func(row *sql.Rows) error {
		var t turned
		err := row.Scan(&t.position, &t.product, &t.allowed)
		h.ahead = append(h.ahead, t)
		return err
	}, `SELECT position, product, allowed FROM permission_changes WHERE customer = ? AND position BETWEEN ? AND ? ORDER BY position`,
		customer.UUID[:], int64(first), int64(last))
	if err != nil {
		return nil, fmt.Errorf("read the permissions of customer %s: %w", customer, err)
	}
	return h, nil
}

// upTo walks on through a position and gives what is on then.
func (h *policyHistory) upTo(position uint64) (s PolicyState) {
	for ; len(h.ahead) > 0 && h.ahead[0].position <= position; h.ahead = h.ahead[1:] {
		h.on[h.ahead[0].product], h.position = h.ahead[0].allowed, h.ahead[0].position
	}
	for _, product := range domain.Products() {
		if h.on[product] {
			s.Products = append(s.Products, product)
		}
	}
	s.Position = h.position
	return s
}
