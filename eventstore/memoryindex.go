package eventstore

import (
	"sync"

	"github.com/google/uuid"
)

// memoryIndex is the index of a writer that was given none: it keeps every id in
// memory, and folds the whole log for that.
type memoryIndex struct {
	through Cursor // the writer's

	mu sync.RWMutex
	at map[uuid.UUID][]memorised
}

// memorised says which record holds a command with some id.
type memorised struct {
	tenant   string
	sequence uint64
}

func (x *memoryIndex) Through() Cursor { return x.through }

func (x *memoryIndex) Take(through Cursor, commands []CommandKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.at == nil {
		x.at = make(map[uuid.UUID][]memorised)
	}
	for _, c := range commands {
		x.at[c.ID] = append(x.at[c.ID], memorised{c.Tenant, through.Sequence})
	}
	x.through = through
}

func (x *memoryIndex) Find(key CommandKey) (records []uint64, _ Seen, _ error) {
	return x.Newer(nil, key), nil, nil
}

func (x *memoryIndex) Newer(_ Seen, key CommandKey) (records []uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, m := range x.at[key.ID] {
		if m.tenant == key.Tenant {
			records = append(records, m.sequence)
		}
	}
	return records
}

func (x *memoryIndex) FindAll(id uuid.UUID) (records []uint64, _ error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, m := range x.at[id] {
		records = append(records, m.sequence)
	}
	return records, nil
}
