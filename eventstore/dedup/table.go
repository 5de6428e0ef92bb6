package dedup

import (
	"slices"
	"sync"

	"github.com/google/uuid"

	"permledger/eventstore"
)

// table holds the ids of records that are in no segment yet. The goroutine that
// takes records in changes the newest table; an older one never changes again.
type table struct {
	first   uint64            // sequence of the first record it covers
	through eventstore.Cursor // the last record it covers; zero while there is none

	mu   sync.RWMutex // for those who only look
	at   map[uuid.UUID]hit
	more map[uuid.UUID][]hit // of ids that are in at already, in order

	next *table // the one after it, once this one is full; of the goroutine that takes in
}

func newTable(first uint64) *table { return &table{first: first, at: make(map[uuid.UUID]hit)} }

// take adds the commands of a record.
func (t *table) take(through eventstore.Cursor, commands []eventstore.CommandKey, tags *tags) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range commands {
		id, h := commands[i].ID, hit{tags.of(commands[i].Tenant), through.Sequence}
		if _, held := t.at[id]; held {
			if t.more == nil {
				t.more = make(map[uuid.UUID][]hit)
			}
			t.more[id] = append(t.more[id], h)
			continue
		}
		t.at[id] = h
	}
	t.through = through
}

// find adds every hit of an id, the oldest first. Whoever is not the goroutine
// that takes in holds the lock.
func (t *table) find(id uuid.UUID, hits []hit) []hit {
	h, held := t.at[id]
	if !held {
		return hits
	}
	return append(append(hits, h), t.more[id]...)
}

// look is find for everybody else.
func (t *table) look(id uuid.UUID, hits []hit) []hit {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.find(id, hits)
}

// count is how many ids it holds.
func (t *table) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := len(t.at)
	for _, hits := range t.more {
		n += len(hits)
	}
	return n
}

// entriesOf sorts what some tables hold. None of them changes any more.
func entriesOf(tables []*table) []entry {
	var entries []entry
	for _, t := range tables {
		entries = slices.Grow(entries, len(t.at))
		for id, h := range t.at {
			entries = append(entries, newEntry(id, h))
		}
		for id, hits := range t.more {
			for _, h := range hits {
				entries = append(entries, newEntry(id, h))
			}
		}
	}
	slices.SortFunc(entries, compareEntries)
	return entries
}

// tags remembers the tags of tenants, which take longer to compute than
// everything else about an id. It is used by one goroutine.
type tags map[string]tag

func (t *tags) of(tenant string) tag {
	known, ok := (*t)[tenant]
	if !ok {
		if len(*t) >= tagsKept || *t == nil {
			*t = make(tags)
		}
		known = tagOf(tenant)
		(*t)[tenant] = known
	}
	return known
}
