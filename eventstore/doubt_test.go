package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// never is a time that no test reaches.
const never = time.Hour

// relayed is a node on a server of its own whose answers can be changed.
func relayed(t *testing.T, confirm time.Duration) (*eventstoretest.Relay, *eventstoretest.Node) {
	t.Helper()
	url := eventstoretest.External(t).ClientURL()
	relay := eventstoretest.NewRelay(t, url)
	store := eventstoretest.Store{Replicas: 1, JetStream: func(testing.TB) jetstream.JetStream { return relay }}
	opts := store.Options(t, eventstoretest.Stream())
	opts.Confirm = confirm
	n := store.Node(t, opts, nil)
	for range 5 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	return relay, n
}

// behind makes a server count fewer records, as a leader does that was cut off.
func behind(info map[string]any) {
	if state, ok := info["state"].(map[string]any); ok {
		state["last_seq"], state["messages"] = 3, 3
	}
}

// lonely makes a leader hear from nobody.
func lonely(info map[string]any) {
	behind(info)
	silent := map[string]any{"name": "b", "current": false, "offline": false, "active": int64(time.Minute)}
	info["cluster"] = map[string]any{"name": "c", "leader": "a", "replicas": []any{silent, silent}}
}

func requireDoubt(t *testing.T, err error) {
	t.Helper()
	var doubt *eventstore.DoubtError
	require.ErrorAs(t, err, &doubt)
	require.ErrorIs(t, err, eventstore.ErrUnavailable)
	require.NotErrorIs(t, err, eventstore.ErrIntegrity)
}

func TestAStaleAnswerIsADoubtThatEndsByItself(t *testing.T) {
	t.Parallel()
	relay, n := relayed(t, never)
	ctx, stop := context.WithCancel(t.Context())
	followed := make(chan uint64, 100)
	var following sync.WaitGroup
	following.Go(func() {
		for s, err := range n.Log.Follow(ctx, eventstore.Cursor{}) {
			if err != nil && ctx.Err() == nil {
				t.Errorf("the follower ended: %v", err)
			}
			if err == nil {
				followed <- s.Sequence
			}
		}
	})
	defer following.Wait()
	defer stop()

	relay.Alter(behind)
	_, err := n.Log.Head(t.Context())
	requireDoubt(t, err)
	requireDoubt(t, n.Log.Err())
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	requireDoubt(t, err)
	require.ErrorContains(t, err, "unconfirmed: integrity failure at record 4")
	asked := relay.Asked()
	eventually(t, "it is looked at again", func() bool { return relay.Asked() > asked+3 })
	requireDoubt(t, n.Log.Err())

	relay.Alter(nil)
	eventually(t, "the doubt ends", func() bool { return n.Log.Err() == nil })
	o, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.NoError(t, err)
	for s := uint64(0); s != o.Sequence; {
		next := <-followed
		require.Equal(t, s+1, next)
		s = next
	}
}

func TestADoubtThatLastsIsDamage(t *testing.T) {
	t.Parallel()
	relay, n := relayed(t, 100*time.Millisecond)
	relay.Alter(behind)
	_, err := n.Log.Head(t.Context())
	requireDoubt(t, err)
	require.ErrorIs(t, n.Log.Settled(t.Context()), eventstore.ErrIntegrity)
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrIntegrity)

	relay.Alter(nil) // whoever was wrong has been put right
	require.NoError(t, n.Log.Sound(t.Context()))
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.NoError(t, err)
}

func TestALeaderWithoutAMajorityConfirmsNothing(t *testing.T) {
	t.Parallel()
	relay, n := relayed(t, time.Millisecond)
	relay.Alter(lonely)
	_, err := n.Log.Head(t.Context())
	requireDoubt(t, err)
	asked := relay.Asked()
	eventually(t, "it is looked at again", func() bool { return relay.Asked() > asked+20 })
	requireDoubt(t, n.Log.Err())
	relay.Alter(behind)
	require.ErrorIs(t, n.Log.Settled(t.Context()), eventstore.ErrIntegrity)
}

func TestAStaleAnswerDoesNotKeepALedgerFromOpening(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	store := eventstoretest.Store{Replicas: 1, JetStream: func(tb testing.TB) jetstream.JetStream { return eventstoretest.Connect(tb, url) }}
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	for range 5 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	n.Close()
	relay := eventstoretest.NewRelay(t, url)
	relay.Alter(behind)
	opts.Confirm = never
	opened := make(chan error, 1)
	go func() {
		log, err := eventstore.Open(t.Context(), relay, opts)
		if err == nil {
			err = log.Close()
		}
		opened <- err
	}()
	eventually(t, "it is looked at again", func() bool { return relay.Asked() > 6 })
	relay.Alter(nil)
	require.NoError(t, <-opened)

	opts.Confirm = 50 * time.Millisecond
	relay.Alter(behind)
	_, err := eventstore.Open(t.Context(), relay, opts)
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
}

// TestDamageOfAnOwnServerIsCertainAtOnceButNotForEver: it has no peer to ask, but what it says may pass.
func TestDamageOfAnOwnServerIsCertainAtOnceButNotForEver(t *testing.T) {
	t.Parallel()
	relay := eventstoretest.NewRelay(t, eventstoretest.External(t).ClientURL())
	store := eventstoretest.Store{Replicas: 1, JetStream: func(testing.TB) jetstream.JetStream { return relay }}
	opts := store.Options(t, eventstoretest.Stream())
	opts.Shared = false
	n := store.Node(t, opts, nil)
	for range 5 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	relay.Alter(behind)
	_, err := n.Log.Head(t.Context())
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
	relay.Alter(nil)
	require.NoError(t, n.Log.Sound(t.Context()))
	_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.NoError(t, err)
}

