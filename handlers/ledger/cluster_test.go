package ledger

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// onCluster is the configuration of a node on a server of its own.
func onCluster(t *testing.T, url string) Config {
	t.Helper()
	return Config{Dir: t.TempDir(), External: External{URL: url, SyncAlways: true, Confirm: 50 * time.Millisecond}}
}

// serving is a node that serves.
func serving(t *testing.T, config Config) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// taken removes the stream of a ledger and gives a function that puts it back.
func taken(t *testing.T, l *Ledger, url string) (putBack func()) {
	t.Helper()
	var lines bytes.Buffer
	_, err := l.store.Log.Export(t.Context(), &lines, nil)
	require.NoError(t, err)
	js := eventstoretest.Connect(t, url)
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	c := stream.CachedInfo().Config
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	return func() {
		_, err := js.CreateStream(t.Context(), c)
		require.NoError(t, err)
		for line := range bytes.Lines(lines.Bytes()) {
			_, err := js.Publish(t.Context(), streamSubject, bytes.TrimSuffix(line, []byte("\n")), jetstream.WithExpectStream(streamName))
			require.NoError(t, err)
		}
	}
}

// executes waits until a node takes commands, and for its read models.
func executes(t *testing.T, l *Ledger) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		answer, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
		require.NoError(c, err)
		require.NoError(c, l.Models().WaitFor(t.Context(), answer.Position))
		require.True(c, l.Health().Ready)
	}, time.Minute, 20*time.Millisecond)
}

func TestALedgerWhoseStreamIsRemovedAndPutBackServesAgain(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	l := serving(t, onCluster(t, url))
	ready(t, l)
	putBack := taken(t, l, url)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
		require.ErrorIs(c, err, eventstore.ErrIntegrity)
		require.ErrorIs(c, l.Fault(), eventstore.ErrIntegrity)
		require.False(c, l.Health().Ready)
	}, time.Minute, 20*time.Millisecond)
	putBack()
	executes(t, l)
	require.NoError(t, l.Fault())
}

func TestALedgerOpenedWhileItsStreamIsGoneServesOnceItIsBack(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	config := onCluster(t, url)
	l, err := Open(t.Context(), config)
	require.NoError(t, err)
	ready(t, l)
	putBack := taken(t, l, url)
	require.NoError(t, l.Close())

	l = serving(t, config)
	require.ErrorIs(t, l.Fault(), eventstore.ErrIntegrity)
	require.False(t, l.Health().Ready)
	require.Zero(t, l.Head())
	require.Zero(t, l.Book().Head())
	_, err = l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
	putBack()
	require.Eventually(t, func() bool { return l.Fault() == nil }, time.Minute, 20*time.Millisecond)
	executes(t, l)
}
