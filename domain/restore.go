package domain

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/google/uuid"
)

// Restore reads a snapshot into an empty book. Any error is ErrSnapshot and leaves the book unusable.
func (b *Book) Restore(from io.Reader) error {
	r := &snapshotReader{in: bufio.NewReaderSize(from, 1<<16), texts: make(map[string]string)}
	if version := r.uint(); version != snapshotVersion && r.err == nil {
		return fmt.Errorf("%w: version %d, this program reads %d", ErrSnapshot, version, snapshotVersion)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = r.uint()
	for range r.rows() {
		b.partners.current[TenantID{r.id()}] = partner{name: r.text(), country: r.text(), currency: Currency(r.text())}
	}
	for range r.rows() {
		id, c := TenantID{r.id()}, customer{partner: TenantID{r.id()}, companyName: r.text(), domain: r.text()}
		for p := range c.permissions {
			c.permissions[p] = r.flag()
		}
		c.permitted, c.active, c.currency, c.changed = r.uint(), int32(r.int()), Currency(r.text()), r.uint()
		b.customers.current[id] = c
	}
	for range r.rows() {
		b.subscriptions.current[SubscriptionID{r.id()}] = subscription{customer: TenantID{r.id()}, kind: SubscriptionKind(r.text()), status: SubscriptionStatus(r.text()), name: r.text()}
	}
	for range r.rows() {
		key, held := roleKey{SubscriptionID{r.id()}, UserID{r.id()}}, RoleSet(r.uint())
		b.roles.current[key] = held
		if held&Owner.bit() != 0 {
			b.owners.current[ownerKey{b.subscriptions.current[key.subscription].customer, key.user}]++
		}
	}
	b.restoreCommerce(r)
	for range r.rows() {
		b.denials.current[denialKey{TenantID{r.id()}, UserID{r.id()}, r.flag()}] = denialCount{hour: r.int(), count: int32(r.int())}
	}
	for range r.rows() {
		id, w := TenantID{r.id()}, Webhook{URL: r.text()}
		for range r.rows() {
			w.Events = append(w.Events, WebhookEvent(r.text()))
		}
		w.Since, w.Changed = r.uint(), r.uint()
		b.webhooks.current[id] = w
	}
	if _, err := r.in.ReadByte(); r.err == nil && err != io.EOF {
		return fmt.Errorf("%w: it goes on after its end", ErrSnapshot)
	}
	if r.err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, r.err)
	}
	return nil
}

// restoreCommerce reads offers, prices, orders, reservations and cancellations.
func (b *Book) restoreCommerce(r *snapshotReader) {
	var offers []*offer
	for range r.rows() {
		offers = append(offers, b.intern(offer{Offer{SKU: r.text(), Region: r.text(), Term: Term(r.text()), BillingPlan: BillingPlan(r.text())}, r.text()}))
	}
	offerAt := func(i uint64) *offer {
		if i >= uint64(len(offers)) {
			r.fail(errors.New("it refers to an offer that it does not hold"))
			return &offer{}
		}
		return offers[i]
	}
	for range r.rows() {
		b.prices.current[priceKey{TenantID{r.id()}, offerAt(r.uint())}] = price{customer: r.int(), webDirect: r.int(), family: r.text()}
	}
	for range r.rows() {
		b.orders.current[orderKey(r.id())] = struct{}{}
	}
	for range r.rows() {
		id := ReservationID{r.id()}
		v := reservation{
			order: OrderID{r.id()}, billing: SubscriptionID{r.id()}, scope: SubscriptionID{r.id()},
			offer: offerAt(r.uint()), unit: r.int(), starts: r.int(), name: r.uint(),
			quantity: int32(r.int()), state: reservationState(r.uint()), renew: r.flag(), renewed: r.flag(),
		}
		b.reservations.current[id] = v
		if v.renew {
			b.renewals.current[id] = v.expires()
		}
	}
	for range r.rows() {
		id, past := TenantID{r.id()}, []cancellation(nil)
		for range r.rows() {
			past = append(past, cancellation{at: r.int(), minor: r.int()})
		}
		b.cancelled.current[id] = past
	}
}

// snapshotReader reads what snapshotWriter wrote; after an error it gives zeros.
type snapshotReader struct {
	in     *bufio.Reader
	texts  map[string]string // equal texts share their memory
	buffer [maxSnapshotText]byte
	err    error
}

func (r *snapshotReader) fail(err error) { r.err = cmp.Or(r.err, err) }

func (r *snapshotReader) id() (id uuid.UUID) {
	if _, err := io.ReadFull(r.in, id[:]); err != nil {
		r.fail(err)
	}
	return id
}

func (r *snapshotReader) uint() uint64 {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		r.fail(err)
		return 0
	}
	return n
}

func (r *snapshotReader) int() int64 {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadVarint(r.in)
	if err != nil {
		r.fail(err)
		return 0
	}
	return n
}

func (r *snapshotReader) flag() bool { return r.uint() == 1 }

// rows runs over the rows of a table, as many as it says that it has, and ends at the first error.
func (r *snapshotReader) rows() iter.Seq[uint64] {
	n := r.uint()
	return func(yield func(uint64) bool) {
		for i := uint64(0); i < n && r.err == nil; i++ {
			if !yield(i) {
				return
			}
		}
	}
}

// maxSnapshotText bounds a text, so that a damaged length does not ask for all memory.
const maxSnapshotText = 1 << 12

func (r *snapshotReader) text() string {
	n := r.uint()
	if n > maxSnapshotText {
		r.fail(errors.New("it holds a text that is too long"))
	}
	if r.err != nil || n == 0 {
		return ""
	}
	if _, err := io.ReadFull(r.in, r.buffer[:n]); err != nil {
		r.fail(err)
		return ""
	}
	if known, ok := r.texts[string(r.buffer[:n])]; ok {
		return known
	}
	s := string(r.buffer[:n])
	r.texts[s] = s
	return s
}
