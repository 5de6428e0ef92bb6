package projections

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"

	"permledger/domain"
	"permledger/projections/sqlite"
)

// Result says whether what an entry of the activity log names was done.
type Result string

// The results.
const (
	Succeeded Result = "succeeded"
	Failed    Result = "failed"
)

// Activity is one entry of the activity log. Every event is one; a denied attempt is an entry of what
// was attempted, with result failed (L7).
type Activity struct {
	Position      uint64           `json:"position"`
	Time          time.Time        `json:"time"`
	Action        string           `json:"action"` // event type; of a denied attempt the one it would have led to
	Type          string           `json:"type"`   // event type as stored: AttemptDenied for a denied attempt
	Label         string           `json:"label"`  // in English; see Label for other languages
	CustomerID    domain.TenantID  `json:"customerId,omitzero"`
	Actor         string           `json:"actor"`
	ActorDetail   ActorDetail      `json:"actorDetail"`
	Target        string           `json:"target"` // id or name of what it is about
	TargetKind    string           `json:"targetKind"`
	Result        Result           `json:"result"`
	Code          domain.Code      `json:"code,omitempty"`
	Rule          string           `json:"rule"` // the rule that said no; empty when done
	Detail        string           `json:"detail,omitempty"`
	Reason        string           `json:"reason,omitempty"`
	CommandID     domain.CommandID `json:"commandId"`
	Command       string           `json:"command"` // name of the command sent
	CorrelationID string           `json:"correlationId,omitempty"`
}

// ActorDetail is who sent a command, in full.
type ActorDetail struct {
	Tenant            domain.TenantID `json:"tenant"`
	UserID            domain.UserID   `json:"userId,omitzero"`
	UserPrincipalName string          `json:"userPrincipalName,omitempty"`
	Roles             []string        `json:"roles"`
	App               string          `json:"app,omitempty"`
}

// ActivityFilter narrows the activity log.
type ActivityFilter struct {
	Actions      []string        // actions or stored event types, any of which
	Actor        string          // object id, or part of the user principal name
	Result       Result          // either when empty
	CustomerID   domain.TenantID // entries about this customer
	Since, Until time.Time       // at or after Since, before Until
}

var activityModel = model{
	name:    "activity",
	version: 1,
	tables: []table{{
		name: "activity",
		schema: `(
	partner     BLOB NOT NULL,
	position    INTEGER NOT NULL,
	customer    BLOB,
	action      TEXT NOT NULL,
	target      TEXT NOT NULL,
	target_kind TEXT NOT NULL,
	failed      INTEGER NOT NULL,
	code        TEXT,
	rule        TEXT,
	detail      TEXT,
	PRIMARY KEY (partner, position)
) STRICT, WITHOUT ROWID`,
		key:     "partner, position",
		indexes: []string{`CREATE INDEX activity_by_customer ON activity (customer, position)`},
	}},
	event: foldActivity,
}

var activityRows = appendTo("activity", "partner", "position", "customer", "action", "target", "target_kind", "failed", "code", "rule", "detail")

func foldActivity(b *batch, e Entry) error {
	switch event := e.Event.(type) {
	case domain.PartnerRegistered:
		return done(b, e, "partner", e.Partner)
	case domain.CustomerRegistered:
		return done(b, e, "customer", e.Customer)
	case domain.SubscriptionRecorded:
		return done(b, e, "subscription", event.SubscriptionID)
	case domain.SubscriptionStatusChanged:
		return done(b, e, "subscription", event.SubscriptionID)
	case domain.SubscriptionRoleAssigned:
		return done(b, e, "subscription", event.SubscriptionID)
	case domain.SubscriptionRoleRemoved:
		return done(b, e, "subscription", event.SubscriptionID)
	case domain.ReservationPriceSet:
		return entry(b, e, "price", event.SKU)
	case domain.PurchasePermissionGranted:
		return entry(b, e, "product", string(event.Product))
	case domain.PurchasePermissionRevoked:
		return entry(b, e, "product", string(event.Product))
	case domain.CustomerPurchasedReservation:
		return done(b, e, "order", event.OrderID)
	case domain.PartnerPurchasedReservation:
		return done(b, e, "order", event.OrderID)
	case domain.CustomerPurchasedSavingsPlan:
		return done(b, e, "order", event.OrderID)
	case domain.PartnerPurchasedSavingsPlan:
		return done(b, e, "order", event.OrderID)
	case domain.ReservationExchanged:
		return done(b, e, "reservation", event.ReservationID)
	case domain.ReservationReturned:
		return done(b, e, "reservation", event.ReservationID)
	case domain.ReservationRenewed:
		return done(b, e, "reservation", event.ReservationID)
	case domain.ReservationScopeChanged:
		return done(b, e, "reservation", event.ReservationID)
	case domain.ReservationRenamed:
		return done(b, e, "reservation", event.ReservationID)
	case domain.ReservationSplit:
		return done(b, e, "reservation", event.ReservationID)
	case domain.ReservationsMerged:
		return done(b, e, "reservation", event.Into.ReservationID)
	case domain.WebhookRegistered:
		return entry(b, e, "webhook", hostOf(event.URL))
	case domain.WebhookRemoved:
		return done(b, e, "partner", e.Partner)
	case domain.AttemptDenied:
		return denied(b, e, event)
	default:
		return unknownEvent("activity", e)
	}
}

