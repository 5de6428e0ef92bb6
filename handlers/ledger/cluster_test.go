package ledger

import (
	"bytes"
	"context"
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
	return Config{Dir: t.TempDir(), Found: true, External: External{URL: url, SyncAlways: true, Confirm: 50 * time.Millisecond}}
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
		require.Eventually(t, func() bool { // the server may still remove the files of the stream before
			_, err := js.CreateStream(t.Context(), c)
			return err == nil
		}, time.Minute, 20*time.Millisecond)
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

func TestWhatTheServersAllowIsAWarning(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	l := serving(t, onCluster(t, url))
	ready(t, l)
	head := l.Head()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		warnings := l.Health().Warnings
		require.Len(c, warnings, 2)
		require.Contains(c, warnings[0], "anybody who can reach the NATS servers can write into the log")
		require.Contains(c, warnings[1], "is allowed to purge the stream of the log, delete records, remove streams, change streams")
	}, time.Minute, 20*time.Millisecond)
	report, err := l.store.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, head, report.Head, "finding out changed nothing")
	executes(t, l)
}

func TestForeignMessagesAreTakenOut(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	l := serving(t, onCluster(t, url))
	ready(t, l)
	before := l.Head()
	js := eventstoretest.Connect(t, url)
	for _, text := range []string{"x", "", `{"v":1}`} {
		_, err := js.Publish(t.Context(), streamSubject, []byte(text))
		require.NoError(t, err)
	}
	stored, err := l.store.Log.Get(t.Context(), before.Sequence)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), streamSubject, stored.Bytes) // a copy of a record is none
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.Fault() != nil }, time.Minute, 20*time.Millisecond)

	config := onCluster(t, url)
	dry, err := RepairCluster(t.Context(), config, true, nil)
	require.NoError(t, err)
	require.Len(t, dry.Foreign, 4)
	require.Equal(t, before, dry.Head)
	require.Empty(t, dry.Kept)
	require.Error(t, l.Fault(), "a dry run changes nothing")

	cleaned, err := RepairCluster(t.Context(), config, false, nil)
	require.NoError(t, err)
	require.Equal(t, dry.Foreign, cleaned.Foreign)
	require.Equal(t, before, cleaned.Head)
	require.NotEmpty(t, cleaned.Kept)
	executes(t, l)
	report, err := l.store.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, before.Sequence+1, report.Records)

	again, err := RepairCluster(t.Context(), config, false, nil)
	require.NoError(t, err)
	require.Empty(t, again.Foreign)
	require.Empty(t, again.Kept)
}

// TestARepairOfAClusterThatIsInterruptedGoesOn ends a repair at every step: while it stores the records again, and
// between that and its end.
func TestARepairOfAClusterThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	l := serving(t, onCluster(t, url))
	ready(t, l)
	before := l.Head()
	js := eventstoretest.Connect(t, url)
	_, err := js.Publish(t.Context(), streamSubject, []byte("x"))
	require.NoError(t, err)
	config := onCluster(t, url)
	for stop := uint64(1); stop <= before.Sequence; stop++ {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := RepairCluster(ctx, config, false, func(done, _ uint64) {
			if done == stop {
				cancel()
			}
		})
		cancel()
		require.Error(t, err)
		_, err = js.Publish(t.Context(), streamSubject, []byte("y"))
		require.Error(t, err, "nothing comes in between")
		_, err = l.Execute(t.Context(), Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)})
		require.Error(t, err, "no node writes in between")
	}
	cleaned, err := RepairCluster(t.Context(), config, false, nil)
	require.NoError(t, err)
	require.Len(t, cleaned.Foreign, 1)
	require.Equal(t, before, cleaned.Head)
	executes(t, l)
	report, err := l.store.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, before.Sequence+1, report.Records)
}

// TestAMissingRecordIsNotRepairedAway: a record of the ledger that was deleted is not a foreign message.
func TestAMissingRecordIsNotRepairedAway(t *testing.T) {
	t.Parallel()
	url := eventstoretest.External(t).ClientURL()
	config := onCluster(t, url)
	l := serving(t, config)
	ready(t, l)
	var lines bytes.Buffer
	_, err := l.store.Log.Export(t.Context(), &lines, nil)
	require.NoError(t, err)
	js := eventstoretest.Connect(t, url)
	stream, err := js.Stream(t.Context(), streamName)
	require.NoError(t, err)
	c := stream.CachedInfo().Config
	require.NoError(t, js.DeleteStream(t.Context(), streamName))
	c.DenyDelete = false
	require.Eventually(t, func() bool {
		stream, err = js.CreateStream(t.Context(), c)
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	for line := range bytes.Lines(lines.Bytes()) {
		_, err := js.Publish(t.Context(), streamSubject, bytes.TrimSuffix(line, []byte("\n")))
		require.NoError(t, err)
	}
	_, err = js.Publish(t.Context(), streamSubject, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 3))
	_, err = RepairCluster(t.Context(), onCluster(t, url), false, nil)
	require.ErrorIs(t, err, eventstore.ErrIntegrity)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, l.Head().Sequence+1, info.State.LastSeq, "nothing was changed")
}
