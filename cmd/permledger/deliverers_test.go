package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// arrival is a webhook as its receiver got it.
type arrival struct {
	order string
	node  string // who sent it, by the address it gives
	id    string
}

// collector is a receiver that notes what comes.
type collector struct {
	url string

	mu  sync.Mutex
	got []arrival // guarded by mu
}

func collecting(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told := hookBody{id: r.Header.Get("Webhook-Id")}
		if json.NewDecoder(r.Body).Decode(&told) != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, arrival{order: path.Base(told.ResourceURI), node: strings.SplitN(told.ResourceURI, "/", 4)[2], id: told.id})
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) arrivals() []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// bought are the orders of a campaign in the order of the log.
type bought struct {
	mu     sync.Mutex
	orders []string // guarded by mu
}

// buying lets a customer buy one thing after the other wherever a node answers, until the function given is called.
func (m *market) buying(nodes []*node, b *bought) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			d := deed{kind: purchase, id: uuid.NewString()}
			for i := 0; !d.known && ctx.Err() == nil; i++ {
				if m.try(context.WithoutCancel(ctx), nodes[i%len(nodes)].process(), &d) != nil {
					time.Sleep(m.pause) // before the next node
				}
			}
			var said struct {
				Events []struct {
					Data struct {
						OrderID string `json:"orderId"`
					} `json:"data"`
				} `json:"events"`
			}
			if d.known && unmarshal(d.body, &said) == nil && len(said.Events) == 1 {
				b.mu.Lock()
				b.orders = append(b.orders, said.Events[0].Data.OrderID)
				b.mu.Unlock()
			}
			time.Sleep(20 * time.Millisecond) // a customer's pace
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// deliverer waits until exactly one of the nodes that answer says that it delivers.
func deliverer(t *testing.T, nodes []*node, within time.Duration) *node {
	t.Helper()
	var found *node
	require.Eventually(t, func() bool {
		found = nil
		for _, n := range nodes {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			got, err := exchange(ctx, n.process().url+"/readyz", http.MethodGet, "", "", nil)
			cancel()
			var said struct {
				Webhooks string `json:"webhooks"`
			}
			if err == nil && unmarshal(got.body, &said) == nil && said.Webhooks == "this node" {
				if found != nil {
					return false
				}
				found = n
			}
		}
		return found != nil
	}, within, 100*time.Millisecond, "no single node delivers")
	return found
}

// judged says what is wrong with what a receiver was told while the turn changed so many times.
func judged(orders []string, got []arrival, takeovers int) (findings []finding) {
	find := func(kind, text string) { findings = append(findings, finding{kind, text}) }
	firsts, seen := []string{}, map[string]string{}
	repeated := 0
	for _, a := range got {
		id, again := seen[a.order]
		switch {
		case !again:
			seen[a.order] = a.id
			firsts = append(firsts, a.order)
		case id != a.id:
			find(wrong, "order "+a.order+" was told under two ids")
		default:
			repeated++
		}
	}
	if missing := len(orders) - len(firsts); missing > 0 {
		for _, o := range orders {
			if seen[o] == "" {
				find(lost, "order "+o+" was not told")
			}
		}
	} else if !slices.Equal(orders, firsts) {
		find(wrong, "the orders were told in another order than that of the log")
	}
	// The one that was under way when the turn changed.
	if repeated > takeovers {
		find(duplicated, "more was told twice than what was under way when the turn changed")
	}
	// Whoever was replaced may end what it was doing, and nothing more.
	for i, turns := 1, map[string]int{}; i < len(got); i++ {
		if got[i].node != got[i-1].node {
			turns[got[i].node]++
			if turns[got[i].node] > takeovers+1 {
				find(wrong, "two nodes delivered at the same time")
				break
			}
		}
	}
	return findings
}

