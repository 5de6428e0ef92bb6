package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// What the ledger may add to the engine's own election, and what a planned change of leader may cost.
const (
	addedAtMost   = time.Second
	plannedAtMost = 500 * time.Millisecond
)

// takeover is a way to lose the leader of the log.
type takeover struct {
	name    string
	planned bool // the leader gives up by itself
	do      func(d *disturbed) (heal func())
}

func takeovers() []takeover {
	return []takeover{
		{"steps down", true, func(d *disturbed) func() {
			_ = ask(d.observer, "STREAM.LEADER.STEPDOWN.PERMLEDGER", "", &apiAnswer{})
			_ = ask(d.observer, "STREAM.LEADER.STEPDOWN.BARE", "", &apiAnswer{})
			return func() {}
		}},
		{"killed", false, func(d *disturbed) func() {
			d.leader.kill()
			return func() { d.start(d.leader) }
		}},
		{"paused", false, func(d *disturbed) func() { return stopped(d.leader.cmd) }},
		{"parted, silent", false, func(d *disturbed) func() {
			for _, other := range d.others(d.leader) {
				d.net.part(d.leader.name, other.name)
			}
			return d.net.heal
		}},
		{"parted, connections cut", false, func(d *disturbed) func() {
			for _, other := range d.others(d.leader) {
				d.net.sever(d.leader.name, other.name)
			}
			return d.net.heal
		}},
		{"parted with the way to the nodes", false, func(d *disturbed) func() {
			for _, other := range d.others(d.leader) {
				d.net.part(d.leader.name, other.name)
			}
			for _, n := range d.nodes {
				d.net.part(d.leader.name, n.name)
			}
			return d.net.heal
		}},
	}
}

// gap is a time without an acknowledgement.
type gap struct{ from, to time.Time }

func (g gap) length() time.Duration { return g.to.Sub(g.from) }

// longest gives the longest gap between acknowledgements that ends after one moment and begins before another.
func longest(acknowledged []time.Time, from, to time.Time) (most gap) {
	slices.SortFunc(acknowledged, time.Time.Compare)
	for i := 1; i < len(acknowledged); i++ {
		g := gap{acknowledged[i-1], acknowledged[i]}
		if g.to.After(from) && g.from.Before(to) && g.length() > most.length() {
			most = g
		}
	}
	return most
}

// bare publishes to a stream beside the log, one message after the other, past the network and with nothing of
// the ledger: what it waits for is the engine alone.
type bare struct {
	stop func()

	mu sync.Mutex
	at []time.Time // guarded by mu
}

func barely(t *testing.T, conn *nats.Conn) *bare {
	t.Helper()
	b := &bare{}
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			if m, err := conn.Request("bare.x", []byte("x"), 100*time.Millisecond); err == nil && !strings.Contains(string(m.Data), `"error"`) {
				b.mu.Lock()
				b.at = append(b.at, time.Now())
				b.mu.Unlock()
			}
			time.Sleep(5 * time.Millisecond) // between two messages
		}
	})
	b.stop = sync.OnceFunc(func() {
		close(end)
		done.Wait()
	})
	t.Cleanup(b.stop)
	return b
}

// elections notes when streams have another leader than the one given: as a server says it, or as it can be seen
// where that was missed.
func elections(t *testing.T, conn *nats.Conn, old string, streams ...string) (at func(stream string) time.Time) {
	t.Helper()
	var mu sync.Mutex
	first := make(map[string]time.Time)
	note := func(stream, leader string) {
		mu.Lock()
		defer mu.Unlock()
		if leader != "" && leader != old && first[stream].IsZero() {
			first[stream] = time.Now()
		}
	}
	_, err := conn.Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*", func(m *nats.Msg) {
		var said struct {
			Stream string `json:"stream"`
			Leader string `json:"leader"`
		}
		if json.Unmarshal(m.Data, &said) == nil {
			note(said.Stream, said.Leader)
		}
	})
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
	ctx, stop := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	looking.Go(func() {
		for ctx.Err() == nil {
			for _, stream := range streams {
				var a apiAnswer
				if ask(conn, "STREAM.INFO."+stream, "", &a) == nil {
					note(stream, a.Cluster.Leader)
				}
			}
			time.Sleep(50 * time.Millisecond) // between two looks
		}
	})
	t.Cleanup(func() {
		stop()
		looking.Wait()
	})
	return func(stream string) time.Time {
		mu.Lock()
		defer mu.Unlock()
		return first[stream]
	}
}

