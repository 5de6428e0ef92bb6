package eventstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// TestARefusalRestsOnAMajorityWhereALeaderMayHaveBeenReplaced takes one server after the other from a cluster. A
// refusal writes nothing while the leader hears everybody, a record without commands while it does not, and is
// not given where that cannot be stored.
func TestARefusalRestsOnAMajorityWhereALeaderMayHaveBeenReplaced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a cluster of three servers is not started in short mode")
	}
	servers := eventstoretest.Cluster(t)
	urls := make([]string, len(servers))
	for i, s := range servers {
		urls[i] = s.ClientURL()
	}
	var connected jetstream.JetStream
	store := eventstoretest.Store{Replicas: 3, JetStream: func(tb testing.TB) jetstream.JetStream {
		connected = eventstoretest.Connect(tb, strings.Join(urls, ","))
		return connected
	}}
	stream := eventstoretest.Stream()
	opts := store.Options(t, stream)
	opts.AppendTimeout = 5 * time.Second
	n := store.Node(t, opts, nil)
	refused := func() error {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", -1))
		return err
	}
	expected := func(err error) error {
		if errors.Is(err, eventstoretest.ErrOverdrawn) {
			return nil
		}
		return fmt.Errorf("no refusal: %w", err)
	}
	stopOne := func() {
		first := leader(t, servers, stream)
		for i, s := range servers {
			if s != nil && s != first && s.Running() {
				s.Shutdown()
				s.WaitForShutdown()
				servers[i] = first
				return
			}
		}
	}
	var before uint64
	require.Eventually(t, func() bool { // right after the start a replica may not have been heard yet
		before = n.Writer.Head().Sequence
		return errors.Is(refused(), eventstoretest.ErrOverdrawn) && n.Writer.Head().Sequence == before
	}, time.Minute, 10*time.Millisecond)

	stopOne()
	require.Eventually(t, func() bool {
		before = n.Writer.Head().Sequence
		return errors.Is(refused(), eventstoretest.ErrOverdrawn) && n.Writer.Head().Sequence == before+1
	}, time.Minute, 10*time.Millisecond)
	o, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("b", 1))
	require.NoError(t, err)
	require.Equal(t, uint64(1), o.Position)
	var all sync.WaitGroup
	for i := range 8 { // what is decided while such a record is stored comes after it
		all.Go(func() {
			for range 25 {
				_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("b", int64(i%2)))
				if err = errors.Join(err, expected(refused())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	_, err = n.Log.Verify(t.Context(), nil)
	require.NoError(t, err)

	stopOne()
	require.Eventually(t, func() bool { return errors.Is(refused(), eventstore.ErrUnavailable) }, time.Minute, 10*time.Millisecond)
	for range 3 {
		require.ErrorIs(t, refused(), eventstore.ErrUnavailable, "nobody stands behind the leader")
	}
}

// TestARefusalDoesNotRestOnAServerThatHasHeardNobody answers as a server does that was cut off before it heard the
// others, or that has no leader: it gives no time at all since when they are silent.
func TestARefusalDoesNotRestOnAServerThatHasHeardNobody(t *testing.T) {
	t.Parallel()
	relay, n := relayed(t, never)
	unheard := map[string]any{"name": "b", "current": false, "offline": false, "active": 0}
	of := func(replicas ...any) func(map[string]any) {
		return func(info map[string]any) {
			if config, ok := info["config"].(map[string]any); ok {
				config["num_replicas"] = 3
			}
			info["cluster"] = map[string]any{"name": "c", "leader": "a", "replicas": replicas}
		}
	}
	for name, alter := range map[string]func(map[string]any){"unheard": of(unheard, unheard), "not even listed": of()} {
		before := n.Writer.Head().Sequence
		relay.Alter(alter)
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("z", -1))
		require.ErrorIs(t, err, eventstoretest.ErrOverdrawn, name)
		require.Equal(t, before+1, n.Writer.Head().Sequence, "%s: a majority was asked", name)
	}
	eventually(t, "an answer that says nothing about the others lets nothing be refused", func() bool {
		var once sync.Once // somebody else may ask first
		relay.Alter(func(info map[string]any) {
			once.Do(func() {
				clear(info)
				info["error"] = map[string]any{"code": 503, "err_code": 10008, "description": "JetStream system temporarily unavailable"}
			})
		})
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("z", -1))
		return errors.Is(err, eventstore.ErrUnavailable)
	})
}
