package ledger

import "permledger/eventstore"

// Health says whether a ledger serves and, where it does not, why.
type Health struct {
	Ready          bool     `json:"ready"`
	Reasons        []string `json:"reasons,omitempty"`
	Position       uint64   `json:"position"`       // of the newest event decided on
	ModelsPosition uint64   `json:"modelsPosition"` // of the newest event in the read models
	Store          string   `json:"store"`          // embedded or external
	Sync           string   `json:"sync"`           // how it is known that an acknowledged event is synced: seen, asserted, off, unknown
}

// maxLag is how many events the read models may be behind before the ledger is not ready.
const maxLag = 10_000

// Health looks at the writer and the read models.
func (l *Ledger) Health() Health {
	h := Health{Store: "embedded"}
	if l.config.External.URL != "" {
		h.Store = "external"
	}
	if l.store != nil {
		h.Sync = string(l.store.Sync)
	}
	if err := l.Fault(); err != nil {
		h.Reasons = append(h.Reasons, err.Error())
		return h
	}
	head := l.writer.Head()
	h.Position, h.ModelsPosition = head.Position, l.models.Checkpoint().Position
	if err := l.writer.Err(); err != nil {
		h.Reasons = append(h.Reasons, err.Error())
	}
	if h.Position > h.ModelsPosition+maxLag {
		h.Reasons = append(h.Reasons, "the read models are catching up")
	}
	h.Ready = len(h.Reasons) == 0
	return h
}

// Head is where the writer stands in the log; zero while it never served.
func (l *Ledger) Head() eventstore.Cursor {
	if l.writer == nil {
		return eventstore.Cursor{}
	}
	return l.writer.Head()
}