// lead makes a server the leader of a stream.
func (c *cluster) lead(conn *nats.Conn, stream string, s *natsProcess) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * patience); c.leader(conn, stream) != s; {
		require.True(c.t, time.Now().Before(deadline), "%s does not lead %s", s.name, stream)
		_ = ask(conn, "STREAM.LEADER.STEPDOWN."+stream, fmt.Sprintf(`{"placement":{"preferred":%q}}`, s.name), &apiAnswer{})
	}
}

// engineSettles is how long after an election gaps are still counted as its consequence.
const engineSettles = 50 * time.Millisecond

// crossing is what was measured of one loss of the leader.
type crossing struct {
	before           time.Duration // longest gap while all was well
	engine, election time.Duration // gap of the bare publisher; until the log had a new leader
	ledger, added    time.Duration // longest gap of all clients; from the election to the first acknowledgement
	node             time.Duration // the same at the node that took longer
	slowest          time.Duration // answer to a client meanwhile
	mute             int           // answers of 503 without Retry-After
}

func measure(t *testing.T, c *cluster, m *market, way takeover) crossing {
	t.Helper()
	var r crossing
	all := c.observe()
	leader := c.leader(all, "PERMLEDGER")
	c.lead(all, "BARE", leader)
	observer := c.observe(c.others(leader)...)
	elected := elections(t, observer, leader.name, "PERMLEDGER", "BARE")
	pinned := barely(t, observer)

	var mu sync.Mutex
	m.answered = func(took time.Duration, got answer, err error) {
		mu.Lock()
		defer mu.Unlock()
		r.slowest = max(r.slowest, took)
		if err == nil && got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "" {
			r.mute++
		}
	}
	random := seeded(t)
	var crowds []*crowd
	for _, n := range c.nodes { // six clients at each
		crowds = append(crowds, m.enter(random, 6, n.target))
	}
	for _, crowd := range crowds {
		crowd.reach(t, 60)
	}
	if c.leader(all, "PERMLEDGER") != leader || c.leader(all, "BARE") != leader { // one of them has moved by itself
		pinned.stop()
		for i, crowd := range crowds {
			crowd.leave(t, c.nodes[i].process())
		}
		return measure(t, c, m, way)
	}
	lost := time.Now()
	heal := way.do(&disturbed{cluster: c, observer: observer, random: random, leader: leader})
	require.Eventually(t, func() bool { return elected("PERMLEDGER").After(lost) && elected("BARE").After(lost) }, 2*patience, 5*time.Millisecond)
	for _, crowd := range crowds {
		crowd.reach(t, crowd.done.Load()+60)
	}
	pinned.stop()
	heal()
	pinned.mu.Lock()
	r.engine = longest(pinned.at, lost, elected("BARE").Add(engineSettles)).length()
	pinned.mu.Unlock()
	r.election = elected("PERMLEDGER").Sub(lost)
	settled := elected("PERMLEDGER").Add(engineSettles)
	var everybody []time.Time
	for i, crowd := range crowds {
		var at []time.Time
		for _, d := range crowd.leave(t, c.nodes[i].process()) {
			if d.accepted() {
				at = append(at, crowd.began.Add(time.Duration(d.returned)))
			}
		}
		everybody = append(everybody, at...)
		r.node = max(r.node, longest(at, lost, settled).to.Sub(elected("PERMLEDGER")))
	}
	g := longest(everybody, lost, settled)
	r.ledger, r.added = g.length(), g.to.Sub(elected("PERMLEDGER"))
	everybody = slices.DeleteFunc(everybody, func(at time.Time) bool { return at.After(lost) })
	r.before = longest(everybody, time.Time{}, lost).length()
	m.answered = nil
	c.ready(2 * patience)
	return r
}

