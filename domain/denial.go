package domain

import (
	"maps"
	"time"
)

// How many denied attempts are recorded in an hour (L7): enough for an auditor to see what is going on,
// too few for an attacker to fill the log. Beyond, attempts are refused without a record.
const (
	maxDenialsPerUser   = 30
	maxDenialsPerTenant = 300
)

// AttemptDenied says that a command was refused, for auditors. It changes nothing.
type AttemptDenied struct {
	Command string   `json:"command"`
	Tenant  TenantID `json:"tenant"` // of the sender
	UserID  UserID   `json:"userId,omitzero"`
	Code    Code     `json:"code"`
	Rule    string   `json:"rule,omitempty"`
	Detail  string   `json:"detail"`
	Also    []Reason `json:"also,omitempty"`
}

// EventType implements Event.
func (AttemptDenied) EventType() string { return "AttemptDenied" }

// Refusal is the error that the sender was given.
func (e AttemptDenied) Refusal() *Error {
	return &Error{Code: e.Code, Rule: e.Rule, Detail: e.Detail, Also: e.Also}
}

func denied(d *decision, c Command, refusal *Error) AttemptDenied {
	return AttemptDenied{
		Command: c.CommandName(), Tenant: d.actor.Tenant, UserID: d.actor.User,
		Code: refusal.Code, Rule: refusal.Rule, Detail: refusal.Detail, Also: refusal.Also,
	}
}

// denialKey counts attempts of one user, or with a zero user those of a whole tenant.
type denialKey struct {
	tenant TenantID
	user   UserID
	app    bool // applications without a user share one count
}

type denialCount struct {
	hour  int64 // since 1970
	count int32
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

func (t *tables) denialsIn(hour int64, key denialKey) int32 {
	if n, _ := t.denials.get(key); n.hour == hour {
		return n.count
	}
	return 0
}

func (e AttemptDenied) evolve(t *tables, f Fact) {
	hour := hourOf(f.Time)
	for _, key := range [...]denialKey{{tenant: e.Tenant}, {tenant: e.Tenant, user: e.UserID, app: e.UserID.IsZero()}} {
		t.denials.set(key, denialCount{hour: hour, count: t.denialsIn(hour, key) + 1})
	}
}

// forgetDenials drops the counts of earlier hours once a new one begins, so that memory stays bounded.
func (t *tables) forgetDenials() {
	for _, newest := range t.denials.sealed {
		maps.DeleteFunc(t.denials.current, func(_ denialKey, n denialCount) bool { return n.hour < newest.value.hour })
		return
	}
}

// recordDenial reports whether a refusal goes into the log. A tenant that is not registered has no book
// to record it in.
func (d *decision) recordDenial(refusal *Error) bool {
	hour := hourOf(d.at)
	_, registered := d.partners.get(d.partner)
	return refusal.Code.audited() && registered &&
		d.denialsIn(hour, denialKey{tenant: d.actor.Tenant}) < maxDenialsPerTenant &&
		d.denialsIn(hour, denialKey{tenant: d.actor.Tenant, user: d.actor.User, app: d.actor.User.IsZero()}) < maxDenialsPerUser
}
