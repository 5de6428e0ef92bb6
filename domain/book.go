package domain

import (
	"errors"
	"sync"
	"time"
)

// Book is the state of every partner, as small as decisions allow. Decide, Evolve, Seal, Commit, Retract and
// Discard belong to one goroutine, the decider; the other methods may be called from any.
type Book struct {
	tables          // the decider's view: current and pending
	current  tables // the same without the pending layers, for readers
	policies []Policy
	sealed   bool // a group waits for its Commit

	mu   sync.RWMutex // held for writing only while Commit merges
	head uint64       // position of the current layer; guarded by mu
}

// tables is the state by subject. Each subject's file owns its table.
type tables struct {
	partners      table[TenantID, partner]
	customers     table[TenantID, customer]
	subscriptions table[SubscriptionID, subscription]
	roles         table[roleKey, RoleSet]
	owners        table[ownerKey, int32]
	prices        table[priceKey, price]
	orders        table[orderKey, struct{}]
	reservations  table[ReservationID, reservation]
	renewals      table[ReservationID, int64] // expiry, in Unix seconds, of those that renew automatically
	cancelled     table[TenantID, []cancellation]
	denials       table[denialKey, denialCount]
	webhooks      table[TenantID, Webhook]
	offers        map[offer]*offer // interned; the decider's own
}

// NewBook makes an empty book judged by the given policies, or by Policies where none are given.
func NewBook(policies ...Policy) *Book {
	if len(policies) == 0 {
		policies = Policies()
	}
	b := &Book{policies: policies, tables: tables{
		partners:      newTable[TenantID, partner](),
		customers:     newTable[TenantID, customer](),
		subscriptions: newTable[SubscriptionID, subscription](),
		roles:         newTable[roleKey, RoleSet](),
		owners:        newTable[ownerKey, int32](),
		prices:        newTable[priceKey, price](),
		orders:        newTable[orderKey, struct{}](),
		reservations:  newTable[ReservationID, reservation](),
		renewals:      newTable[ReservationID, int64](),
		cancelled:     newTable[TenantID, []cancellation](),
		denials:       newTable[denialKey, denialCount](),
		webhooks:      newTable[TenantID, Webhook](),
		offers:        make(map[offer]*offer),
	}}
	b.current = b.settled()
	return b
}

// Decide judges a request at a recorded time. The facts it gives would stand at positions next, next+1
// and so on; none means that what is wished is already so (L2). A refusal is an *Error and changes
// nothing; one that auditors want to see (L7) is not an error here but an AttemptDenied fact, whose
// Refusal gives the error back.
func (b *Book) Decide(r Request, next uint64, at time.Time) ([]Fact, error) {
	d := decision{tables: &b.tables, id: r.id, actor: r.actor, at: at.UTC(), customer: r.command.target(), policies: b.policies}
	events, err := d.judge(r)
	if refusal := (*Error)(nil); errors.As(err, &refusal) && d.recordDenial(refusal) {
		events, err = []Event{denied(&d, r.command, refusal)}, nil
	}
	if err != nil {
		return nil, err
	}
	facts := make([]Fact, len(events))
	for i, e := range events {
		facts[i] = Fact{Position: next + uint64(i), Time: d.at, Partner: d.partner, Customer: d.customer, Event: e}
	}
	return facts, nil
}

// judge asks in the order who (tenant, role), whose (customer), since when (expected position), what.
func (d *decision) judge(r Request) ([]Event, error) {
	permit := r.command.permit()
	if err := d.identify(permit); err != nil {
		return nil, err
	}
	if err := d.authorise(permit); err != nil {
		return nil, err
	}
	if !permit.newcomer && !d.customer.IsZero() {
		c, known := d.customers.get(d.customer)
		if !known || c.partner != d.partner || d.byCustomer && d.customer != d.actor.Tenant {
			return nil, unknown("customer", d.customer)
		}
		if r.expected != 0 && c.changed > r.expected {
			return nil, refuse(CodeChanged, "", "Position %d is newer than the expected %d for this customer. Read it again, then decide.", c.changed, r.expected)
		}
	}
	return r.command.decide(d)
}

// Evolve folds a fact into the pending state.
func (b *Book) Evolve(f Fact) {
	f.Event.evolve(&b.tables, f)
	if c, known := b.customers.get(f.Customer); known {
		if _, attempt := f.Event.(AttemptDenied); !attempt {
			c.changed = f.Position
			b.customers.set(f.Customer, c)
		}
	}
}

// Seal ends the group being decided; what is decided next belongs to another one. At most one sealed group
// may wait for its Commit.
func (b *Book) Seal() {
	for _, t := range b.layers() {
		t.seal()
	}
	b.sealed = true
}

// Commit makes the oldest pending group current, as of position head: the sealed one, or else the one being
// decided.
func (b *Book) Commit(head uint64) {
	if !b.sealed {
		b.Seal()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetDenials()
	for _, t := range b.layers() {
		t.merge()
	}
	b.sealed, b.head = false, head
}

// Retract forgets the group being decided, and keeps a sealed one.
func (b *Book) Retract() {
	for _, t := range b.layers() {
		t.retract()
	}
}

// Discard forgets the pending state.
func (b *Book) Discard() {
	for _, t := range b.layers() {
		t.discard()
	}
	b.sealed = false
}

// layers lists the tables.
func (t *tables) layers() [12]layered {
	return [...]layered{
		&t.partners, &t.customers, &t.subscriptions, &t.roles, &t.owners, &t.prices,
		&t.orders, &t.reservations, &t.renewals, &t.cancelled, &t.denials, &t.webhooks,
	}
}

// read runs a question against the current state, without the pending layer, and gives the position of
// the answer.
func (b *Book) read(ask func(t *tables)) uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	ask(&b.current)
	return b.head
}

// settled gives the tables without their pending layers. What is merged later is in them too.
func (t *tables) settled() tables {
	return tables{
		partners:      t.partners.settled(),
		customers:     t.customers.settled(),
		subscriptions: t.subscriptions.settled(),
		roles:         t.roles.settled(),
		owners:        t.owners.settled(),
		prices:        t.prices.settled(),
		orders:        t.orders.settled(),
		reservations:  t.reservations.settled(),
		cancelled:     t.cancelled.settled(),
		denials:       t.denials.settled(),
		webhooks:      t.webhooks.settled(),
		renewals:      t.renewals.settled(),
	}
}
