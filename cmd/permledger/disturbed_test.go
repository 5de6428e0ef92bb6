package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// disturbance is something that happens to a cluster; what it gives ends it.
type disturbance struct {
	name string
	do   func(d *disturbed) (heal func())
}

// disturbed is a cluster in the hands of a disturbance.
type disturbed struct {
	*cluster
	observer *nats.Conn
	random   *rand.Rand
	leader   *natsProcess // of the log
	hold     time.Duration
}

func (d *disturbed) anyServer() *natsProcess { return d.servers[d.random.IntN(len(d.servers))] }
func (d *disturbed) anyNode() *node          { return d.nodes[d.random.IntN(len(d.nodes))] }

// isolate parts a server from the other servers. Half of the time connections end, otherwise they fall silent.
func (d *disturbed) isolate(s *natsProcess) func() {
	apart := d.net.part
	if d.random.IntN(2) == 0 {
		apart = d.net.sever
	}
	for _, other := range d.others(s) {
		apart(s.name, other.name)
	}
	return d.net.heal
}

// disturbances are all there are, each of a kind that operators of clusters know.
func disturbances() []disturbance {
	return []disturbance{
		{"the leader is parted from the other servers", func(d *disturbed) func() { return d.isolate(d.leader) }},
		{"nobody hears the leader, which hears everybody", func(d *disturbed) func() {
			for _, other := range d.others(d.leader) {
				d.net.hold(d.leader.name, other.name)
			}
			return d.net.heal
		}},
		{"the leader hears nobody, everybody hears it", func(d *disturbed) func() {
			for _, other := range d.others(d.leader) {
				d.net.hold(other.name, d.leader.name)
			}
			return d.net.heal
		}},
		{"the leader is parted from one server", func(d *disturbed) func() {
			d.net.part(d.leader.name, d.others(d.leader)[d.random.IntN(2)].name)
			return d.net.heal
		}},
		{"the leader and a node are parted from everything else", func(d *disturbed) func() {
			heal := d.isolate(d.leader)
			n := d.anyNode()
			for _, other := range d.others(d.leader) {
				d.net.part(n.name, other.name)
			}
			return heal
		}},
		{"the network flaps", func(d *disturbed) func() {
			s := d.leader
			for end := time.Now().Add(d.hold); time.Now().Before(end); {
				heal := d.isolate(s)
				time.Sleep(between(d.random, 200*time.Millisecond, 3*time.Second)) // how long it is down
				heal()
				time.Sleep(between(d.random, 50*time.Millisecond, 1500*time.Millisecond)) // and up
			}
			return func() {}
		}},
		{"the network loses packets and connections", func(d *disturbed) func() {
			members := []string{d.servers[0].name, d.servers[1].name, d.servers[2].name, d.nodes[0].name, d.nodes[1].name}
			for end := time.Now().Add(d.hold); time.Now().Before(end); {
				a, b := members[d.random.IntN(3)], members[d.random.IntN(len(members))]
				switch d.random.IntN(3) {
				case 0:
					d.net.shake(a, b)
				default:
					d.net.hold(a, b)
				}
				time.Sleep(between(d.random, 10*time.Millisecond, 300*time.Millisecond)) // packets are sent again after so long
				if d.random.IntN(2) == 0 {
					d.net.heal()
				}
			}
			return d.net.heal
		}},
		{"a node is parted from the leader", func(d *disturbed) func() {
			d.net.part(d.anyNode().name, d.leader.name)
			return d.net.heal
		}},
		{"a node is parted from all servers", func(d *disturbed) func() {
			n := d.anyNode()
			for _, s := range d.servers {
				d.net.part(n.name, s.name)
			}
			return d.net.heal
		}},
		{"the leader is killed", func(d *disturbed) func() {
			d.leader.kill()
			return func() { d.start(d.leader) }
		}},
		{"the leader is paused", func(d *disturbed) func() { return stopped(d.leader.cmd) }},
		{"a server is paused", func(d *disturbed) func() { return stopped(d.anyServer().cmd) }},
		{"all servers are killed", func(d *disturbed) func() {
			for _, s := range d.servers {
				s.kill()
			}
			return func() {
				for _, i := range d.random.Perm(len(d.servers)) {
					d.start(d.servers[i])
				}
			}
		}},
		{"the leader steps down", func(d *disturbed) func() {
			for end := time.Now().Add(d.hold); time.Now().Before(end); time.Sleep(time.Second) { // as often as operators would
				_ = ask(d.observer, "STREAM.LEADER.STEPDOWN.PERMLEDGER", "", &apiAnswer{})
			}
			return func() {}
		}},
		{"a node is paused", func(d *disturbed) func() { return stopped(d.anyNode().process().cmd) }},
		{"a node is killed", func(d *disturbed) func() {
			n := d.anyNode()
			n.process().kill()
			return func() { n.set(d.serving(n)) }
		}},
	}
}

