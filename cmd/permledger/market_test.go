package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/auth"
)

// party is a customer with the one subscription it buys on and the users who try to.
type party struct {
	customer, subscription string
	users                  []string
}

// market is a few customers whose permission, roles and subscription change while their users buy.
type market struct {
	parties []party
	tokens  map[string]string // by user; the admin agent's under ""

	deadline time.Duration                      // of a request; a minute when zero
	pause    time.Duration                      // after an answer of the server's own trouble; 10 ms when zero
	pace     time.Duration                      // between a client's deeds
	answered func(time.Duration, answer, error) // is told of every request, when not nil
}

// named gives the same id for the same name in every run.
func named(format string, args ...any) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, format, args...)).String()
}

// opening is what every customer of a market begins with: on, active, every user but the last an owner.
func (m *market) opening(p int) standing {
	return standing{on: true, active: true, owners: 1<<(len(m.parties[p].users)-1) - 1}
}

// newMarket names customers and users and makes their tokens with the key of a data directory.
func newMarket(t *testing.T, dir string, customers, users int) *market {
	t.Helper()
	keys, err := auth.OpenDev(dir)
	require.NoError(t, err)
	m := &market{tokens: make(map[string]string)}
	mint := func(tenant, user string, role domain.Roles) {
		token, err := keys.Mint(auth.Token{
			Tenant: domain.TenantID{UUID: uuid.MustParse(tenant)}, User: domain.UserID{UUID: uuid.MustParse(user)},
			UPN: user + "@example.com", Roles: role, App: "torture",
		})
		require.NoError(t, err)
		if role == domain.AdminAgent {
			user = ""
		}
		m.tokens[user] = token
	}
	mint(fabrikam, named("admin"), domain.AdminAgent)
	for c := range customers {
		p := party{customer: named("customer %d", c), subscription: named("subscription %d", c)}
		for u := range users {
			user := named("user %d of %d", u, c)
			p.users = append(p.users, user)
			mint(p.customer, user, domain.CustomerUser)
		}
		m.parties = append(m.parties, p)
	}
	return m
}

// register makes the market known to a server.
func (m *market) register(s *server) {
	s.t.Helper()
	admin := m.tokens[""]
	s.accepted(admin, "RegisterPartner", map[string]any{"name": "Fabrikam", "country": "TW", "currency": "USD"})
	for i, p := range m.parties {
		s.accepted(admin, "RegisterCustomer", map[string]any{"customerId": p.customer, "companyName": fmt.Sprint("Customer ", i), "domain": "customer.example"})
		s.accepted(admin, "RecordSubscription", map[string]any{"customerId": p.customer, "subscriptionId": p.subscription, "kind": "AzurePlan", "name": "Prod"})
		s.accepted(admin, "SetReservationPrice", map[string]any{
			"customerId": p.customer, "sku": "Standard_D2s_v5", "region": "eastus", "term": "P1Y", "billingPlan": "Upfront",
			"customerPrice": usd("500.00"), "webDirectPrice": usd("519.00"),
		})
		for u := range p.users[:len(p.users)-1] {
			s.accepted(admin, "AssignSubscriptionRole", m.body(deed{kind: assign, party: i, user: u}))
		}
		s.accepted(admin, "GrantPurchasePermission", m.body(deed{kind: grant, party: i}))
	}
}

// kind is what a client does.
type kind int

const (
	purchase kind = iota
	grant
	revoke
	suspend
	resume
	assign
	remove
	check
)

// verb names a deed's command.
var verb = map[kind]string{
	purchase: "PurchaseReservation", grant: "GrantPurchasePermission", revoke: "RevokePurchasePermission",
	suspend: "ChangeSubscriptionStatus", resume: "ChangeSubscriptionStatus", assign: "AssignSubscriptionRole", remove: "RemoveSubscriptionRole",
	check: "check",
}

// deed is one request of a client with what became of it.
type deed struct {
	client, party, user int
	kind                kind
	id                  string
	called, returned    int64 // nanoseconds since the history began
	known               bool  // an answer came that says what became of it
	code                string
	body                []byte
	note                string // of an answer that says nothing
}

// accepted reports whether the server said that it has done it.
func (d *deed) accepted() bool { return d.known && d.code == "" && d.kind != check }

// chosen gives a random deed: mostly purchases, and now and then a change of what decides about them.
func (m *market) chosen(random *rand.Rand, client int) deed {
	d := deed{client: client, party: random.IntN(len(m.parties)), id: uuid.NewString()}
	d.user = random.IntN(len(m.parties[d.party].users))
	switch n := random.IntN(100); {
	case n < 55:
		d.kind = purchase
	case n < 70:
		d.kind = check
	case n < 78:
		d.kind = revoke
	case n < 88:
		d.kind = grant
	case n < 90:
		d.kind = suspend
	case n < 94:
		d.kind = resume
	case n < 96:
		d.kind = remove
	default:
		d.kind = assign
	}
	return d
}

