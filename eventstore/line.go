package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Line is the connection to the servers of a cluster. Its methods return at once.
type Line interface {
	// Up reports whether a server is connected. While none is, a request would
	// wait for the connection longer than its context says.
	Up() bool
	// Leave goes to another server: this one may be cut off from the others.
	Leave()
}

// ownLine is the connection to a server of one's own, which nobody leaves.
type ownLine struct{}

func (ownLine) Up() bool { return true }
func (ownLine) Leave()   {}

// silence notes since when a server has left something without an answer.
type silence struct {
	mu    sync.Mutex
	since time.Time // zero while there are answers; guarded by mu
}

func (s *silence) broken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// lasts reports that the silence has lasted for leaveAfter; then it begins anew.
func (s *silence) lasts(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.since.IsZero():
		s.since = now
	case now.Sub(s.since) >= leaveAfter:
		s.since = now
		return true
	}
	return false
}

// heard notes whether the server answered a question, and leaves one that has
// been silent for too long. A leader that was cut off still answers questions
// from what it has, so that records have a silence of their own.
func (l *Log) heard(s *silence, answered bool) {
	switch {
	case !l.opts.Shared:
	case answered:
		s.broken()
	case s.lasts(time.Now()):
		l.line.Leave()
	}
}

// hung notes when a replica that was asked at random left a reader without an
// answer.
type hung struct{ at atomic.Pointer[time.Time] }

func (h *hung) note() {
	now := time.Now()
	h.at.Store(&now)
}

// lately says that some replica hangs, as far as is known.
func (h *hung) lately() bool {
	at := h.at.Load()
	return at != nil && time.Since(*at) < hungFor
}

// ask sends a question that may be asked twice and returns the answer. On a
// cluster it is asked again while there is none: the first one may have gone to
// a leader that is no more, and its successor should not have to wait for the
// next caller.
func (l *Log) ask(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeout)
	defer cancel()
	if !l.opts.Shared {
		return l.js.Conn().RequestWithContext(ctx, subject, body)
	}
	m, err := l.askOnce(ctx, subject, body)
	if errors.Is(err, errUnheard) {
		m, err = l.insist(ctx, subject, body)
	}
	l.heard(&l.asking, err == nil)
	return m, err
}

// errUnheard says that a question has had no answer yet.
var errUnheard = errors.New("no answer")

func (l *Log) askOnce(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	if !l.line.Up() {
		return nil, errNoServer
	}
	once, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	m, err := l.js.Conn().RequestWithContext(once, subject, body)
	if err != nil && once.Err() != nil && ctx.Err() == nil {
		return nil, errUnheard
	}
	return m, err
}

// errNoServer says that no server is connected.
var errNoServer = fmt.Errorf("%w: no server is connected", nats.ErrDisconnected)

// insist repeats a question until the first answer to any of them.
func (l *Log) insist(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	conn := l.js.Conn()
	inbox := conn.NewInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		if !l.line.Up() {
			return nil, errNoServer
		}
		if err := conn.PublishRequest(subject, inbox, body); err != nil {
			return nil, err
		}
		once, cancel := context.WithTimeout(ctx, askAgain)
		m, err := sub.NextMsgWithContext(once)
		cancel()
		switch {
		case err == nil && len(m.Data) == 0 && m.Header.Get("Status") == "503":
			return nil, nats.ErrNoResponders
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case once.Err() == nil:
			return nil, err
		}
		l.heard(&l.asking, false)
	}
}

// agreed returns the end of the log behind which a refusal may be answered: the
// cursor given when nothing has been stored behind it, else ErrConflict. A
// leader that has been replaced without knowing it would say so in good faith,
// and the refusal would rest on the past. Where it has not heard from every
// replica for less than an election takes, a record without commands is stored,
// for which it needs a majority, and its cursor returned.
func (l *Log) agreed(ctx context.Context, at Cursor) (Cursor, error) {
	var standing struct {
		Error  *jetstream.APIError `json:"error"`
		Config struct {
			Replicas int `json:"num_replicas"`
		} `json:"config"`
		State struct {
			Last uint64 `json:"last_seq"`
		} `json:"state"`
		Cluster struct {
			Replicas []struct {
				Offline bool          `json:"offline"`
				Active  time.Duration `json:"active"`
			} `json:"replicas"`
		} `json:"cluster"`
	}
	if err := l.api(ctx, "STREAM.INFO."+l.opts.Stream, nil, &standing); err != nil {
		return Cursor{}, err
	}
	if standing.Error != nil {
		return Cursor{}, fmt.Errorf("ask for stream %s: %w: %w", l.opts.Stream, ErrUnavailable, standing.Error)
	}
	if standing.State.Last != at.Sequence {
		last, err := l.last(ctx)
		if err == nil && last != at.Sequence {
			err = ErrConflict
		}
		if err != nil {
			return Cursor{}, err
		}
	}
	heard := 1+len(standing.Cluster.Replicas) >= standing.Config.Replicas
	for _, r := range standing.Cluster.Replicas {
		// A replica that has never been heard counts as silent for no time at all.
		heard = heard && !r.Offline && r.Active > 0 && r.Active < electionless
	}
	if heard {
		return at, nil
	}
	barrier := l.barrier(at)
	return l.append(ctx, at, AppendRecord(nil, &barrier), barrier.Last(), barrier.Time)
}

// api sends one request of the JetStream API and decodes the answer.
func (l *Log) api(ctx context.Context, subject string, body []byte, answer any) error {
	m, err := l.ask(ctx, l.prefix+subject, body)
	if err != nil {
		return fmt.Errorf("ask the server (%s): %w", subject, unavailable(err))
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		return fmt.Errorf("ask the server (%s): %w: %w", subject, ErrUnavailable, err)
	}
	return nil
}