// TestAStreamThatIsPutRightNeedsNoRestart takes the stream from under two nodes
// in several ways and puts it back as an operator would.
func TestAStreamThatIsPutRightNeedsNoRestart(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig, lines [][]byte) (mend func()){
		"removed and put back": func(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig, lines [][]byte) func() {
			require.NoError(t, js.DeleteStream(t.Context(), c.Name))
			return func() { refilled(t, js, c, lines) }
		},
		"replaced by an empty one": func(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig, lines [][]byte) func() {
			require.NoError(t, js.DeleteStream(t.Context(), c.Name))
			refilled(t, js, c, nil)
			return func() {
				require.NoError(t, js.DeleteStream(t.Context(), c.Name))
				refilled(t, js, c, lines)
			}
		},
		"given another subject": func(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig, _ [][]byte) func() {
			wrong := c
			wrong.Subjects = []string{"elsewhere." + c.Name}
			_, err := js.UpdateStream(t.Context(), wrong)
			require.NoError(t, err)
			return func() {
				_, err := js.UpdateStream(t.Context(), c)
				require.NoError(t, err)
			}
		},
	} {
		for _, confirmed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				store := externalStore(t)
				opts := store.Options(t, eventstoretest.Stream())
				if !confirmed {
					opts.Confirm = never
				}
				nodes := []*eventstoretest.Node{store.Node(t, opts, nil), nil}
				other := opts
				other.Dir = t.TempDir()
				nodes[1] = store.Node(t, other, nil)
				for i := range 20 {
					_, err := nodes[i%2].Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
					require.NoError(t, err)
				}
				var file bytes.Buffer
				_, err := nodes[0].Log.Export(t.Context(), &file, nil)
				require.NoError(t, err)
				js := store.JetStream(t)
				stream, err := js.Stream(t.Context(), opts.Stream)
				require.NoError(t, err)
				mend := spoil(t, js, stream.CachedInfo().Config, bytes.Split(bytes.TrimSuffix(file.Bytes(), []byte("\n")), []byte("\n")))
				for _, n := range nodes {
					_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
					require.Error(t, err)
					if confirmed {
						require.ErrorIs(t, n.Log.Settled(t.Context()), eventstore.ErrIntegrity)
					} else {
						eventually(t, "it is in doubt", func() bool {
							var doubt *eventstore.DoubtError
							return errors.As(n.Log.Err(), &doubt)
						})
					}
				}
				mend()
				for i, n := range nodes {
					require.NoError(t, n.Log.Sound(t.Context()))
					eventually(t, "it writes again", func() bool {
						_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
						return err == nil
					})
					report, err := nodes[1-i].Log.Verify(t.Context(), nil)
					require.NoError(t, err)
					require.GreaterOrEqual(t, report.Events, uint64(21+i))
				}
			})
		}
	}
}

// refilled makes a stream and stores records in it.
func refilled(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig, lines [][]byte) {
	t.Helper()
	eventually(t, "the stream can be made again", func() bool {
		_, err := js.CreateStream(t.Context(), c)
		return err == nil
	})
	for _, line := range lines {
		_, err := js.Publish(t.Context(), c.Subjects[0], line)
		require.NoError(t, err)
	}
}

// TestAStreamPutBackWithoutItsTailStaysDamaged: what is missing was acknowledged.
func TestAStreamPutBackWithoutItsTailStaysDamaged(t *testing.T) {
	t.Parallel()
	store := externalStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	for range 20 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	var file bytes.Buffer
	_, err := n.Log.Export(t.Context(), &file, nil)
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSuffix(file.Bytes(), []byte("\n")), []byte("\n"))
	js := store.JetStream(t)
	stream, err := js.Stream(t.Context(), opts.Stream)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), opts.Stream))
	refilled(t, js, stream.CachedInfo().Config, lines[:20])
	_, err = n.Log.Head(t.Context())
	require.Error(t, err)
	require.ErrorIs(t, n.Log.Settled(t.Context()), eventstore.ErrIntegrity)
	_, err = js.Publish(t.Context(), opts.Subject, []byte("x")) // as many as before, but another one
	require.NoError(t, err)
	waiting, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, n.Log.Sound(waiting), context.DeadlineExceeded)
	require.ErrorIs(t, n.Log.Err(), eventstore.ErrIntegrity)
}

func TestReplicasAreWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	store := externalStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	n.Close()
	opts.Replicas = 3
	_, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.ErrorIs(t, err, eventstore.ErrReplicas)
	require.ErrorContains(t, err, "nats stream edit "+opts.Stream+" --replicas 3")
	opts.Replicas = 0
	log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.NoError(t, err, "not asked for")
	require.NoError(t, log.Close())
}

// externalStore is a server as an operator would run it.
func externalStore(t *testing.T) eventstoretest.Store {
	t.Helper()
	url := eventstoretest.External(t).ClientURL()
	return eventstoretest.Store{Replicas: 1, JetStream: func(tb testing.TB) jetstream.JetStream { return eventstoretest.Connect(tb, url) }}
}

// TestACountThatCannotBeTrustedIsADoubt lets another server answer the second of two questions.
func TestACountThatCannotBeTrustedIsADoubt(t *testing.T) {
	t.Parallel()
	relay, n := relayed(t, never)
	var first sync.Once
	relay.Alter(func(info map[string]any) {
		passed := false
		first.Do(func() { passed = true })
		if !passed {
			info["created"] = time.Now().UTC().Format(time.RFC3339Nano)
		}
	})
	requireDoubt(t, n.Log.CheckCounts(t.Context()))
	relay.Alter(nil)
	require.NoError(t, n.Log.Sound(t.Context()))
	require.NoError(t, n.Log.CheckCounts(t.Context()))
}
