package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// cluster is three NATS servers and some nodes of one ledger, each a process of its own, with a network between
// all of them that can be disturbed.
type cluster struct {
	t       *testing.T
	net     *network
	servers [3]*natsProcess
	nodes   []*node
	binary  string
}

// natsProcess is a NATS server that can be killed and started again.
type natsProcess struct {
	name, client, route string // name and addresses
	config, logs        string // files
	cmd                 *exec.Cmd
}

// node is a permledger serve on the cluster.
type node struct {
	*target
	name, dir string
	flags     []string
}

func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer free.Close() //nolint:errcheck // it was only asked for
	return free.Addr().String()
}

// newCluster starts three servers that form a cluster, synced before they acknowledge. Nodes are added by join.
func newCluster(t *testing.T, binary string) *cluster {
	t.Helper()
	_, err := natsServer()
	require.NoError(t, err)
	c := &cluster{t: t, net: newNetwork(t), binary: binary}
	dir := t.TempDir()
	for i := range c.servers {
		c.servers[i] = &natsProcess{name: fmt.Sprint("server-", i), client: freeAddress(t), route: freeAddress(t)}
	}
	for _, s := range c.servers {
		home := filepath.Join(dir, s.name)
		require.NoError(t, os.MkdirAll(home, 0o700))
		var routes []string
		for _, other := range c.servers {
			if other != s {
				routes = append(routes, fmt.Sprintf("%q", "nats-route://"+c.net.between(t, s.name, other.name, other.route)))
			}
		}
		// What servers advertise leads nowhere, so that nobody finds a way around the network.
		s.config, s.logs = filepath.Join(home, "nats.conf"), filepath.Join(home, "nats.log")
		require.NoError(t, os.WriteFile(s.config, fmt.Appendf(nil, `server_name: %q
listen: %q
max_payload: 8MB
log_file: %q
jetstream { store_dir: %q, sync_interval: always }
cluster { name: "ledger", listen: %q, no_advertise: true, advertise: "127.0.0.1:1", routes: [%s] }
`, s.name, s.client, s.logs, home, s.route, strings.Join(routes, ", ")), 0o600))
	}
	for _, s := range c.servers {
		c.start(s)
	}
	return c
}

func (c *cluster) start(s *natsProcess) {
	c.t.Helper()
	binary, err := natsServer()
	require.NoError(c.t, err)
	cmd := exec.Command(binary, "-c", s.config)
	require.NoError(c.t, cmd.Start())
	s.cmd = cmd
	c.t.Cleanup(func() { kill(cmd) })
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func (s *natsProcess) kill() { kill(s.cmd) }

// stopped pauses a process; the function given lets it go on.
func stopped(cmd *exec.Cmd) (resume func()) {
	_ = cmd.Process.Signal(syscall.SIGSTOP)
	return func() { _ = cmd.Process.Signal(syscall.SIGCONT) }
}

// observe connects past the network to all servers, or to some.
func (c *cluster) observe(servers ...*natsProcess) *nats.Conn {
	c.t.Helper()
	if servers == nil {
		servers = c.servers[:]
	}
	var urls []string
	for _, s := range servers {
		urls = append(urls, "nats://"+s.client)
	}
	var conn *nats.Conn
	require.Eventually(c.t, func() bool {
		var err error
		conn, err = nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectBufSize(-1),
			nats.PingInterval(500*time.Millisecond), nats.MaxPingsOutstanding(1))
		return err == nil
	}, patience, 50*time.Millisecond)
	c.t.Cleanup(conn.Close)
	return conn
}

// ask sends a request of the JetStream API and reads the answer.
func ask(conn *nats.Conn, subject, body string, into any) error {
	m, err := conn.Request("$JS.API."+subject, []byte(body), time.Second)
	if err != nil {
		return err
	}
	return json.Unmarshal(m.Data, into)
}

type apiAnswer struct {
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
	Cluster struct {
		Leader   string `json:"leader"`
		Replicas []struct {
			Current bool `json:"current"`
		} `json:"replicas"`
	} `json:"cluster"`
}

