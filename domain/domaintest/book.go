// Package domaintest is the language in which the rules are tested: given what happened, when a command
// is sent, then these events, or this refusal.
package domaintest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

// Start is the time at which every book begins.
var Start = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// ID makes the same GUID of the same name in every test.
func ID(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

// The cast: a partner with its agents, its customer with two users, and another partner.
var (
	Partner  = domain.TenantID{UUID: ID("fabrikam")}
	Customer = domain.TenantID{UUID: ID("contoso")}
	Rival    = domain.TenantID{UUID: ID("rival")}

	Admin    = domain.Actor{Tenant: Partner, User: domain.UserID{UUID: ID("mei")}, UPN: "mei@fabrikam.example", Roles: domain.AdminAgent, App: "test"}
	Sales    = domain.Actor{Tenant: Partner, User: domain.UserID{UUID: ID("tom")}, UPN: "tom@fabrikam.example", Roles: domain.SalesAgent, App: "test"}
	Helpdesk = domain.Actor{Tenant: Partner, User: domain.UserID{UUID: ID("ana")}, UPN: "ana@fabrikam.example", Roles: domain.HelpdeskAgent, App: "test"}
	Auditor  = domain.Actor{Tenant: Partner, User: domain.UserID{UUID: ID("aud")}, UPN: "aud@fabrikam.example", Roles: domain.Auditor, App: "test"}
	App      = domain.Actor{Tenant: Partner, Roles: domain.AdminAgent, App: "test"}
	Buyer    = domain.Actor{Tenant: Customer, User: domain.UserID{UUID: ID("yijun")}, UPN: "yijun@contoso.example", Roles: domain.CustomerUser, App: "test"}
	Stranger = domain.Actor{Tenant: Rival, User: domain.UserID{UUID: ID("rex")}, UPN: "rex@rival.example", Roles: domain.AdminAgent, App: "test"}

	Subscription = domain.SubscriptionID{UUID: ID("prod")}
	Offer        = domain.Offer{SKU: "Standard_D2s_v5", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront}
)

// Book is a book under test, its log and its clock.
type Book struct {
	*domain.Book
	t     testing.TB
	Now   time.Time
	Facts []domain.Fact
	sent  int
}

// NewBook makes an empty book; Policies are those of the programme where none are given.
func NewBook(t testing.TB, policies ...domain.Policy) *Book {
	t.Helper()
	return &Book{Book: domain.NewBook(policies...), t: t, Now: Start}
}

// Later moves the clock.
func (b *Book) Later(d time.Duration) { b.Now = b.Now.Add(d) }

// LaterDate moves the clock by calendar years, months and days.
func (b *Book) LaterDate(years, months, days int) { b.Now = b.Now.AddDate(years, months, days) }

// Send lets an actor send a command under a new id, and records what follows.
func (b *Book) Send(actor domain.Actor, command domain.Command) ([]domain.Event, error) {
	b.t.Helper()
	b.sent++
	id := CommandID(b.sent)
	request, err := domain.NewRequest(id, actor, command)
	if err != nil {
		return nil, err
	}
	return b.SendRequest(request)
}

// SendRequest judges a request and records what follows. A denied attempt is recorded and given back as
// the refusal it is.
func (b *Book) SendRequest(request domain.Request) ([]domain.Event, error) {
	b.t.Helper()
	facts, err := b.Decide(request, uint64(len(b.Facts)+1), b.Now)
	if err != nil {
		return nil, err
	}
	events := make([]domain.Event, len(facts))
	for i, f := range facts {
		require.Equal(b.t, uint64(len(b.Facts)+1), f.Position, "positions have no gaps")
		b.Evolve(f)
		b.Facts = append(b.Facts, f)
		events[i] = f.Event
	}
	b.Commit(uint64(len(b.Facts)))
	if len(events) == 1 {
		if attempt, denied := events[0].(domain.AttemptDenied); denied {
			return nil, attempt.Refusal()
		}
	}
	return events, nil
}

// Given sends commands that must be accepted.
func (b *Book) Given(actor domain.Actor, commands ...domain.Command) {
	b.t.Helper()
	for _, c := range commands {
		_, err := b.Send(actor, c)
		require.NoError(b.t, err, "given %s", c.CommandName())
	}
}

// Accepted sends a command that must be accepted and gives its events.
func (b *Book) Accepted(actor domain.Actor, command domain.Command) []domain.Event {
	b.t.Helper()
	events, err := b.Send(actor, command)
	require.NoError(b.t, err)
	return events
}

// Refused sends a command that must be refused with a code, and gives the refusal. Nothing but an
// attempt for auditors may have been recorded.
func (b *Book) Refused(actor domain.Actor, command domain.Command, code domain.Code, rule string) *domain.Error {
	b.t.Helper()
	before := len(b.Facts)
	_, err := b.Send(actor, command)
	var refusal *domain.Error
	require.ErrorAs(b.t, err, &refusal)
	require.Equal(b.t, code, refusal.Code, refusal.Detail)
	require.Equal(b.t, rule, refusal.Rule, refusal.Detail)
	require.NotEmpty(b.t, refusal.Detail)
	for _, f := range b.Facts[before:] {
		require.IsType(b.t, domain.AttemptDenied{}, f.Event, "a refused command has no effect")
	}
	return refusal
}

// One is the only event of an answer, as the type it must be.
func One[E domain.Event](t testing.TB, events []domain.Event) E {
	t.Helper()
	require.Len(t, events, 1)
	e, ok := events[0].(E)
	require.True(t, ok, "got %T", events[0])
	return e
}

// CommandID is the id of the n-th command that a book is sent.
func CommandID(n int) domain.CommandID {
	return domain.CommandID{UUID: uuid.NewSHA1(ID("commands"), []byte{byte(n >> 16), byte(n >> 8), byte(n)})}
}
