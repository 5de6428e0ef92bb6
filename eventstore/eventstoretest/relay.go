package eventstoretest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Relay stands between a node and the API of JetStream. It passes everything on,
// but can say something else about a stream, as a server does that was cut off
// from the others. Publishes do not pass it.
type Relay struct {
	jetstream.JetStream

	mu    sync.Mutex
	alter func(info map[string]any) // nil changes nothing
	asked int
}

// NewRelay makes a relay on a connection of its own to a server.
func NewRelay(tb testing.TB, url string) *Relay {
	tb.Helper()
	const own, server = "relay.API", "$JS.API"
	conn, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	r := &Relay{}
	_, err = conn.Subscribe(own+".>", func(m *nats.Msg) {
		subject := server + strings.TrimPrefix(m.Subject, own)
		r.mu.Lock()
		alter := r.alter
		if strings.Contains(subject, ".STREAM.INFO.") {
			r.asked++
		}
		r.mu.Unlock()
		if alter == nil || !strings.Contains(subject, ".STREAM.INFO.") {
			_ = conn.PublishMsg(&nats.Msg{Subject: subject, Reply: m.Reply, Data: m.Data, Header: m.Header})
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		answer, err := conn.RequestWithContext(ctx, subject, m.Data)
		if err != nil {
			return
		}
		var info map[string]any
		if json.Unmarshal(answer.Data, &info) == nil {
			alter(info)
			if b, err := json.Marshal(info); err == nil {
				_ = conn.Publish(m.Reply, b)
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		tb.Fatal(err)
	}
	r.JetStream, err = jetstream.NewWithAPIPrefix(Connect(tb, url).Conn(), own)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// Alter changes what is said about streams from now on; nil ends it.
func (r *Relay) Alter(alter func(info map[string]any)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alter = alter
}

// Asked returns how often somebody asked about a stream.
func (r *Relay) Asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}
