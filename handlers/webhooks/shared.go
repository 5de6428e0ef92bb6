package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/eventstore/board"
)

// The names of the notes that nodes share.
const (
	holderNote  = "holder"
	keyNote     = "key"
	placePrefix = "place."
)

// sharedOffice is held by one of the nodes on a cluster. Holder, places and key are notes on a board.
type sharedOffice struct {
	board  *board.Board
	office *board.Office
	ledger uuid.UUID
}

func newSharedOffice(b *board.Board, ledger uuid.UUID) *sharedOffice {
	return &sharedOffice{board: b, office: board.NewOffice(b, holderNote), ledger: ledger}
}

func (o *sharedOffice) enter(ctx context.Context) (turn, error) {
	term, err := o.office.Enter(ctx)
	if err != nil {
		return nil, err
	}
	return &sharedTurn{Term: term, board: o.board, ledger: o.ledger, revisions: make(map[domain.TenantID]uint64)}, nil
}

// boardKey is the key of all nodes, a note too.
type boardKey struct{ board *board.Board }

func (o boardKey) key(ctx context.Context) ([]byte, error) {
	note, err := o.board.Read(ctx, keyNote)
	return note.Value, err
}

func (o boardKey) offer(ctx context.Context, pem []byte) ([]byte, error) {
	_, err := o.board.Write(ctx, keyNote, pem, 0)
	if err != nil && !errors.Is(err, eventstore.ErrConflict) && !errors.Is(err, eventstore.ErrOutcomeUnknown) {
		return nil, err
	}
	stored, err := o.key(ctx)
	if err == nil && len(stored) == 0 {
		err = fmt.Errorf("the key was not kept: %w", eventstore.ErrUnavailable)
	}
	return stored, err
}

// sharedTurn is a term. Each place names the term in which it was saved, so that whoever was replaced meanwhile
// finds out, and does not take back what another node has told.
type sharedTurn struct {
	*board.Term
	board  *board.Board
	ledger uuid.UUID

	mu        sync.Mutex
	revisions map[domain.TenantID]uint64 // of the notes as this node knows them; guarded by mu
}

// sharedPlace is the note of a place.
type sharedPlace struct {
	place
	Ledger uuid.UUID `json:"ledger"` // a place in another log is worth nothing
	Term   uint64    `json:"term"`
}

func (t *sharedTurn) over() <-chan struct{} { return t.Over() }

func (t *sharedTurn) confirm(ctx context.Context) (time.Time, error) {
	until, err := t.Confirm(ctx)
	switch {
	case errors.Is(err, board.ErrDeposed):
		err = fmt.Errorf("%w: %w", errReplaced, err)
	case err != nil:
		err = fmt.Errorf("%w: %w", errNotConfirmed, err)
	}
	return until, err
}

func (t *sharedTurn) leave(ctx context.Context) { t.Leave(ctx) }

func placeNote(partner domain.TenantID) string { return placePrefix + partner.String() }

// read reads a partner's note and keeps its revision.
func (t *sharedTurn) read(ctx context.Context, partner domain.TenantID) (p sharedPlace, found bool, err error) {
	note, err := t.board.Read(ctx, placeNote(partner))
	if err != nil {
		return p, false, err
	}
	t.mu.Lock()
	t.revisions[partner] = note.Revision
	t.mu.Unlock()
	if len(note.Value) == 0 {
		return p, false, nil
	}
	if err := json.Unmarshal(note.Value, &p); err != nil {
		return p, false, fmt.Errorf("the webhook position of %s: %w", partner, err)
	}
	return p, p.Ledger == t.ledger, nil
}

func (t *sharedTurn) recall(ctx context.Context, partner domain.TenantID) (place, bool, error) {
	p, found, err := t.read(ctx, partner)
	return p.place, found, err
}

func (t *sharedTurn) save(ctx context.Context, partner domain.TenantID, p place) error {
	value, err := json.Marshal(sharedPlace{place: p, Ledger: t.ledger, Term: t.Number})
	if err != nil {
		return err
	}
	return t.put(ctx, partner, value)
}

func (t *sharedTurn) forget(ctx context.Context, partner domain.TenantID) error {
	return t.put(ctx, partner, nil)
}

// put writes a partner's note, unless a later term has.
func (t *sharedTurn) put(ctx context.Context, partner domain.TenantID, value []byte) error {
	for range 2 {
		t.mu.Lock()
		revision := t.revisions[partner]
		t.mu.Unlock()
		revision, err := t.board.Write(ctx, placeNote(partner), value, revision)
		if err == nil {
			t.mu.Lock()
			t.revisions[partner] = revision
			t.mu.Unlock()
			return nil
		}
		there, _, rerr := t.read(ctx, partner)
		switch {
		case rerr != nil:
			return fmt.Errorf("save the webhook position: %w", err)
		case there.Term > t.Number:
			return fmt.Errorf("save the webhook position: %w", errReplaced)
		}
	}
	return fmt.Errorf("save the webhook position: %w", eventstore.ErrUnavailable)
}