// TestG5TheLossOfALeaderCostsLittleMoreThanItsElection measures with twelve clients at two nodes how long nobody
// is acknowledged, beside a publisher of nothing on a stream of its own with the same leader.
func TestG5TheLossOfALeaderCostsLittleMoreThanItsElection(t *testing.T) {
	t.Parallel()
	c := newCluster(t, program)
	c.join(t.TempDir())
	m := newMarket(t, c.nodes[0].dir, 3, 10)
	m.deadline, m.pause = 5*time.Second, 50*time.Millisecond
	m.register(c.nodes[0].process())
	c.join(t.TempDir())
	var made apiAnswer
	conn := c.observe()
	require.Eventually(t, func() bool {
		return ask(conn, "STREAM.CREATE.BARE", `{"name":"BARE","subjects":["bare.*"],"num_replicas":3,"storage":"file","retention":"limits","discard":"old","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"duplicate_window":100000000}`, &made) == nil
	}, patience, 50*time.Millisecond)
	require.Nil(t, made.Error)

	ways := takeovers()
	if !torture {
		ways = ways[:1]
	}
	t.Logf("%-34s %8s %8s %9s %8s %8s %8s %15s", "the leader", "before", "engine", "election", "ledger", "added", "a node", "slowest answer")
	for _, way := range ways {
		for range rounds(1, 5) {
			r := measure(t, c, m, way)
			seconds := func(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }
			t.Logf("%-34s %8s %8s %9s %8s %8s %8s %15s", way.name, seconds(r.before), seconds(r.engine), seconds(r.election), seconds(r.ledger), seconds(r.added), seconds(r.node), seconds(r.slowest))
			require.Zero(t, r.mute, "every 503 says when to try again")
			if way.planned && r.ledger > plannedAtMost {
				late(t, "the leader %s: nobody was acknowledged for %s, at most %s", way.name, r.ledger, plannedAtMost)
			}
			if !way.planned && r.added > addedAtMost {
				late(t, "the leader is %s: %s after its successor was elected the first command was acknowledged, at most %s", way.name, r.added, addedAtMost)
			}
			if r.slowest > mute {
				late(t, "the leader %s: an answer took %s", way.name, r.slowest)
			}
		}
	}
}

// TestG5ARequestAtAPausedServerFailsOverWithinItsDeadline pauses the server that a node is connected to, and not the
// leader: the node goes to another one, and no client is told of it.
func TestG5ARequestAtAPausedServerFailsOverWithinItsDeadline(t *testing.T) {
	t.Parallel()
	c := newCluster(t, program)
	c.join(t.TempDir())
	m := newMarket(t, c.nodes[0].dir, 1, 2)
	m.deadline = 5 * time.Second
	n := c.nodes[0]
	m.register(n.process())
	conn := c.observe()
	names := []string{c.servers[0].name, c.servers[1].name, c.servers[2].name}
	for range rounds(1, 10) {
		var at *natsProcess
		require.Eventually(t, func() bool {
			at = c.named(c.net.peer(n.name, names))
			return at != nil
		}, patience, 10*time.Millisecond)
		c.lead(conn, "PERMLEDGER", c.others(at)[0])
		require.NoError(t, m.try(t.Context(), n.process(), &deed{kind: grant, id: uuid.NewString()}))
		resume := stopped(at.cmd)
		d := deed{kind: purchase, id: uuid.NewString()}
		asked := time.Now()
		err := m.try(t.Context(), n.process(), &d)
		took := time.Since(asked)
		resume()
		t.Logf("%s is paused: answered after %s, %v", at.name, took.Round(time.Millisecond), err)
		if err != nil || took > mute {
			late(t, "a request at a paused server: %v after %s", err, took)
		}
		for !d.known {
			_ = m.try(t.Context(), n.process(), &d)
			time.Sleep(50 * time.Millisecond) // between two tries
		}
		require.Empty(t, d.code)
		c.ready(2 * patience)
	}
}