// siege lets twelve clients act on two nodes while one disturbance after the other comes over the cluster, and
// asks the checkers.
func siege(t *testing.T, binary string, random *rand.Rand, longest time.Duration, each []disturbance) trial {
	t.Helper()
	sound := binary == program // what is broken on purpose need not come back
	c := newCluster(t, binary)
	c.join(t.TempDir())
	m := newMarket(t, c.nodes[0].dir, 6, 10)
	m.deadline, m.pause, m.pace = 5*time.Second, 50*time.Millisecond, 100*time.Millisecond // long histories are hard to order
	m.register(c.nodes[0].process())
	c.join(t.TempDir())
	listening := c.listen()
	observer := c.observe()
	crowd := m.enter(random, 12, c.nodes[0].target, c.nodes[1].target)
	crowd.reach(t, 100)
	for _, one := range each {
		d := &disturbed{cluster: c, observer: observer, random: random, leader: c.leader(observer, "PERMLEDGER"), hold: between(random, time.Second, longest)}
		began, before := time.Now(), crowd.done.Load()
		heal := one.do(d)
		if rest := d.hold - time.Since(began); rest > 0 {
			time.Sleep(rest) // how long it lasts is part of the disturbance
		}
		heal()
		healed := time.Now()
		if !sound {
			time.Sleep(5 * time.Second) // long enough to do wrong
			continue
		}
		crowd.reach(t, crowd.done.Load()+24)
		c.ready(2 * patience)
		t.Logf("%s for %s: %d deeds meanwhile, well after another %s", one.name, healed.Sub(began).Round(time.Millisecond), crowd.done.Load()-before, time.Since(healed).Round(time.Millisecond))
	}
	r := trial{deeds: crowd.leave(t, c.nodes[0].process())}
	for i := range r.deeds {
		if r.deeds[i].accepted() {
			r.acknowledged++
		}
	}
	ended := []*server{c.nodes[0].process(), c.nodes[1].process()}
	for _, s := range ended {
		if sound {
			s.stop()
		} else {
			s.kill()
		}
	}
	// A broken node's directory knows of records that nobody has.
	export := exported(t, t.TempDir(), append(c.direct(), "--join", ledgerID(t, c.nodes[0].dir))...)
	r.findings, r.accepted, r.refused = audit(t, export, m, r.deeds)
	if !sound {
		return r
	}
	r.findings = append(r.findings, listening.collect(ended...)...)
	r.order = linearizable(m, decided(r.deeds))
	head, models := verified(t, c.nodes[0].dir, c.direct()...)
	otherHead, otherModels := verified(t, c.nodes[1].dir, c.direct()...)
	require.Equal(t, head, otherHead)
	require.Equal(t, models, otherModels, "both nodes' read models hold the same")
	return r
}

// ready waits until every node says that it serves.
func (c *cluster) ready(within time.Duration) {
	c.t.Helper()
	var last string
	for _, n := range c.nodes {
		ok := false
		for deadline := time.Now().Add(within); !ok && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			got, err := exchange(ctx, n.process().url+"/readyz", http.MethodGet, "", "", nil)
			cancel()
			ok, last = err == nil && got.status == http.StatusOK, fmt.Sprint(err, string(got.body))
		}
		require.True(c.t, ok, "%s is not ready: %s", n.name, last)
	}
}

