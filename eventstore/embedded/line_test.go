package embedded_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/eventstore/embedded"
	"permledger/eventstore/eventstoretest"
)

// soon bounds what these tests wait for.
const soon = time.Minute

func TestAServerThatHangsIsLeftForAnother(t *testing.T) {
	t.Parallel()
	var proxies []*eventstoretest.Proxy
	var urls []string
	for range 2 {
		p := eventstoretest.NewProxy(t, strings.TrimPrefix(eventstoretest.External(t).ClientURL(), "nats://"))
		proxies, urls = append(proxies, p), append(urls, p.URL())
	}
	e, err := embedded.Connect(t.Context(), strings.Join(urls, ","), embedded.ConnectOptions{SyncAlways: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	conn := e.JetStream().Conn()
	on := func() int {
		for i, u := range urls {
			if conn.ConnectedUrl() == u {
				return i
			}
		}
		return -1
	}
	first := on()
	require.GreaterOrEqual(t, first, 0)
	require.True(t, e.Up())

	proxies[first].Hold(true, true) // it says nothing any more, and its connection stays
	require.Eventually(t, func() bool { return on() == 1-first && e.Up() }, soon, 10*time.Millisecond)

	e.Leave() // the other one has failed lately, so that this one is chosen again
	require.Eventually(t, func() bool { return on() == 1-first && e.Up() }, soon, 10*time.Millisecond)
	proxies[first].Hold(false, false)
	proxies[1-first].Hold(true, true)
	require.Eventually(t, func() bool { return on() == first && e.Up() }, soon, 10*time.Millisecond, "rather one that failed longer ago than none")
}
