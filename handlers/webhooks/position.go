package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"permledger/domain"
	"permledger/eventstore"
)

// place is how far a partner has been told.
type place struct {
	Since    uint64 `json:"since"`          // of the webhook that it is about; that of any other is worth nothing
	Position uint64 `json:"position"`       // everything up to here was received, given up, or not wanted
	Gone     uint64 `json:"gone,omitempty"` // the registration, by its position, whose receiver answered 410
}

func (w *Webhooks) placeFile(partner domain.TenantID) string {
	return filepath.Join(w.options.Dir, partner.String()+".json")
}

// ownOffice is that of a node with a log of its own: it is always its turn, and places are files.
type ownOffice struct{ *Webhooks }

func (o ownOffice) enter(ctx context.Context) (turn, error) { return ownTurn(o), ctx.Err() }

type ownTurn struct{ *Webhooks }

func (ownTurn) over() <-chan struct{}                      { return nil }
func (ownTurn) confirm(context.Context) (time.Time, error) { return time.Time{}, nil }
func (ownTurn) leave(context.Context)                      {}

// recall reads the place from its file. One that cannot be read, or is of another ledger, costs telling things
// again that are not too old, and no more.
func (t ownTurn) recall(_ context.Context, partner domain.TenantID) (p place, found bool, err error) {
	content, err := os.ReadFile(t.placeFile(partner))
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.Warn("the webhook position cannot be read; notifications from the last day are sent again", "partner", partner.String(), "error", err)
	}
	return p, err == nil && p.Position <= t.ledger.Book().Head(), nil
}

func (t ownTurn) save(_ context.Context, partner domain.TenantID, p place) error {
	err := eventstore.ReplaceFile(t.placeFile(partner), func(to io.Writer) error { return json.NewEncoder(to).Encode(p) })
	if err != nil {
		return fmt.Errorf("save the webhook position: %w", err)
	}
	return nil
}

func (t ownTurn) forget(_ context.Context, partner domain.TenantID) error {
	if err := os.Remove(t.placeFile(partner)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
