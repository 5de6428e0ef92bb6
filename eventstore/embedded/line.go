package embedded

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pulse is how often the connected server is asked whether it is there, and
	// pulseless how long it may take to say so before another one is tried: a
	// server that hangs, or to which nothing gets through, keeps its connection.
	pulse     = 200 * time.Millisecond
	pulseless = 500 * time.Millisecond

	// connectTimeout bounds one attempt to connect, and avoided is how long a
	// server is left out after one that failed, unless all of them do.
	connectTimeout = time.Second
	avoided        = 10 * time.Second

	// writeTimeout bounds how long a connection that takes nothing any more is
	// written to. The client's lock is held meanwhile.
	writeTimeout = 2 * time.Second

	// reconnectWait is the pause before a server is tried again that failed just
	// now, when there is no other.
	reconnectWait = 250 * time.Millisecond
)

// line keeps a connection on a server that answers. It knows the connection's
// state without its lock, which the client holds while it connects.
type line struct {
	conn *nats.Conn
	up   atomic.Bool
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	chosen  string               // the server tried last; guarded by mu
	failed  map[string]time.Time // when a server failed; guarded by mu
	left    map[string]time.Time // when it was left; guarded by mu
	joining bool                 // it was chosen and is not connected yet; guarded by mu
}

// options are those of a connection that is kept by the line.
func (l *line) options() []nats.Option {
	return []nats.Option{
		nats.Timeout(connectTimeout),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectToServer(l.choose),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { l.up.Store(false) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			l.mu.Lock()
			l.joining = false
			l.mu.Unlock()
			l.up.Store(c.IsConnected())
		}),
	}
}

// choose picks the server to connect to next: of those that have not failed
// lately the one that was left longest ago.
func (l *line) choose(servers []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chosen != "" {
		l.left[l.chosen] = now
		if l.joining {
			l.failed[l.chosen] = now
		}
	}
	var best *nats.Server
	for i := range servers {
		if best == nil || l.better(servers[i].URL.String(), best.URL.String(), now) {
			best = &servers[i]
		}
	}
	if best == nil {
		return nil, reconnectWait
	}
	l.chosen, l.joining = best.URL.String(), true
	if now.Sub(l.failed[l.chosen]) < reconnectWait {
		return best, reconnectWait
	}
	return best, 0
}

// better compares two servers. The lock is held.
func (l *line) better(a, b string, now time.Time) bool {
	sick := func(url string) bool { return now.Sub(l.failed[url]) < avoided }
	switch {
	case sick(a) != sick(b):
		return sick(b)
	case sick(a):
		return l.failed[a].Before(l.failed[b])
	default:
		return l.left[a].Before(l.left[b])
	}
}

// begin watches over a connection that has been made.
func (l *line) begin(conn *nats.Conn) {
	chosen := conn.ConnectedUrl() // before the lock, which choose takes under the client's
	l.mu.Lock()
	l.conn, l.chosen = conn, chosen
	l.mu.Unlock()
	l.up.Store(conn.IsConnected())
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() { l.watch(ctx) })
}

func (l *line) watch(ctx context.Context) {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !l.up.Load() {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, pulseless)
		err := l.conn.FlushWithContext(asking)
		silent := asking.Err() != nil && ctx.Err() == nil
		cancel()
		if err != nil && silent && l.up.Load() {
			l.mu.Lock()
			l.failed[l.chosen] = time.Now()
			l.mu.Unlock()
			l.Leave()
		}
	}
}

// Up reports whether a server is connected.
func (l *line) Up() bool { return l.up.Load() }

// Leave goes to another server.
func (l *line) Leave() {
	if l.up.CompareAndSwap(true, false) {
		// The client writes out what it holds first, which may take writeTimeout.
		l.done.Go(func() { _ = l.conn.ForceReconnect() })
	}
}

func (l *line) end() {
	l.stop()
	l.conn.Close()
	l.done.Wait()
}
