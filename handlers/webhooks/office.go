package webhooks

import (
	"context"
	"time"

	"permledger/domain"
)

// office says when this node delivers. A node with a log of its own always does; of the nodes on a cluster one
// does, which they choose among themselves.
type office interface {
	// enter waits until it is this node's turn. Its error is the context's.
	enter(ctx context.Context) (turn, error)
	// keys keeps the signing key for all nodes; nil where each has its own.
	keys() sharedKey
}

// turn is the time for which this node delivers, with how far partners have been told. Its methods may be called
// from several goroutines at once.
type turn interface {
	// over is closed once it is another node's turn.
	over() <-chan struct{}
	// confirm is asked before each attempt, and says until when that may last: for ever when it is zero. Its
	// error is errNotConfirmed when nothing may be sent now, errReplaced when it is another node's turn.
	confirm(ctx context.Context) (until time.Time, err error)
	// recall gives a partner's place as it was saved last, false when there is none.
	recall(ctx context.Context, partner domain.TenantID) (place, bool, error)
	save(ctx context.Context, partner domain.TenantID, p place) error
	forget(ctx context.Context, partner domain.TenantID) error
	// leave ends the turn, so that another node need not wait.
	leave(ctx context.Context)
}

// sharedKey is where nodes keep the one key with which they sign, as PEM.
type sharedKey interface {
	// key gives the key; nil when there is none yet.
	key(ctx context.Context) ([]byte, error)
	// offer makes a key the one of all nodes, unless there is one, and gives that which is.
	offer(ctx context.Context, pem []byte) ([]byte, error)
}

// newOffice gives the office of a ledger's nodes.
func (w *Webhooks) newOffice() office {
	if b := w.ledger.Board(); b != nil {
		return newSharedOffice(b, w.ledger.ID())
	}
	return ownOffice{w}
}