// leader waits for a leader of a stream that has all replicas with it.
func (c *cluster) leader(conn *nats.Conn, stream string) *natsProcess {
	c.t.Helper()
	var found *natsProcess
	require.Eventually(c.t, func() bool {
		var a apiAnswer
		if ask(conn, "STREAM.INFO."+stream, "", &a) != nil || a.Error != nil || len(a.Cluster.Replicas) != 2 {
			return false
		}
		for _, r := range a.Cluster.Replicas {
			if !r.Current {
				return false
			}
		}
		found = c.named(a.Cluster.Leader)
		return found != nil
	}, 2*patience, 50*time.Millisecond, "%s has no leader with all replicas", stream)
	return found
}

func (c *cluster) named(name string) *natsProcess {
	for _, s := range c.servers {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (c *cluster) others(s *natsProcess) (list []*natsProcess) {
	for _, other := range c.servers {
		if other != s {
			list = append(list, other)
		}
	}
	return list
}

// join starts a node in a directory of its own, or in the one given.
func (c *cluster) join(dir string, flags ...string) *node {
	c.t.Helper()
	n := &node{name: fmt.Sprint("node-", len(c.nodes)), dir: dir}
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, "nats://"+c.net.between(c.t, n.name, s.name, s.client))
	}
	n.flags = append([]string{"--nats", strings.Join(urls, ","), "--nats-sync-always", "--replicas", "3"}, flags...)
	begin := []string{"--init"}
	if len(c.nodes) > 0 {
		shareKey(c.t, c.nodes[0].dir, dir)
		begin = []string{"--join", ledgerID(c.t, c.nodes[0].dir)}
	}
	n.target = aim(c.serving(n, begin...))
	c.nodes = append(c.nodes, n)
	return n
}

// serving starts a node's process. A cluster that is not ready yet is asked again.
func (c *cluster) serving(n *node, more ...string) *server {
	c.t.Helper()
	var last error
	for deadline := time.Now().Add(3 * patience); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		var s *server
		if s, last = launch(c.t, c.binary, n.dir, patience, append(n.flags, more...)...); last == nil {
			return s
		}
	}
	require.NoError(c.t, last)
	return nil
}

func (n *node) process() *server {
	s, _ := n.now()
	return s
}

// direct are flags for commands on the cluster past the network.
func (c *cluster) direct() []string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, "nats://"+s.client)
	}
	return []string{"--nats", strings.Join(urls, ","), "--nats-sync-always"}
}

// alarms collects what nodes say about damage to their ledger. On a sound log every one is false.
type alarms struct {
	stop func()

	mu   sync.Mutex
	said map[string]int // guarded by mu
}

// listen asks the nodes for their health until the alarms are collected.
func (c *cluster) listen() *alarms {
	ctx, cancel := context.WithCancel(context.Background())
	a := &alarms{said: make(map[string]int)}
	var all sync.WaitGroup
	for _, n := range c.nodes {
		all.Go(func() {
			for ctx.Err() == nil {
				asking, done := context.WithTimeout(ctx, 2*time.Second)
				got, err := exchange(asking, n.process().url+"/readyz", http.MethodGet, "", "", nil)
				done()
				if err == nil {
					a.hear(n.name, got.body)
				}
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	a.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	c.t.Cleanup(a.stop)
	return a
}

func (a *alarms) hear(who string, health []byte) {
	var said struct {
		Reasons []string `json:"reasons"`
	}
	if unmarshal(health, &said) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range said.Reasons {
		if alarming(r) {
			a.said[who+": "+r]++
		}
	}
}

// alarming reports whether a text calls the ledger damaged. A doubt that is not confirmed does not.
func alarming(text string) bool {
	return strings.Contains(text, "integrity") && !strings.Contains(text, "unconfirmed")
}

// collect ends the listening and gives the alarms, with those that processes which have ended left in their logs.
func (a *alarms) collect(ended ...*server) (findings []finding) {
	a.stop()
	for text := range a.said {
		findings = append(findings, finding{wrong, "a false alarm: " + text})
	}
	for _, s := range ended {
		for line := range strings.Lines(s.logs.String()) {
			if strings.Contains(line, "level=ERROR") && alarming(line) {
				findings = append(findings, finding{wrong, "a false alarm in the log: " + line})
			}
		}
	}
	return findings
}

// between picks a time at random.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)+1))
}
