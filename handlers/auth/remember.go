package auth

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// rememberFor bounds how long a token that was found valid is not verified again: that long a key
	// that its issuer has withdrawn may still be accepted. Expiry is looked at every time.
	rememberFor = time.Minute
	// rememberMost is how many tokens are remembered, in each of two generations.
	rememberMost = 10_000
)

// Remember spares the signature check of a token that was found valid within the last minute; it costs
// more than all the rest of a query. Tokens are remembered by their hash.
func Remember(next Authenticator) Authenticator {
	return &memory{next: next, now: time.Now, young: make(map[[sha256.Size]byte]remembered)}
}

type memory struct {
	next Authenticator
	now  func() time.Time

	mu         sync.RWMutex
	young, old map[[sha256.Size]byte]remembered // guarded by mu
}

type remembered struct {
	principal Principal
	until     time.Time
}

// Authenticate implements Authenticator.
func (m *memory) Authenticate(ctx context.Context, token string) (Principal, error) {
	if len(token) > MaxTokenBytes {
		return m.next.Authenticate(ctx, token)
	}
	hash, now := sha256.Sum256([]byte(token)), m.now()
	m.mu.RLock()
	known, found := m.young[hash]
	if !found {
		known, found = m.old[hash]
	}
	m.mu.RUnlock()
	if found && now.Before(known.until) {
		return known.principal, nil
	}
	p, err := m.next.Authenticate(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	until := now.Add(rememberFor)
	if p.Expires.Before(until) {
		until = p.Expires
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= rememberMost {
		m.old, m.young = m.young, make(map[[sha256.Size]byte]remembered)
	}
	m.young[hash] = remembered{principal: p, until: until}
	return p, nil
}
