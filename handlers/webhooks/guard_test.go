package webhooks

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

func TestOnlyTheInternetIsWithinReachUnlessMoreIsAllowed(t *testing.T) {
	t.Parallel()
	const never, onLoopback, inPrivate, always = 0, 1, 2, 3
	for address, when := range map[string]int{
		"8.8.8.8": always, "93.184.216.34": always, "2606:2800:220:1::1": always, "::ffff:8.8.8.8": always, "100.63.255.255": always, "172.32.0.1": always,
		"127.0.0.1": onLoopback, "127.9.9.9": onLoopback, "::1": onLoopback, "::ffff:127.0.0.1": onLoopback,
		"10.0.0.1": inPrivate, "172.16.0.1": inPrivate, "172.31.255.255": inPrivate, "192.168.1.1": inPrivate, "100.64.0.1": inPrivate,
		"100.127.255.255": inPrivate, "fc00::1": inPrivate, "fd12:3456::1": inPrivate, "::ffff:10.0.0.1": inPrivate,
		"169.254.169.254": never, "::ffff:169.254.169.254": never, "fe80::1": never, "fe80::1%eth0": never, "2606:4700::1%eth0": never,
		"0.0.0.0": never, "0.1.2.3": never, "::": never, "::ffff:0.0.0.0": never, "224.0.0.1": never, "239.1.1.1": never, "ff02::1": never,
		"255.255.255.255": never, "240.0.0.1": never, "192.0.0.8": never, "192.0.2.1": never, "198.18.0.1": never, "198.51.100.1": never,
		"203.0.113.1": never, "192.88.99.1": never, "64:ff9b::a00:1": never, "64:ff9b:1::1": never, "2002:a00:1::1": never,
		"2001:0:4136:e378::1": never, "2001:db8::1": never, "3fff::1": never, "fec0::1": never, "::10.0.0.1": never, "100::1": never, "5f00::1": never,
	} {
		a := netip.MustParseAddr(address)
		require.Equal(t, when == always, Reach{}.allows(a), address)
		require.Equal(t, when == always || when == onLoopback, Reach{Loopback: true}.allows(a), address)
		require.Equal(t, when != never, Reach{Private: true}.allows(a), address)
	}
	require.False(t, Reach{Private: true}.allows(netip.Addr{}))
	require.ErrorIs(t, Reach{}.control("tcp", "nowhere", nil), errOutOfReach)
}

func strict(t *testing.T, reach Reach) *sender {
	t.Helper()
	s := newSender(&signer{path: filepath.Join(t.TempDir(), "key.pem")}, reach)
	t.Cleanup(s.close)
	return s
}

var anything = notice{id: uuid.Max, event: domain.TestCreated, at: time.Unix(0, 0), correlation: "test"}

func TestANameThatLeadsOutOfReachIsRefusedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	called := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer server.Close()
	for _, address := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), strings.Replace(server.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), strings.Replace(server.URL, "https", "http", 1)} {
		_, err := strict(t, Reach{}).send(t.Context(), address, anything)
		require.ErrorIs(t, err, errOutOfReach, address)
	}
	require.False(t, called)
	_, err := strict(t, Reach{Loopback: true}).send(t.Context(), server.URL, anything)
	require.Error(t, err, "its certificate is nobody's")
	require.NotErrorIs(t, err, errOutOfReach)
	require.False(t, called)
}

func TestRedirectsAreNotFollowedAndProxiesNotAsked(t *testing.T) {
	t.Parallel()
	called := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	s := strict(t, Reach{Loopback: true})
	status, err := s.send(t.Context(), server.URL, anything)
	require.NoError(t, err)
	require.Equal(t, http.StatusTemporaryRedirect, status)
	require.False(t, called)
	transport, ok := s.client.Transport.(*http.Transport)
	require.True(t, ok)
	require.Nil(t, transport.Proxy)
	require.Equal(t, attemptTimeout, s.client.Timeout)
}

func TestAnEndlessAnswerIsDropped(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	status, err := strict(t, Reach{Loopback: true}).send(t.Context(), server.URL, anything)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	select {
	case <-ended:
	case <-time.After(soon):
		require.FailNow(t, "the answer is still read")
	}
}

func TestAnErrorNeverRepeatsTheAddress(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := strict(t, Reach{Loopback: true}).send(t.Context(), server.URL+"/in?code=secret", anything)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}
