package projections

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Event is one event as it is stored, for feeds.
type Event struct {
	Position      uint64           `json:"position"`
	Type          string           `json:"type"`
	Version       int              `json:"version"`
	Time          time.Time        `json:"time"`
	CustomerID    domain.TenantID  `json:"customerId,omitzero"`
	CommandID     domain.CommandID `json:"commandId"`
	Command       string           `json:"command"`
	Actor         ActorDetail      `json:"actor"`
	Reason        string           `json:"reason,omitempty"`
	CorrelationID string           `json:"correlationId,omitempty"`
	Data          json.RawMessage  `json:"data"`
}

// EventFilter narrows the feed.
type EventFilter struct {
	After      uint64          // positions above this one
	Types      []string        // stored event types, any of which; all when empty
	CustomerID domain.TenantID // events about this customer
}

// EventPage is one piece of the feed, oldest first.
type EventPage struct {
	Items    []Event `json:"items"`
	Next     uint64  `json:"next"` // After of the next piece; moves on even where nothing matched
	More     bool    `json:"more"` // the next piece can be read at once
	Position uint64  `json:"-"`
}

var eventsModel = model{
	name:    "events",
	version: 2,
	tables: []table{{
		name: "events",
		schema: `(
	position     INTEGER PRIMARY KEY,
	partner      BLOB NOT NULL,
	customer     BLOB,
	type         TEXT NOT NULL,
	version      INTEGER NOT NULL,
	time         INTEGER NOT NULL,
	command      BLOB NOT NULL,
	command_name TEXT NOT NULL,
	tenant       BLOB NOT NULL,
	user         BLOB,
	upn          TEXT,
	roles        TEXT NOT NULL,
	app          TEXT,
	reason       TEXT,
	correlation  TEXT,
	data         TEXT NOT NULL
) STRICT`,
		key: "position", // whose they are, the indexes of the activity log know
	}},
	event: foldEvents,
}

var eventRows = appendTo("events", "position", "partner", "customer", "type", "version", "time", "command", "command_name",
	"tenant", "user", "upn", "roles", "app", "reason", "correlation", "data")

// foldEvents keeps every event as it is stored, of whatever type.
func foldEvents(b *batch, e Entry) error {
	return b.add(eventRows, int64(e.Position), guid(e.Partner.UUID), guid(e.Customer.UUID), e.Event.EventType(), int64(e.Version), instant(e.Time),
		guid(e.Command.UUID), e.CommandName, guid(e.Actor.Tenant.UUID), guid(e.Actor.User.UUID), text(e.Actor.UPN),
		strings.Join(e.Actor.Roles.Names(), ","), text(e.Actor.App), text(e.Reason), text(e.CorrelationID), string(e.Data))
}

// Events reads the feed, oldest first.
func (m *Models) Events(ctx context.Context, s Scope, f EventFilter, most int) (EventPage, error) {
	most = limit(most)
	page := EventPage{Items: []Event{}}
	var err error
	page.Position, err = m.read(ctx, s, func(tx *sqlite.Tx) error {
		c := f.conditions(s)
		c.and("a.position > ?", int64(f.After))
		var err error
		page.Items, err = selectEvents(ctx, tx, c, most+1)
		return err
	})
	if err != nil {
		return EventPage{}, err
	}
	if page.More = len(page.Items) > most; page.More {
		page.Items = page.Items[:most]
		page.Next = page.Items[most-1].Position
	} else {
		page.Next = max(page.Position, f.After)
	}
	return page, nil
}

func (f EventFilter) conditions(s Scope) conditions {
	var c conditions
	c.about(s, f.CustomerID, "a.partner", "a.customer")
	c.and("e.partner = a.partner") // a stranger's attempt is an entry of the customer's partner too, but no event of it
	c.any("e.type", f.Types)
	return c
}

// EventAt is the event at a position.
func (m *Models) EventAt(ctx context.Context, s Scope, position uint64) (Event, uint64, error) {
	var items []Event
	as, err := m.read(ctx, s, func(tx *sqlite.Tx) error {
		c := EventFilter{}.conditions(s)
		c.and("a.position = ?", int64(position))
		var err error
		items, err = selectEvents(ctx, tx, c, 1)
		return err
	})
	if err == nil && len(items) == 0 {
		err = fmt.Errorf("event %d: %w", position, ErrNotFound)
	}
	if err != nil {
		return Event{}, 0, err
	}
	return items[0], as, nil
}

func selectEvents(ctx context.Context, tx *sqlite.Tx, c conditions, most int) ([]Event, error) {
	items := []Event{}
	err := tx.Query(ctx, func(row *sql.Rows) error {
		if len(items) == most {
			return sqlite.ErrEnough
		}
		var e Event
		var roles, data string
		err := row.Scan(&e.Position, &e.CustomerID, &e.Type, &e.Version, moment{&e.Time}, &e.CommandID, &e.Command, &e.Actor.Tenant,
			&e.Actor.UserID, optional[string]{&e.Actor.UserPrincipalName}, &roles, optional[string]{&e.Actor.App},
			optional[string]{&e.Reason}, optional[string]{&e.CorrelationID}, &data)
		e.Actor.Roles, e.Data = splitRoles(roles), json.RawMessage(data)
		items = append(items, e)
		return err
	}, `SELECT e.position, e.customer, e.type, e.version, e.time, e.command, e.command_name, e.tenant, e.user, e.upn, e.roles, e.app,
		e.reason, e.correlation, e.data FROM activity a CROSS JOIN events e ON e.position = a.position
		WHERE `+c.String()+` ORDER BY a.position`, c.args...)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return items, nil
}

func splitRoles(stored string) []string {
	if stored == "" {
		return []string{}
	}
	return strings.Split(stored, ",")
}

// firstSince is the position of the first event recorded at or after a moment, or the one that the next
// event will have. Positions have no gaps and their times never go back, so that halving finds it.
func firstSince(ctx context.Context, tx *sqlite.Tx, at time.Time) (int64, error) {
	var last int64
	if _, err := tx.One(ctx, []any{&last}, `SELECT coalesce(max(position), 0) FROM events`); err != nil {
		return 0, fmt.Errorf("find the newest event: %w", err)
	}
	low, high := int64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		var recorded time.Time
		if _, err := tx.One(ctx, []any{moment{&recorded}}, `SELECT time FROM events WHERE position = ?`, middle); err != nil {
			return 0, fmt.Errorf("find the time of event %d: %w", middle, err)
		}
		if recorded.Before(at) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// WithoutPrices is the event as a reader sees it who may not see what things cost: every amount of money
// in its data is null.
func (e Event) WithoutPrices() (Event, error) {
	var content any
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.UseNumber()
	if err := decoder.Decode(&content); err != nil {
		return Event{}, fmt.Errorf("event %d: %w", e.Position, err)
	}
	data, err := json.Marshal(withoutMoney(content))
	if err != nil {
		return Event{}, fmt.Errorf("event %d: %w", e.Position, err)
	}
	e.Data = data
	return e, nil
}

// withoutMoney gives null for every object that has the shape of domain.Money.
func withoutMoney(content any) any {
	switch v := content.(type) {
	case map[string]any:
		if _, amount := v["amount"]; amount && v["currency"] != nil && len(v) == 2 {
			return nil
		}
		for name, member := range v {
			v[name] = withoutMoney(member)
		}
	case []any:
		for i, member := range v {
			v[i] = withoutMoney(member)
		}
	}
	return content
}
