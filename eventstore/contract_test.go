package eventstore_test

import (
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"permledger/eventstore/eventstoretest"
)

func TestContractEmbedded(t *testing.T) {
	t.Parallel()
	js := eventstoretest.Embedded(t, t.TempDir()).JetStream()
	eventstoretest.Contract(t, eventstoretest.Store{Replicas: 1, JetStream: func(testing.TB) jetstream.JetStream { return js }})
}

func TestContractExternal(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	eventstoretest.Contract(t, eventstoretest.Store{Replicas: 1, JetStream: func(tb testing.TB) jetstream.JetStream { return eventstoretest.Connect(tb, url) }})
}

func TestContractCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a cluster of three servers is not started in short mode")
	}
	servers := eventstoretest.Cluster(t)
	var next atomic.Int64 // each node talks to another server
	eventstoretest.Contract(t, eventstoretest.Store{Replicas: 3, JetStream: func(tb testing.TB) jetstream.JetStream {
		return eventstoretest.Connect(tb, servers[int(next.Add(1))%len(servers)].ClientURL())
	}})
}
