package webhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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

// recall gives the saved place, or where the webhook begins when none was saved for it. A file that cannot be
// read, or is of another ledger, costs telling things again that are not too old, and no more.
func (w *Webhooks) recall(partner domain.TenantID, since uint64) place {
	var p place
	content, err := os.ReadFile(w.placeFile(partner))
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Warn("the webhook position cannot be read; what is not too old is sent again", "partner", partner.String(), "error", err)
	}
	if err != nil || p.Since != since || p.Position < since || p.Position > w.ledger.Book().Head() {
		return place{Since: since, Position: since}
	}
	return p
}

func (w *Webhooks) save(partner domain.TenantID, p place) error {
	err := eventstore.ReplaceFile(w.placeFile(partner), func(to io.Writer) error { return json.NewEncoder(to).Encode(p) })
	if err != nil {
		return fmt.Errorf("save the webhook position: %w", err)
	}
	return nil
}

func (w *Webhooks) forget(partner domain.TenantID) {
	if err := os.Remove(w.placeFile(partner)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.log.Warn("a webhook position that means nothing any more was not removed", "partner", partner.String(), "error", err)
	}
}
