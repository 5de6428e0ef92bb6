package domain

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// snapshotVersion changes with the layout of a snapshot or of the state itself; a snapshot of another
// version is not read, and the log is folded instead.
const snapshotVersion = 4

// ErrSnapshot says that a snapshot cannot be used: it is damaged, or of another version.
var ErrSnapshot = errors.New("the snapshot of the decision state cannot be used")

// Snapshot is a copy of the current state as of a position. The same state always has the same bytes.
type Snapshot struct {
	tables tables
	head   uint64
}

// Snapshot copies the current state. It may be called from any goroutine; decisions wait while the tables
// are copied, not while the copy is written.
func (b *Book) Snapshot() Snapshot {
	var s Snapshot
	s.head = b.read(func(t *tables) {
		s.tables = tables{
			partners:      t.partners.copied(),
			customers:     t.customers.copied(),
			subscriptions: t.subscriptions.copied(),
			roles:         t.roles.copied(),
			prices:        t.prices.copied(),
			orders:        t.orders.copied(),
			reservations:  t.reservations.copied(),
			cancelled:     t.cancelled.copied(),
			denials:       t.denials.copied(),
			webhooks:      t.webhooks.copied(),
		}
	})
	return s
}

// Head is the position as of which the snapshot was taken.
func (s Snapshot) Head() uint64 { return s.head }

func (t *table[K, V]) copied() table[K, V] { return table[K, V]{current: maps.Clone(t.current)} }

// sorted gives the keys of a table in the order of their bytes.
func sorted[K comparable, V any](t table[K, V], order func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(t.current), order)
}

func byID(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// WriteTo writes the snapshot. It implements io.WriterTo.
func (s Snapshot) WriteTo(to io.Writer) (int64, error) {
	w := &snapshotWriter{out: bufio.NewWriterSize(to, 1<<16)}
	w.uint(snapshotVersion)
	w.uint(s.head)
	t := &s.tables
	writeTable(w, t.partners, func(a, b TenantID) int { return byID(a.UUID, b.UUID) }, func(id TenantID, p partner) {
		w.id(id.UUID)
		w.text(p.name)
		w.text(p.country)
		w.text(string(p.currency))
	})
	writeTable(w, t.customers, func(a, b TenantID) int { return byID(a.UUID, b.UUID) }, func(id TenantID, c customer) {
		w.id(id.UUID)
		w.id(c.partner.UUID)
		w.text(c.companyName)
		w.text(c.domain)
		for _, allowed := range c.permissions {
			w.flag(allowed)
		}
		w.uint(c.permitted)
		w.int(int64(c.active))
		w.text(string(c.currency))
		w.uint(c.changed)
	})
	writeTable(w, t.subscriptions, func(a, b SubscriptionID) int { return byID(a.UUID, b.UUID) }, func(id SubscriptionID, s subscription) {
		w.id(id.UUID)
		w.id(s.customer.UUID)
		w.text(string(s.kind))
		w.text(string(s.status))
		w.text(s.name)
	})
	writeTable(w, t.roles, func(a, b roleKey) int {
		return cmp.Or(byID(a.subscription.UUID, b.subscription.UUID), byID(a.user.UUID, b.user.UUID))
	}, func(key roleKey, held RoleSet) {
		w.id(key.subscription.UUID)
		w.id(key.user.UUID)
		w.uint(uint64(held))
	})
	offers := t.writeOffers(w)
	writeTable(w, t.prices, func(a, b priceKey) int {
		return cmp.Or(byID(a.customer.UUID, b.customer.UUID), cmp.Compare(offers[a.offer], offers[b.offer]))
	}, func(key priceKey, p price) {
		w.id(key.customer.UUID)
		w.uint(offers[key.offer])
		w.int(p.customer)
		w.int(p.webDirect)
		w.text(p.family)
	})
	writeTable(w, t.orders, func(a, b orderKey) int { return byID(uuid.UUID(a), uuid.UUID(b)) }, func(key orderKey, _ struct{}) { w.id(uuid.UUID(key)) })
	writeTable(w, t.reservations, func(a, b ReservationID) int { return byID(a.UUID, b.UUID) }, func(id ReservationID, r reservation) {
		w.id(id.UUID)
		w.reservation(r, offers)
	})
	writeTable(w, t.cancelled, func(a, b TenantID) int { return byID(a.UUID, b.UUID) }, func(id TenantID, past []cancellation) {
		w.id(id.UUID)
		w.uint(uint64(len(past)))
		for _, c := range past {
			w.int(c.at)
			w.int(c.minor)
		}
	})
	writeTable(w, t.denials, func(a, b denialKey) int {
		return cmp.Or(byID(a.tenant.UUID, b.tenant.UUID), byID(a.user.UUID, b.user.UUID), cmp.Compare(number(a.app), number(b.app)))
	}, func(key denialKey, n denialCount) {
		w.id(key.tenant.UUID)
		w.id(key.user.UUID)
		w.flag(key.app)
		w.int(n.hour)
		w.int(int64(n.count))
	})
	writeTable(w, t.webhooks, func(a, b TenantID) int { return byID(a.UUID, b.UUID) }, func(id TenantID, hook Webhook) {
		w.id(id.UUID)
		w.text(hook.URL)
		w.uint(uint64(len(hook.Events)))
		for _, e := range hook.Events {
			w.text(string(e))
		}
		w.uint(hook.Since)
		w.uint(hook.Changed)
	})
	return w.written, cmp.Or(w.err, w.out.Flush())
}

// writeOffers writes the offers that prices and reservations refer to, and gives the number of each.
func (t *tables) writeOffers(w *snapshotWriter) map[*offer]uint64 {
	used := make(map[*offer]uint64)
	for key := range t.prices.current {
		used[key.offer] = 0
	}
	for _, r := range t.reservations.current {
		used[r.offer] = 0
	}
	list := slices.SortedFunc(maps.Keys(used), func(a, b *offer) int {
		return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Term, b.Term), cmp.Compare(a.BillingPlan, b.BillingPlan), cmp.Compare(a.family, b.family))
	})
	w.uint(uint64(len(list)))
	for i, o := range list {
		used[o] = uint64(i)
		w.text(o.SKU)
		w.text(o.Region)
		w.text(string(o.Term))
		w.text(string(o.BillingPlan))
		w.text(o.family)
	}
	return used
}

