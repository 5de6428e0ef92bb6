// Package eventstoretest tests event stores: a contract every store has to
// keep, faults to inject into one, and a small decider to test with.
package eventstoretest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// Transfer is the toy's command: it changes the balance of an account. A
// balance is never negative, so a decision on a stale state shows.
type Transfer struct {
	Account string `json:"account"`
	Amount  int64  `json:"amount"`
	// Pad makes the event as large as a test needs it.
	Pad string `json:"pad,omitempty"`
}

// Changed is the toy's event.
type Changed struct {
	Transfer
	Position uint64    `json:"-"`
	Time     time.Time `json:"-"`
}

// Tenant sends the toy's commands.
const Tenant = "toy"

// ErrOverdrawn is the toy's refusal.
var ErrOverdrawn = errors.New("the account holds less than that")

// Book is the toy's decider: balances by account.
type Book struct {
	Balances map[string]int64
	// Position is that of the last commit, Commits how many there were.
	Position uint64
	Commits  int
	// Judged, when set, is called for each decision.
	Judged func(Transfer)

	pending, sealed map[string]int64
	waiting         bool // a sealed group waits for its commit
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{Balances: make(map[string]int64), pending: make(map[string]int64), sealed: make(map[string]int64)}
}

func (b *Book) balance(account string) int64 {
	if v, ok := b.pending[account]; ok {
		return v
	}
	if v, ok := b.sealed[account]; ok {
		return v
	}
	return b.Balances[account]
}

// Decide refuses what would overdraw the account; an amount of zero is already
// so and needs no event.
func (b *Book) Decide(t Transfer, next uint64, at time.Time) ([]Changed, error) {
	if b.Judged != nil {
		b.Judged(t)
	}
	if t.Amount == 0 {
		return nil, nil
	}
	if b.balance(t.Account)+t.Amount < 0 {
		return nil, fmt.Errorf("account %s: %w", t.Account, ErrOverdrawn)
	}
	return []Changed{{Transfer: t, Position: next, Time: at}}, nil
}

// Evolve changes the pending balance.
func (b *Book) Evolve(e Changed) { b.pending[e.Account] = b.balance(e.Account) + e.Amount }

// Seal ends a group.
func (b *Book) Seal() {
	if b.waiting {
		panic("eventstoretest: two sealed groups")
	}
	b.sealed, b.pending, b.waiting = b.pending, b.sealed, true
}

// Commit keeps the balances of the oldest group.
func (b *Book) Commit(head uint64) {
	if !b.waiting {
		b.Seal()
	}
	maps.Copy(b.Balances, b.sealed)
	clear(b.sealed)
	b.waiting = false
	b.Position = head
	b.Commits++
}

// Retract forgets the group being decided.
func (b *Book) Retract() { clear(b.pending) }

// Discard forgets all that is pending.
func (b *Book) Discard() {
	clear(b.pending)
	clear(b.sealed)
	b.waiting = false
}

// Pending returns how many balances are pending.
func (b *Book) Pending() int { return len(b.pending) + len(b.sealed) }

// Codec is the toy's codec.
type Codec struct{}

// Encode stores a Changed.
func (Codec) Encode(e Changed) (eventstore.Event, error) {
	data, err := json.Marshal(e.Transfer)
	return eventstore.Event{Type: "Changed", Version: 1, Partner: "toy", Customer: e.Account, Data: data}, err
}

// Decode gives it back, and knows nothing else.
func (Codec) Decode(e eventstore.Event, position uint64, at time.Time) (Changed, error) {
	if e.Type != "Changed" || e.Version != 1 {
		return Changed{}, fmt.Errorf("event %s version %d is not known", e.Type, e.Version)
	}
	c := Changed{Position: position, Time: at}
	return c, json.Unmarshal(e.Data, &c.Transfer)
}

// Submit returns a submission of a transfer with a new id.
func Submit(account string, amount int64) eventstore.Submission[Transfer] {
	return SubmitAs(uuid.New(), Transfer{Account: account, Amount: amount})
}

// SubmitAs returns a submission of a transfer with a given id.
func SubmitAs(id uuid.UUID, t Transfer) eventstore.Submission[Transfer] {
	content, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	return eventstore.Submission[Transfer]{
		ID: id, Name: "Transfer", Digest: eventstore.HashOf(content), Command: t,
		Actor: eventstore.Actor{Tenant: Tenant, Roles: []string{"Teller"}}, Reason: "because", CorrelationID: "c-1",
	}
}