// handover lets nodes be killed, stopped and paused while they deliver.
func handover(t *testing.T, binary string, ways []string, random *rand.Rand) (delivered int, findings []finding) {
	t.Helper()
	flags := []string{"--nats", external(t), "--nats-sync-always"}
	receiver := collecting(t)
	var nodes []*node
	var m *market
	for i, name := range []string{"node-0", "node-1"} {
		n := &node{name: name, dir: t.TempDir(), flags: append(slices.Clone(flags), "--public-url", "http://"+name)}
		begin := "--init"
		if i == 0 {
			m = newMarket(t, n.dir, 1, 2)
			m.deadline, m.pause = 3*time.Second, 50*time.Millisecond
			n.target = aim(relaunched(t, binary, n.dir, append(n.flags, begin)...))
			m.register(n.process())
			n.process().accepted(m.tokens[""], "RegisterWebhook", map[string]any{"url": receiver.url, "events": []string{"customer-purchase-created"}})
		} else {
			shareKey(t, nodes[0].dir, n.dir)
			n.target = aim(relaunched(t, binary, n.dir, append(n.flags, "--join", ledgerID(t, nodes[0].dir))...))
		}
		nodes = append(nodes, n)
	}
	require.Equal(t, nodes[0].process().get("/webhooks/v1/certificate.cer", "").body, nodes[1].process().get("/webhooks/v1/certificate.cer", "").body, "receivers pin one")
	var orders bought
	stop := m.buying(nodes, &orders)
	reach := func(n *node, more int) {
		from := len(receiver.arrivals())
		require.Eventually(t, func() bool {
			k := 0
			for _, a := range receiver.arrivals()[from:] {
				if a.node == n.name {
					k++
				}
			}
			return k >= more
		}, 2*patience, 20*time.Millisecond, "%s delivers nothing", n.name)
	}
	for _, way := range ways {
		old := deliverer(t, nodes, 2*patience)
		reach(old, 5+random.IntN(10))
		other := nodes[0]
		if other == old {
			other = nodes[1]
		}
		lost := time.Now()
		back := func() { old.set(relaunched(t, binary, old.dir, old.flags...)) }
		switch way {
		case "killed":
			old.process().kill()
		case "stopped":
			old.process().stop()
		case "paused":
			back = stopped(old.process().cmd)
		}
		reach(other, 1)
		t.Logf("the deliverer is %s: the other node delivers after %s", way, time.Since(lost).Round(100*time.Millisecond))
		back()
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			got, err := exchange(ctx, old.process().url+"/readyz", http.MethodGet, "", "", nil)
			return err == nil && got.status == http.StatusOK
		}, 2*patience, 50*time.Millisecond)
		if binary == program {
			require.Same(t, other, deliverer(t, nodes, 2*patience), "the one that was replaced knows it")
		} else {
			require.Eventually(t, func() bool {
				orders.mu.Lock()
				defer orders.mu.Unlock()
				return slices.Contains(kinds(judged(orders.orders, receiver.arrivals(), 1)), duplicated)
			}, 2*patience, 50*time.Millisecond, "what is broken does no harm")
		}
		reach(other, 10) // while the one that was replaced is there again
	}
	stop()
	orders.mu.Lock()
	defer orders.mu.Unlock()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) && len(orders.orders) > 0 && !slices.ContainsFunc(receiver.arrivals(), func(a arrival) bool { return a.order == orders.orders[len(orders.orders)-1] }) {
		time.Sleep(50 * time.Millisecond)
	}
	got := receiver.arrivals()
	for _, n := range nodes {
		n.process().kill()
	}
	return len(got), judged(orders.orders, got, len(ways))
}

func TestG9OneOfTheNodesDeliversWebhooksAndAnotherGoesOn(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	ways := []string{"paused", "stopped"}
	if torture {
		ways = []string{"paused", "killed", "stopped"}
	}
	for range rounds(1, 5) {
		delivered, findings := handover(t, program, ways, random)
		count.add(delivered, findings)
		count.more(len(ways) - 1)
		require.Empty(t, findings)
	}
}

// TestG9ANodeThatDoesNotNoticeItsReplacementIsCaught breaks the fence: whoever has been replaced believes to hold
// the office for ever.
func TestG9ANodeThatDoesNotNoticeItsReplacementIsCaught(t *testing.T) {
	t.Parallel()
	binary := brokenProgram(t,
		change{"eventstore/board/office.go", "\t\t\t\tt.end()\n\t\t\t\treturn ErrDeposed\n", "\t\t\t\tt.sent = sent\n\t\t\t\treturn nil\n"})
	_, findings := handover(t, binary, []string{"paused"}, seeded(t))
	require.NotEmpty(t, findings)
	require.Contains(t, kinds(findings), duplicated)
}

func TestTheCheckerOfDeliveriesCanFail(t *testing.T) {
	t.Parallel()
	a := func(order, node string) arrival { return arrival{order, node, "id of " + order} }
	orders := []string{"1", "2", "3"}
	require.Empty(t, judged(orders, []arrival{a("1", "a"), a("2", "a"), a("2", "b"), a("3", "b")}, 1))
	require.Contains(t, kinds(judged(orders, []arrival{a("1", "a"), a("3", "b")}, 1)), lost)
	require.Contains(t, kinds(judged(orders, []arrival{a("1", "a"), a("3", "a"), a("2", "b")}, 1)), wrong)
	require.Contains(t, kinds(judged(orders, []arrival{a("1", "a"), a("2", "a"), a("1", "b"), a("2", "b"), a("3", "b")}, 1)), duplicated)
	require.Contains(t, kinds(judged(orders, []arrival{a("1", "a"), {"1", "b", "another"}, a("2", "b"), a("3", "b")}, 1)), wrong)
	alternating := []arrival{a("1", "a"), a("1", "b"), a("2", "a"), a("2", "b"), a("3", "a"), a("3", "b")}
	require.Contains(t, kinds(judged(orders, alternating, 1)), wrong)
}
