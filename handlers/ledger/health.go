package ledger

import (
	"fmt"
	"time"

	"permledger/eventstore"
	"permledger/eventstore/archive"
)

// Health says whether a ledger serves and, where it does not, why.
type Health struct {
	Ready          bool     `json:"ready"`
	Reasons        []string `json:"reasons,omitempty"`
	Position       uint64   `json:"position"`       // of the newest event decided on
	ModelsPosition uint64   `json:"modelsPosition"` // of the newest event in the read models
	Store          string   `json:"store"`          // embedded or external
	Sync           string   `json:"sync"`           // how it is known that an acknowledged event is synced: seen, asserted, off, unknown

	// ArchivePosition is of the newest event in the archive, 0 where a cluster holds the log.
	ArchivePosition uint64 `json:"archivePosition"`
	// Webhooks says whether this node delivers webhooks; empty where nobody asked.
	Webhooks string `json:"webhooks,omitempty"`
	// Warnings are what an operator must see to although the ledger serves.
	Warnings []string `json:"warnings,omitempty"`
}

// maxLag is how many events the read models may be behind before commands wait for them and the ledger is
// not ready.
const maxLag = 10_000

// maxArchiveLag is how long a record may wait to be archived before that is worth a warning.
const maxArchiveLag = 10 * time.Second

// Health looks at the writer and the read models.
func (l *Ledger) Health() Health {
	h := Health{Store: "embedded"}
	if l.config.External.URL != "" {
		h.Store = "external"
	}
	if l.serving() {
		h.Sync = string(l.store.Sync)
	}
	if err := l.Fault(); err != nil {
		h.Reasons = append(h.Reasons, err.Error())
		return h
	}
	l.mu.RLock()
	h.Warnings = append(h.Warnings, l.exposures...)
	l.mu.RUnlock()
	head := l.writer.Head()
	h.Position, h.ModelsPosition = head.Position, l.models.Checkpoint().Position
	l.archiveHealth(&h)
	if err := l.writer.Err(); err != nil {
		h.Reasons = append(h.Reasons, err.Error())
	}
	if l.models.Err() != nil {
		h.Reasons = append(h.Reasons, "the read models do not follow the log for now; the server's log says why")
	}
	if l.models.Doubted() {
		h.Warnings = append(h.Warnings, "the read models were not closed in order and are built anew meanwhile")
	}
	if h.Position > h.ModelsPosition+maxLag {
		h.Reasons = append(h.Reasons, "the read models are catching up")
	}
	h.Ready = len(h.Reasons) == 0
	return h
}

// archiveHealth adds how far the archive is. A ledger without its second copy still keeps every promise
// but the one to survive a damaged disk, so it serves and warns.
func (l *Ledger) archiveHealth(h *Health) {
	if l.archive == nil {
		return
	}
	s := l.archive.Status()
	h.ArchivePosition = s.At.Position
	switch {
	case s.Err != nil:
		h.Warnings = append(h.Warnings, fmt.Sprintf("nothing is archived: %v; stop the ledger and run permledger repair", s.Err))
	case s.Lag > maxArchiveLag:
		h.Warnings = append(h.Warnings, fmt.Sprintf("the archive is %s behind", s.Lag.Round(time.Second)))
	}
}

// Archive says how far the archive is, and false where there is none because a cluster holds the log.
func (l *Ledger) Archive() (archive.Status, bool) {
	if !l.serving() || l.archive == nil {
		return archive.Status{}, false
	}
	return l.archive.Status(), true
}

// Head is where the writer stands in the log; zero while it never served.
func (l *Ledger) Head() eventstore.Cursor {
	if !l.serving() {
		return eventstore.Cursor{}
	}
	return l.writer.Head()
}
