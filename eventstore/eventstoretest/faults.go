package eventstoretest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Fault is what happens to one publish.
type Fault int

const (
	// Pass lets it through.
	Pass Fault = iota
	// Lose drops it: it fails and is not stored.
	Lose
	// LoseAck drops the acknowledgement: it fails but is stored.
	LoseAck
)

// Faults is a JetStream whose publishes go wrong as planned. Everything else
// passes.
type Faults struct {
	jetstream.JetStream

	mu      sync.Mutex
	plan    []Fault
	before  func()
	publish int
}

// Plan says what happens to the next publishes; then they pass again.
func (f *Faults) Plan(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = append(f.plan, faults...)
}

// Before runs fn once, before the next publish is sent.
func (f *Faults) Before(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = fn
}

// Publishes returns how often something was published.
func (f *Faults) Publishes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.publish
}

// PublishMsg publishes, or fails as planned.
func (f *Faults) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	f.mu.Lock()
	fault := Pass
	if len(f.plan) > 0 {
		fault, f.plan = f.plan[0], f.plan[1:]
	}
	before := f.before
	f.before = nil
	f.publish++
	f.mu.Unlock()
	if before != nil {
		before()
	}
	if fault == Lose {
		return nil, nats.ErrTimeout
	}
	ack, err := f.JetStream.PublishMsg(ctx, m, opts...)
	if fault == LoseAck {
		return nil, nats.ErrTimeout
	}
	return ack, err
}

// Proxy forwards TCP connections to a server, and can hold back what flows in
// either direction. Held bytes are delivered late, or never after Cut.
type Proxy struct {
	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond
	toServer bool // held
	toClient bool // held
	closed   bool
	conns    map[net.Conn]bool
}

// NewProxy starts a proxy on the loopback interface. It ends with the test.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target, conns: make(map[net.Conn]bool)}
	p.changed = sync.NewCond(&p.mu)
	p.done.Go(p.accept)
	tb.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		_ = listener.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// URL returns the address clients connect to.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Hold holds back what flows to the server, to the clients, or neither.
func (p *Proxy) Hold(toServer, toClient bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toServer, p.toClient = toServer, toClient
	p.changed.Broadcast()
}

// Cut closes all connections; what was held is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	p.changed.Broadcast()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_, _ = client.Close(), server.Close()
			continue
		}
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.done.Go(func() { p.pump(server, client, &p.toServer) })
		p.done.Go(func() { p.pump(client, server, &p.toClient) })
	}
}

func (p *Proxy) pump(to, from net.Conn, held *bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		for *held && p.conns[to] {
			p.changed.Wait()
		}
		alive := p.conns[to]
		p.mu.Unlock()
		if !alive {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