// TestG1NothingIsLostOrFalselyMournedOnADisturbedCluster is the campaign on a cluster of three.
func TestG1NothingIsLostOrFalselyMournedOnADisturbedCluster(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	all := disturbances()
	perTrial, longest := 3, 4*time.Second
	if torture {
		perTrial, longest = 5, 14*time.Second
	}
	queue := slices.Clone(all)
	random.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	for range rounds(1, 20) {
		for len(queue) < perTrial {
			more := slices.Clone(all)
			random.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
			queue = append(queue, more...)
		}
		r := siege(t, program, random, longest, queue[:perTrial])
		queue = queue[perTrial:]
		count.add(r.acknowledged, r.findings)
		count.more(perTrial - 1)
		for _, f := range r.findings {
			t.Error(f.text)
		}
		require.NotEqual(t, porcupine.Illegal, r.order, "no order explains the answers")
		require.NotZero(t, r.accepted)
	}
}

// TestG5ANodeOfAClusterThatTakesSilenceForSuccessIsCaught breaks what an append does without an answer: it believes that it
// was stored.
func TestG5ANodeOfAClusterThatTakesSilenceForSuccessIsCaught(t *testing.T) {
	t.Parallel()
	binary := brokenProgram(t, change{"eventstore/append.go", "\t\tcase sendUnknown:\n", "\t\tcase sendUnknown:\n\t\t\thashing.Wait()\n\t\t\treturn stored, nil\n"})
	r := siege(t, binary, seeded(t), time.Second, []disturbance{{"the leader is parted until there is another", func(d *disturbed) func() {
		for _, other := range d.others(d.leader) {
			d.net.part(d.leader.name, other.name)
		}
		observer := d.observe(d.others(d.leader)...)
		require.Eventually(t, func() bool {
			var a apiAnswer
			return ask(observer, "STREAM.INFO.PERMLEDGER", "", &a) == nil && a.Error == nil && a.Cluster.Leader != "" && a.Cluster.Leader != d.leader.name
		}, 2*patience, 50*time.Millisecond)
		return d.net.heal
	}}})
	require.Contains(t, kinds(r.findings), lost)
}

// TestG11AStreamThatIsRemovedIsRefusedAndNeverFoundedAgain removes the log under two nodes.
func TestG11AStreamThatIsRemovedIsRefusedAndNeverFoundedAgain(t *testing.T) {
	t.Parallel()
	count := newTally(t)
	for range rounds(1, 5) {
		c := newCluster(t, program)
		c.join(t.TempDir())
		m := newMarket(t, c.nodes[0].dir, 1, 2)
		m.register(c.nodes[0].process())
		c.join(t.TempDir())
		observer := c.observe()
		c.leader(observer, "PERMLEDGER")
		var removed apiAnswer
		require.NoError(t, ask(observer, "STREAM.DELETE.PERMLEDGER", "", &removed))
		require.Nil(t, removed.Error)
		for _, n := range c.nodes {
			for i := range 3 {
				asked := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				got, err := exchange(ctx, n.process().url+"/api/commands/GrantPurchasePermission", http.MethodPost, m.tokens[""], named("after the end %d", i), m.body(deed{kind: grant}))
				cancel()
				require.NoError(t, err)
				require.Equal(t, http.StatusServiceUnavailable, got.status, "%s", got.body)
				require.NotEmpty(t, got.header.Get("Retry-After"))
				if took := time.Since(asked); took > mute {
					late(t, "the refusal took %s", took)
				}
			}
		}
		for _, n := range c.nodes {
			n.process().kill()
			quick := []string{"--nats-confirm", "1s"} // nobody elects anybody here
			s, err := launch(t, program, n.dir, 2*patience, append(n.flags, quick...)...)
			if err == nil { // it serves nothing but its health
				got, err := exchange(t.Context(), s.url+"/readyz", http.MethodGet, "", "", nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusServiceUnavailable, got.status)
				require.Contains(t, string(got.body), "PERMLEDGER")
				s.kill()
			}
			verify := invoke(t, n.dir, slices.Concat([]string{"verify"}, c.direct(), quick)...)
			require.NotZero(t, verify.code)
		}
		var info apiAnswer
		require.NoError(t, ask(observer, "STREAM.INFO.PERMLEDGER", "", &info))
		require.NotNil(t, info.Error, "nobody makes a new one")
		require.Contains(t, info.Error.Description, "not found")
		count.add(0, nil)
	}
}

// mute is how long clients may be left without a word, with what a machine under test needs on top.
const mute = 2*time.Second + 500*time.Millisecond
