package domain

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// reader is an event that reads its own stored form, in exactly the layout in which appender writes it. It
// reports false for anything else, which is then left to encoding/json. Purchases are most of what is read
// when a log is folded.
type reader interface {
	readJSON(data []byte) bool
}

func (e *CustomerPurchasedReservation) readJSON(data []byte) bool {
	p := layout{b: data}
	p.skip("{")
	e.Bought = p.bought()
	p.skip(`,"userId":`)
	e.UserID = UserID{p.id()}
	p.skip(`,"userPrincipalName":`)
	e.UserPrincipalName = p.text()
	p.skip(`,"purchasedAt":`)
	e.PurchasedAt = p.time()
	p.skip(`,"reported":`)
	e.Reported = p.flag()
	p.skip(`,"authorised":`)
	e.Authorised = p.flag()
	p.skip("}") // a purchase that broke a rule has more to say, and is rare
	return p.done()
}

func (e *PartnerPurchasedReservation) readJSON(data []byte) bool {
	p := layout{b: data}
	p.skip("{")
	e.Bought = p.bought()
	if p.next(`,"userId":`) {
		e.UserID = UserID{p.id()}
	}
	if p.next(`,"userPrincipalName":`) {
		e.UserPrincipalName = p.text()
	}
	p.skip(`,"purchasedAt":`)
	e.PurchasedAt = p.time()
	p.skip("}")
	return p.done()
}

// layout reads one known layout. After the first surprise it is bad, and what it gives is worthless.
type layout struct {
	b   []byte
	at  int
	bad bool
}

func (p *layout) done() bool { return !p.bad && p.at == len(p.b) }

// next skips s when it comes next.
func (p *layout) next(s string) bool {
	if p.bad || len(p.b)-p.at < len(s) || string(p.b[p.at:p.at+len(s)]) != s {
		return false
	}
	p.at += len(s)
	return true
}

func (p *layout) skip(s string) { p.bad = !p.next(s) || p.bad }

func (p *layout) bought() (r Bought) {
	p.skip(`"orderId":`)
	r.OrderID = OrderID{p.id()}
	p.skip(`,"reservationId":`)
	r.ReservationID = ReservationID{p.id()}
	p.skip(`,"subscriptionId":`)
	r.SubscriptionID = SubscriptionID{p.id()}
	p.skip(`,"sku":`)
	r.SKU = p.text()
	p.skip(`,"region":`)
	r.Region = p.text()
	p.skip(`,"term":`)
	r.Term = Term(p.text())
	p.skip(`,"billingPlan":`)
	r.BillingPlan = BillingPlan(p.text())
	p.skip(`,"family":`)
	r.Family = p.text()
	p.skip(`,"quantity":`)
	r.Quantity = p.number()
	p.skip(`,"scope":{"type":`)
	r.Scope.Type = ScopeType(p.text())
	if p.next(`,"subscriptionId":`) {
		r.Scope.SubscriptionID = SubscriptionID{p.id()}
	}
	p.skip(`},"displayName":`)
	r.DisplayName = p.text()
	if p.next(`,"unitPrice":`) {
		r.UnitPrice = p.money()
	}
	if p.next(`,"total":`) {
		r.Total = p.money()
	}
	if p.next(`,"webDirectPrice":`) {
		r.WebDirectPrice = p.money()
	}
	p.skip(`,"billedTo":`)
	r.BilledTo = TenantID{p.id()}
	p.skip(`,"startsAt":`)
	r.StartsAt = p.time()
	p.skip(`,"expiresAt":`)
	r.ExpiresAt = p.time()
	return r
}

// plain reads a string without escapes and gives its bytes where they are.
func (p *layout) plain() []byte {
	p.skip(`"`)
	if p.bad {
		return nil
	}
	n := bytes.IndexByte(p.b[p.at:], '"')
	if n < 0 {
		p.bad = true
		return nil
	}
	s := p.b[p.at : p.at+n]
	p.at += n + 1
	return s
}

func (p *layout) text() string {
	s := p.plain()
	for _, c := range s {
		if c < ' ' || c == '\\' {
			p.bad = true
			return ""
		}
	}
	p.bad = p.bad || !utf8.Valid(s)
	return string(s)
}

func (p *layout) id() uuid.UUID {
	s := p.plain()
	id, err := uuid.ParseBytes(s)
	p.bad = p.bad || err != nil || len(s) != 36
	return id
}

func (p *layout) time() (t time.Time) {
	if err := t.UnmarshalText(p.plain()); err != nil {
		p.bad = true
	}
	return t
}

func (p *layout) flag() bool {
	if p.next("true") {
		return true
	}
	p.skip("false")
	return false
}

// number reads what strconv writes for an integer.
func (p *layout) number() int64 {
	start := p.at
	for p.at < len(p.b) && (p.b[p.at] == '-' || p.b[p.at] >= '0' && p.b[p.at] <= '9') {
		p.at++
	}
	s := string(p.b[start:p.at])
	n, err := strconv.ParseInt(s, 10, 64)
	p.bad = p.bad || err != nil || strconv.FormatInt(n, 10) != s
	return n
}

func (p *layout) money() (m Money) {
	start := p.at
	n := bytes.IndexByte(p.b[start:], '}')
	if n < 0 || !p.next(moneyHead) {
		p.bad = true
		return Money{}
	}
	p.at = start + n + 1
	if err := m.UnmarshalJSON(p.b[start:p.at]); err != nil {
		p.bad = true
	}
	return m
}
