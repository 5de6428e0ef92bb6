package eventstoretest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"permledger/eventstore/embedded"
)

// Embedded starts an embedded server on a directory. It ends with the test, or
// earlier by its Close.
func Embedded(tb testing.TB, dir string) *embedded.Server {
	tb.Helper()
	s, err := embedded.Start(context.Background(), embedded.Options{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// External starts a server with a listener on the loopback interface, as an
// operator would run it. It ends with the test.
func External(tb testing.TB) *server.Server {
	tb.Helper()
	return start(tb, &server.Options{
		ServerName: "external", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: tb.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
	})
}

// Cluster starts three servers that form a cluster, and returns when they have
// elected a leader.
func Cluster(tb testing.TB) []*server.Server {
	tb.Helper()
	const nodes = 3
	ports := make([]int, nodes)
	var routes []*url.URL
	for i := range ports {
		l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		address, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		_ = l.Close()
		ports[i] = int(address.Port())
		routes = append(routes, &url.URL{Scheme: "nats", Host: address.String()})
	}
	servers := make([]*server.Server, nodes)
	for i := range servers {
		servers[i] = start(tb, &server.Options{
			ServerName: fmt.Sprintf("node-%d", i+1), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			Cluster:   server.ClusterOpts{Name: "ledger", Host: "127.0.0.1", Port: ports[i]},
			Routes:    routes,
			JetStream: true, StoreDir: tb.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
		})
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == nodes {
				return servers
			}
		}
		if time.Now().After(deadline) {
			tb.Fatal("the cluster has no leader")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func start(tb testing.TB, opts *server.Options) *server.Server {
	tb.Helper()
	s, err := server.NewServer(opts)
	if err != nil {
		tb.Fatal(err)
	}
	s.Start()
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the server is not ready")
	}
	return s
}

// Connect connects to a server; the connection ends with the test.
func Connect(tb testing.TB, url string) jetstream.JetStream {
	tb.Helper()
	c, err := embedded.Connect(context.Background(), url, embedded.ConnectOptions{
		SyncAlways: true, NATS: []nats.Option{nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c.JetStream()
}