// body is what a deed's command says.
func (m *market) body(d deed) map[string]any {
	p := m.parties[d.party]
	switch d.kind {
	case grant, revoke:
		return map[string]any{"customerId": p.customer, "product": "AzureReservedInstances"}
	case suspend:
		return map[string]any{"customerId": p.customer, "subscriptionId": p.subscription, "status": "suspended"}
	case resume:
		return map[string]any{"customerId": p.customer, "subscriptionId": p.subscription, "status": "active"}
	case assign, remove:
		return map[string]any{"customerId": p.customer, "subscriptionId": p.subscription, "userId": p.users[d.user], "userPrincipalName": p.users[d.user], "role": "Owner"}
	case purchase, check:
	}
	return map[string]any{
		"customerId": p.customer, "subscriptionId": p.subscription, "sku": "Standard_D2s_v5", "region": "eastus", "term": "P1Y",
		"billingPlan": "Upfront", "quantity": 1, "scope": map[string]any{"type": "Shared"},
	}
}

// try sends a deed once and notes the answer when it says what became of it.
func (m *market) try(ctx context.Context, s *server, d *deed) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(m.deadline, time.Minute))
	defer cancel()
	p := m.parties[d.party]
	var got answer
	var err error
	asked := time.Now()
	if d.kind == check {
		got, err = exchange(ctx, s.url+"/api/customers/"+p.customer+"/permissions/AzureReservedInstances/check?userId="+p.users[d.user]+"&subscriptionId="+p.subscription, http.MethodGet, m.tokens[""], "", nil)
	} else {
		token := m.tokens[""]
		if d.kind == purchase {
			token = m.tokens[p.users[d.user]]
		}
		got, err = exchange(ctx, s.url+"/api/commands/"+verb[d.kind], http.MethodPost, token, d.id, m.body(*d))
	}
	if m.answered != nil {
		m.answered(time.Since(asked), got, err)
	}
	if err != nil {
		d.note = err.Error()
		return err
	}
	return d.heard(got)
}

// heard notes an answer. One of the server's own trouble says nothing about the deed.
func (d *deed) heard(got answer) error {
	var said struct {
		Code    string `json:"code"`
		Allowed bool   `json:"allowed"`
		Reasons []struct {
			Code string `json:"code"`
		} `json:"reasons"`
	}
	if err := unmarshal(got.body, &said); err != nil {
		return err
	}
	d.body, d.code = got.body, said.Code
	switch {
	case got.status >= http.StatusInternalServerError, got.status == http.StatusTooManyRequests:
		d.note = fmt.Sprintf("%d %s", got.status, said.Code)
		return fmt.Errorf("answer %d: %s", got.status, got.body)
	case d.kind == check && len(said.Reasons) > 0:
		d.code = said.Reasons[0].Code
	}
	d.known = true
	return nil
}

// crowd is the clients of a market while they are at work.
type crowd struct {
	market *market
	began  time.Time
	done   atomic.Int64 // deeds
	stop   context.CancelFunc
	left   chan struct{} // closed when all clients have ended

	mu    sync.Mutex
	deeds []deed // guarded by mu
}

// enter lets clients act on whatever server each target aims at, until stop. A client whose deed has no
// outcome sends it again until it has one; one time in four it leaves it open and goes on.
func (m *market) enter(random *rand.Rand, clients int, at ...*target) *crowd {
	ctx, stop := context.WithCancel(context.Background())
	c := &crowd{market: m, began: time.Now(), stop: stop, left: make(chan struct{})}
	var all sync.WaitGroup
	for i := range clients {
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		all.Go(func() { c.act(ctx, own, i, at) })
	}
	go func() {
		all.Wait()
		close(c.left)
	}()
	return c
}

func (c *crowd) act(ctx context.Context, random *rand.Rand, client int, at []*target) {
	for ctx.Err() == nil {
		d := c.market.chosen(random, client)
		leaves := random.IntN(4) == 0
		d.called = int64(time.Since(c.began))
		for !d.known && ctx.Err() == nil {
			aimed := at[random.IntN(len(at))]
			s, changed := aimed.now()
			// A deed under way when the crowd stops still gets its answer.
			err := c.market.try(context.WithoutCancel(ctx), s, &d)
			if d.known || leaves {
				break
			}
			pause := cmp.Or(c.market.pause, 10*time.Millisecond)
			if d.code == "" {
				pause = time.Second // nobody there: wait for the next server rather
			}
			if err != nil && len(at) == 1 || d.code != "" {
				select {
				case <-changed:
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		}
		d.returned = int64(time.Since(c.began))
		c.mu.Lock()
		c.deeds = append(c.deeds, d)
		c.mu.Unlock()
		c.done.Add(1)
		time.Sleep(c.market.pace) // what a client does between its deeds
	}
}

// reach waits until so many deeds are done, or all clients have ended.
func (c *crowd) reach(t *testing.T, deeds int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-c.left:
			return true
		default:
			return c.done.Load() >= deeds
		}
	}, 5*time.Minute, time.Millisecond)
}

// leave ends the clients and gives what they have done. Half of what is still open is sent once more.
func (c *crowd) leave(t *testing.T, s *server) []deed {
	t.Helper()
	c.stop()
	<-c.left
	end := int64(time.Since(c.began))
	for i := range c.deeds {
		d := &c.deeds[i]
		if d.known || d.kind == check {
			continue
		}
		if i%2 == 0 {
			_ = c.market.try(context.Background(), s, d)
		}
		d.returned = max(end, int64(time.Since(c.began)))
	}
	return c.deeds
}