// entry adds what was done to something.
func entry(b *batch, e Entry, kind, target string) error {
	return b.add(activityRows, guid(e.Partner.UUID), int64(e.Position), guid(e.Customer.UUID), e.Event.EventType(), target, kind, false, nil, nil, nil)
}

// done adds what was done to something with an id.
func done(b *batch, e Entry, kind string, id fmt.Stringer) error {
	return entry(b, e, kind, id.String())
}

// hostOf is what everybody may see of a webhook's address: the rest may hold what its receiver knows callers by.
func hostOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return parsed.Host
}

// denied adds an attempt to the book of the sender's partner, and to that of the customer's own partner
// where it is another one: the owner learns who tried, the sender not that the customer exists (L8).
func denied(b *batch, e Entry, attempt domain.AttemptDenied) error {
	action, named := attempts[attempt.Command]
	if !named {
		action = purchaseAttempts[attempt.Command].by(e.Actor)
	}
	kind, target := "customer", e.Customer.String()
	if e.Customer.IsZero() {
		kind, target = "partner", e.Partner.String()
	}
	values := []any{
		guid(e.Partner.UUID), int64(e.Position), guid(e.Customer.UUID), action, target, kind, true,
		string(attempt.Code), text(attempt.Rule), attempt.Detail,
	}
	if err := b.add(activityRows, values...); err != nil || e.Customer.IsZero() {
		return err
	}
	return b.exec(`INSERT INTO activity (partner, position, customer, action, target, target_kind, failed, code, rule, detail)
		SELECT c.partner, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM customers c WHERE c.id = ?3 AND c.partner <> ?1`, values...)
}

// Activity lists the activity log, newest first.
func (m *Models) Activity(ctx context.Context, s Scope, f ActivityFilter, p Paging) (Page[Activity], error) {
	return m.activity(ctx, s, f, p, "activity", func(tx *sqlite.Tx, c *conditions) error {
		c.about(s, f.CustomerID, "a.partner", "a.customer")
		if len(f.Actions) > 0 {
			var either [2]conditions
			either[0].any("a.action", f.Actions)
			either[1].any("e.type", f.Actions)
			c.and("("+either[0].String()+" OR "+either[1].String()+")", append(either[0].args, either[1].args...)...)
		}
		if id, err := domain.ParseUserID(f.Actor); err == nil {
			c.and("e.user = ?", id.UUID[:])
		} else if f.Actor != "" {
			pattern := contains(f.Actor)
			c.and(`(e.upn LIKE ? ESCAPE '\' OR e.upn IS NULL AND e.app LIKE ? ESCAPE '\')`, pattern, pattern)
		}
		if f.Result != "" {
			c.and("a.failed = ?", f.Result == Failed)
		}
		return c.between(ctx, tx, "a.position", f.Since, f.Until)
	})
}

// ActivityAt is the entry at a position.
func (m *Models) ActivityAt(ctx context.Context, s Scope, position uint64) (Activity, uint64, error) {
	return first(m.activity(ctx, s, nil, Paging{Limit: 1}, "activity entry", func(_ *sqlite.Tx, c *conditions) error {
		c.and("a.partner = ?", s.partner.UUID[:])
		if !s.customer.IsZero() {
			c.and("a.customer = ?", s.customer.UUID[:])
		}
		c.and("a.position = ?", int64(position))
		return nil
	}))
}

// activity lists the entries that narrow leaves, which puts the scope as well. Who and when is read from
// the event: an entry stores only what it adds to it.
func (m *Models) activity(ctx context.Context, s Scope, filter any, p Paging, name string, narrow func(*sqlite.Tx, *conditions) error) (Page[Activity], error) {
	return list(ctx, m, name, s, filter, p, func(tx *sqlite.Tx) (listing[Activity], error) {
		l := listing[Activity]{
			rows: `SELECT ` + activityColumns + ` FROM activity a CROSS JOIN events e ON e.position = a.position`,
			keys: []string{"a.position"}, descending: true, scan: scanActivity,
			key: func(a Activity) []any { return []any{int64(a.Position)} },
		}
		return l, narrow(tx, &l.conditions)
	}, nil)
}

// activityColumns are what readActivity reads.
const activityColumns = `a.position, e.time, a.action, e.type, a.customer, a.target, a.target_kind, a.failed, a.code, a.rule, a.detail,
	e.tenant, e.user, e.upn, e.roles, e.app, e.reason, e.command, e.command_name, e.correlation`

func scanActivity(row *sql.Rows) (Activity, error) { return readActivity(row) }

// readActivity reads activityColumns, and what a query has beyond them into further.
func readActivity(row *sql.Rows, further ...any) (a Activity, err error) {
	var failed bool
	var roles string
	who := &a.ActorDetail
	err = row.Scan(append([]any{
		&a.Position,
		moment{&a.Time},
		&a.Action, &a.Type, &a.CustomerID, &a.Target, &a.TargetKind, &failed,
		optional[domain.Code]{&a.Code},
		optional[string]{&a.Rule},
		optional[string]{&a.Detail},
		&who.Tenant, &who.UserID,
		optional[string]{&who.UserPrincipalName},
		&roles,
		optional[string]{&who.App},
		optional[string]{&a.Reason},
		&a.CommandID, &a.Command,
		optional[string]{&a.CorrelationID},
	}, further...)...)
	who.Roles = splitRoles(roles)
	a.Actor = domain.Actor{User: who.UserID, UPN: who.UserPrincipalName, App: who.App}.Name()
	a.Label = Label(a.Action, "en")
	if a.Result = Succeeded; failed {
		a.Result = Failed
	}
	return a, err
}
