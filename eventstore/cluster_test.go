package eventstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// TestG1NothingAcknowledgedIsLostWithTheLeader stops the server that leads the
// stream while two nodes write. Whoever gets no certain answer sends the same
// id again until there is one.
func TestG1NothingAcknowledgedIsLostWithTheLeader(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a cluster of three servers is not started in short mode")
	}
	servers := eventstoretest.Cluster(t)
	urls := make([]string, len(servers))
	for i, s := range servers {
		urls[i] = s.ClientURL()
	}
	store := eventstoretest.Store{Replicas: 3, JetStream: func(tb testing.TB) jetstream.JetStream {
		return eventstoretest.Connect(tb, strings.Join(urls, ","))
	}}
	stream := eventstoretest.Stream()
	nodes := make([]*eventstoretest.Node, 2)
	for i := range nodes {
		opts := store.Options(t, stream)
		opts.AppendTimeout, opts.Timeout = 2*time.Second, time.Second
		nodes[i] = store.Node(t, opts, nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	created := func() time.Time {
		s, err := store.JetStream(t).Stream(ctx, stream)
		require.NoError(t, err)
		return s.CachedInfo().Created
	}
	before := created()

	const clients, commands = 8, 40
	var mu sync.Mutex
	acknowledged, unknown := map[uuid.UUID]eventstore.Outcome[eventstoretest.Changed]{}, 0
	half := make(chan struct{})
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range commands {
				s := eventstoretest.Submit("a", 1)
				for try := 0; ; try++ {
					o, err := nodes[(c+try)%len(nodes)].Writer.Submit(ctx, s)
					if err == nil {
						mu.Lock()
						acknowledged[s.ID] = o
						if len(acknowledged) == clients*commands/2 {
							close(half)
						}
						mu.Unlock()
						break
					}
					if ctx.Err() != nil || errors.Is(err, eventstore.ErrIntegrity) {
						t.Errorf("client %d, command %d: %v", c, i, err)
						return
					}
					if errors.Is(err, eventstore.ErrOutcomeUnknown) {
						mu.Lock()
						unknown++
						mu.Unlock()
					}
					time.Sleep(20 * time.Millisecond) // a client's pause between tries
				}
			}
		})
	}
	select {
	case <-half:
		leader(t, servers, stream).Shutdown()
	case <-ctx.Done():
	}
	wg.Wait()
	require.Len(t, acknowledged, clients*commands)
	require.Equal(t, before, created(), "another leader is no other stream")

	seen := map[uuid.UUID]uint64{}
	for s, err := range nodes[0].Log.Read(ctx, eventstore.Cursor{}) {
		require.NoError(t, err)
		for _, c := range s.Record.Commands {
			require.NotContains(t, seen, c.ID, "one effect")
			seen[c.ID] = s.Sequence
		}
	}
	require.Len(t, seen, clients*commands)
	for id, o := range acknowledged {
		require.Equal(t, o.Sequence, seen[id])
	}
	t.Logf("%d acknowledged, 0 lost, %d unknown on the way; %+v, %+v", len(acknowledged), unknown, nodes[0].Writer.Stats(), nodes[1].Writer.Stats())
}

func leader(t *testing.T, servers []*server.Server, stream string) *server.Server {
	t.Helper()
	for _, s := range servers {
		if s.JetStreamIsStreamLeader("$G", stream) {
			return s
		}
	}
	t.Fatal("the stream has no leader")
	return nil
}
