package ledger

import (
	"errors"
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
	// ClockDoubted says that nothing is recorded because this machine's clock cannot be right; Reasons say
	// more.
	ClockDoubted bool `json:"clockDoubted"`
	// Scrub is how far the disk has been checked while the ledger serves; absent where it never served.
	Scrub *Scrub `json:"scrub,omitempty"`
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
	l.scrubHealth(&h)
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
		h.ClockDoubted = errors.Is(err, eventstore.ErrClock)
	}
	if l.models.Err() != nil {
		h.Reasons = append(h.Reasons, "the read models do not follow the log for now; the server's log says why")
	}
	if l.models.Doubted() {
		h.Warnings = append(h.Warnings, "the read models were not closed in order and are built anew meanwhile")
	}
	l.idsHealth(&h)
	if h.Position > h.ModelsPosition+maxLag {
		h.Reasons = append(h.Reasons, "the read models are catching up")
	}
	h.Ready = len(h.Reasons) == 0
	return h
}

// idsHealth adds what is wrong with the command ids on disk. Those that cannot be written stay in memory, and
// those that cannot be read are made again from the log; meanwhile only the commands with such an id wait.
func (l *Ledger) idsHealth(h *Health) {
	s := l.ids.Status()
	if s.Damaged > 0 {
		h.Warnings = append(h.Warnings, "a file of command ids is damaged and is being built again from the log; until then, commands whose id may be in it are refused")
	}
	if s.Err != nil {
		h.Warnings = append(h.Warnings, fmt.Sprintf("command ids cannot be written and stay in memory: %v; make room or check the disk", s.Err))
	}
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
		h.Warnings = append(h.Warnings, fmt.Sprintf("nothing is archived: %v; make room if the disk is full, otherwise stop the ledger and run permledger repair", s.Err))
	case s.Lag > maxArchiveLag:
		h.Warnings = append(h.Warnings, fmt.Sprintf("the archive is %s behind the log", s.Lag.Round(time.Second)))
	}
}

// scrubHealth adds what the disk was found to hold that was never written, and what it did not give.
func (l *Ledger) scrubHealth(h *Health) {
	s, serves := l.Scrub()
	if !serves {
		return
	}
	h.Scrub = &s
	h.Warnings = append(h.Warnings, s.Findings...)
	for _, u := range s.Unread {
		h.Warnings = append(h.Warnings, "could not be checked and will be tried again; if this stays, check the disk: "+u)
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
