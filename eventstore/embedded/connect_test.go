package embedded_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"permledger/eventstore/embedded"
	"permledger/eventstore/eventstoretest"
)

// proxied is a proxy before a server, and the proxy's address.
func proxied(t *testing.T) (*eventstoretest.Proxy, string) {
	t.Helper()
	server, err := url.Parse(eventstoretest.External(t).ClientURL())
	require.NoError(t, err)
	p := eventstoretest.NewProxy(t, server.Host)
	return p, p.URL()
}

func TestAServerThatIsNotThereYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	p, address := proxied(t)
	p.Hold(true, true) // it takes the connection and says nothing
	told := make(chan struct{})
	go func() {
		<-told
		p.Hold(false, false)
	}()
	c, err := embedded.Connect(t.Context(), address, embedded.ConnectOptions{
		SyncAlways: true, Wait: time.Minute, Waiting: func(error) { close(told) },
	})
	require.NoError(t, err)
	require.NoError(t, c.Close())

	_, err = embedded.Connect(t.Context(), "nats://user:secret@127.0.0.1:1", embedded.ConnectOptions{SyncAlways: true})
	require.ErrorIs(t, err, embedded.ErrUnreachable)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.NotContains(t, err.Error(), "secret")
}

// TestAServerThatFallsSilentIsLeftForAnother holds back what one server says, as a paused process does: its
// connections stay open.
func TestAServerThatFallsSilentIsLeftForAnother(t *testing.T) {
	t.Parallel()
	p, first := proxied(t)
	_, second := proxied(t)
	c, err := embedded.Connect(t.Context(), first+","+second, embedded.ConnectOptions{
		SyncAlways: true, NATS: []nats.Option{nats.DontRandomize()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	conn := c.JetStream().Conn()
	require.Equal(t, first, conn.ConnectedUrl())
	p.Hold(true, true)
	require.Eventually(t, func() bool { return conn.IsConnected() && conn.ConnectedUrl() == second }, time.Minute, 20*time.Millisecond)
	_, err = c.JetStream().AccountInfo(t.Context())
	require.NoError(t, err)
}
