package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// network is what lies between the servers and the nodes of a cluster: every connection passes a relay of this
// process, so that traffic can be held back or cut in each direction without privileges.
type network struct {
	mu       sync.Mutex
	passages map[[2]string]*passage // by where data comes from and goes to; guarded by mu
	relays   []*relay               // guarded by mu
}

// passage is the way of data in one direction. Data on a way that is held waits, as lost packets that are sent
// again do, and arrives when the way is free.
type passage struct {
	mu   sync.Mutex
	free chan struct{} // closed while data may pass
}

func (p *passage) wait() {
	p.mu.Lock()
	free := p.free
	p.mu.Unlock()
	<-free
}

func (p *passage) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.free:
		p.free = make(chan struct{})
	default:
	}
}

func (p *passage) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.free:
	default:
		close(p.free)
	}
}

func newNetwork(t *testing.T) *network {
	n := &network{passages: make(map[[2]string]*passage)}
	t.Cleanup(n.close)
	return n
}

// passage gives the way from one member to another.
func (n *network) passage(from, to string) *passage {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.passages[[2]string{from, to}]
	if p == nil {
		p = &passage{free: make(chan struct{})}
		close(p.free)
		n.passages[[2]string{from, to}] = p
	}
	return p
}

// relay takes the connections that one member makes to another.
type relay struct {
	from, to string
	target   string
	listener net.Listener
	there    *passage // from who connects
	back     *passage
	pumps    sync.WaitGroup

	mu     sync.Mutex
	broken bool              // connections are refused; guarded by mu
	open   map[net.Conn]bool // both ends; guarded by mu
}

// between gives the address at which one member reaches another.
func (n *network) between(t *testing.T, from, to, target string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{
		from: from, to: to, target: target, listener: listener, there: n.passage(from, to), back: n.passage(to, from),
		open: make(map[net.Conn]bool),
	}
	n.mu.Lock()
	n.relays = append(n.relays, r)
	n.mu.Unlock()
	r.pumps.Go(r.accept)
	return listener.Addr().String()
}

func (r *relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.pumps.Go(func() { r.join(near) })
	}
}

func (r *relay) join(near net.Conn) {
	far, err := net.Dial("tcp", r.target)
	if err != nil {
		_ = near.Close()
		return
	}
	r.mu.Lock()
	refused := r.broken
	if !refused {
		r.open[near], r.open[far] = true, true
	}
	r.mu.Unlock()
	if !refused {
		var both sync.WaitGroup
		both.Go(func() { pump(near, far, r.there) })
		both.Go(func() { pump(far, near, r.back) })
		both.Wait()
		r.mu.Lock()
		delete(r.open, near)
		delete(r.open, far)
		r.mu.Unlock()
	}
	_, _ = near.Close(), far.Close()
}

// pump carries data one way. When that ends, the connection does.
func pump(from, to net.Conn, way *passage) {
	data := make([]byte, 64<<10)
	for {
		n, err := from.Read(data)
		way.wait()
		if n > 0 {
			if _, werr := to.Write(data[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

// cut ends the connections through a relay.
func (r *relay) cut(broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
	for c := range r.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// each does something with all relays between two members, whoever connects.
func (n *network) each(a, b string, do func(*relay)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.relays {
		if r.from == a && r.to == b || r.from == b && r.to == a {
			do(r)
		}
	}
}

// peer tells to which of some members one has a connection.
func (n *network) peer(from string, among []string) (found string) {
	for _, to := range among {
		n.each(from, to, func(r *relay) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.open) > 0 {
				found = to
			}
		})
	}
	return found
}

// hold keeps back what one member sends another.
func (n *network) hold(from, to string) { n.passage(from, to).hold() }

// part keeps back what two members send each other.
func (n *network) part(a, b string) {
	n.hold(a, b)
	n.hold(b, a)
}

// sever ends the connections of two members and refuses new ones.
func (n *network) sever(a, b string) { n.each(a, b, func(r *relay) { r.cut(true) }) }

// shake ends the connections of two members; new ones are welcome.
func (n *network) shake(a, b string) { n.each(a, b, func(r *relay) { r.cut(false) }) }

// heal lets everything pass.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.passages {
		p.release()
	}
	for _, r := range n.relays {
		r.mu.Lock()
		r.broken = false
		r.mu.Unlock()
	}
}

func (n *network) close() {
	n.heal()
	n.mu.Lock()
	relays := n.relays
	n.mu.Unlock()
	for _, r := range relays {
		_ = r.listener.Close()
		r.cut(true)
	}
	for _, r := range relays {
		r.pumps.Wait()
	}
}

func TestTheNetworkOfTheCampaignsHoldsCutsAndHeals(t *testing.T) {
	t.Parallel()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = echo.Close() })
	got := make(chan string, 10)
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				data := make([]byte, 100)
				for {
					n, err := c.Read(data)
					if err != nil {
						return
					}
					got <- string(data[:n])
					_, _ = fmt.Fprint(c, "back")
				}
			}()
		}
	}()
	n := newNetwork(t)
	address := n.between(t, "a", "b", echo.Addr().String())
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	answer := make([]byte, 4)
	say := func(what string) { _, err := fmt.Fprint(c, what); require.NoError(t, err) }
	say("one")
	require.Equal(t, "one", <-got)
	_, err = io.ReadFull(c, answer)
	require.NoError(t, err)

	n.hold("b", "a") // one way only
	say("two")
	require.Equal(t, "two", <-got)
	n.heal()
	_, err = io.ReadFull(c, answer)
	require.NoError(t, err, "what was held arrives")

	n.hold("a", "b")
	say("three")
	require.Empty(t, got)
	n.sever("a", "b")
	_, err = c.Read(answer)
	require.Error(t, err)
	c, err = net.Dial("tcp", address)
	require.NoError(t, err)
	_, err = c.Read(answer)
	require.Error(t, err, "refused while it is severed")
	n.heal()
	c, err = net.Dial("tcp", address)
	require.NoError(t, err)
	say("four")
	require.Eventually(t, func() bool { return <-got == "four" }, patience, 1)
}
