package webhooks

import (
	"context"
	"fmt"
	"time"

	"permledger/domain"
	"permledger/eventstore"
)

// office says when this node delivers. A node with a log of its own always does; of the nodes on a cluster one
// does, which they choose among themselves.
type office interface {
	// enter waits until it is this node's turn. Its error is the context's.
	enter(ctx context.Context) (turn, error)
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

// office gives the office of a ledger that serves.
func (w *Webhooks) office() office {
	if b := w.ledger.Board(); b != nil && w.ledger.Shared() {
		return newSharedOffice(b, w.ledger.ID())
	}
	return ownOffice{w}
}

// errNoBoard says that what the nodes share cannot be reached.
var errNoBoard = fmt.Errorf("the ledger does not serve: %w", eventstore.ErrUnavailable)

// sharedKey gives where the nodes keep their key; nil where this node's is its own.
func (w *Webhooks) sharedKey() (sharedKey, error) {
	if !w.ledger.Shared() {
		return nil, nil
	}
	b := w.ledger.Board()
	if b == nil {
		return nil, errNoBoard
	}
	return boardKey{b}, nil
}
