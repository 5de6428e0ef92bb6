package embedded_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/eventstore/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheServerListensNowhereAndKeepsWhatItTook(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var logged bytes.Buffer
	for round := range 3 {
		s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		require.NoError(t, err)
		require.True(t, s.Running())
		require.Equal(t, "pipe", s.Conn().ConnectedAddr(), "no listener")
		require.Equal(t, int64(embedded.MaxPayload), s.Conn().MaxPayload())
		stream, err := s.JetStream().CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		require.NoError(t, err)
		require.Equal(t, uint64(round), stream.CachedInfo().State.Msgs)
		_, err = s.JetStream().Publish(t.Context(), "s", make([]byte, 5<<20))
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.NoError(t, s.Close())
		require.False(t, s.Running())
	}
	require.Empty(t, logged.String(), "nothing to tell an operator")
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestADirectoryBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := embedded.LockDir(dir)
	require.NoError(t, err)
	_, err = embedded.Start(t.Context(), embedded.Options{Dir: dir})
	var locked *embedded.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, os.Getpid(), locked.PID)
	require.NoError(t, lock.Unlock())
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestAServerThatMayNotSyncIsRefused(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	url := s.ClientURL()
	ctx := context.Background()

	_, err = embedded.Connect(ctx, url, embedded.ConnectOptions{})
	require.ErrorIs(t, err, embedded.ErrNotSynced)
	for want, opts := range map[embedded.Sync]embedded.ConnectOptions{
		embedded.SyncAsserted: {SyncAlways: true},
		embedded.SyncUnknown:  {AllowUnsynced: true},
	} {
		c, err := embedded.Connect(ctx, url, opts)
		require.NoError(t, err)
		require.Equal(t, want, c.Sync())
		require.Equal(t, want == embedded.SyncAsserted, c.Synced())
		require.NoError(t, c.Close())
	}
}

func TestAfterARestartTheSameConnectionFindsTheSameData(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	stream, err := s.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	for round := range uint64(3) {
		require.NoError(t, s.Restart(t.Context()))
		require.True(t, s.Running())
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			info, err := stream.Info(t.Context())
			require.NoError(c, err)
			require.Equal(c, round, info.State.Msgs)
		}, 10*time.Second, 10*time.Millisecond)
		_, err = s.JetStream().Publish(t.Context(), "s", []byte("again"))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	require.Error(t, s.Restart(t.Context()), "what is closed stays closed")
}