func writeTable[K comparable, V any](w *snapshotWriter, t table[K, V], order func(a, b K) int, row func(K, V)) {
	w.uint(uint64(len(t.current)))
	for _, key := range sorted(t, order) {
		row(key, t.current[key])
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// snapshotWriter writes values one after the other and keeps the first error.
type snapshotWriter struct {
	out     *bufio.Writer
	scratch [binary.MaxVarintLen64]byte
	written int64
	err     error
}

func (w *snapshotWriter) bytes(b []byte) {
	n, err := w.out.Write(b)
	w.written += int64(n)
	w.err = cmp.Or(w.err, err)
}

func (w *snapshotWriter) id(id uuid.UUID) { w.bytes(id[:]) }
func (w *snapshotWriter) uint(n uint64)   { w.bytes(binary.AppendUvarint(w.scratch[:0], n)) }
func (w *snapshotWriter) int(n int64)     { w.bytes(binary.AppendVarint(w.scratch[:0], n)) }
func (w *snapshotWriter) flag(b bool)     { w.uint(uint64(number(b))) }

func (w *snapshotWriter) text(s string) {
	w.uint(uint64(len(s)))
	w.bytes([]byte(s))
}

func (w *snapshotWriter) reservation(r reservation, offers map[*offer]uint64) {
	w.id(r.order.UUID)
	w.id(r.billing.UUID)
	w.id(r.scope.UUID)
	w.uint(offers[r.offer])
	w.int(r.unit)
	w.int(r.starts)
	w.uint(r.name)
	w.int(int64(r.quantity))
	w.uint(uint64(r.state))
	w.flag(r.renew)
	w.flag(r.renewed)
}
