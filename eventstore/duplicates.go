package eventstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// recent knows the ids of all commands in records that the index may not have
// taken in. Together they cover every record up to the writer's head: the index
// those up to Through, recent those after pruned. The loop changes it; the lock
// is for those who only look.
type recent struct {
	mu      sync.Mutex
	at      map[uuid.UUID]uint64 // sequence of the record that holds the command
	records []recentRecord       // in order, the oldest first
	pruned  uint64               // ids of records up to here are not kept
}

type recentRecord struct {
	sequence uint64
	ids      []uuid.UUID
}

// add keeps the ids of the commands of a record.
func (r *recent) add(sequence uint64, ids []uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[uuid.UUID]uint64)
	}
	for _, id := range ids {
		r.at[id] = sequence
	}
	r.records = append(r.records, recentRecord{sequence, ids})
}

// skip leaves out a record that the index has taken in.
func (r *recent) skip(sequence uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pruned = max(r.pruned, sequence)
}

// prune forgets what the index has taken in. Under load it must not go beyond
// what the waiting submissions have seen of the index, or they would all have
// to search again, and again. The lock is held.
func (r *recent) prune(through uint64) {
	n := 0
	for n < len(r.records) && r.records[n].sequence <= through {
		for _, id := range r.records[n].ids {
			delete(r.at, id)
		}
		n++
	}
	clear(r.records[:n])
	r.records = r.records[n:]
	r.pruned = max(r.pruned, through)
}

// forget prunes when nobody waits.
func (r *recent) forget(through uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(through)
}

// find returns the record that holds a command. When it does not know one,
// blind says that the caller's search of the index, which covered the records
// up to seen, and recent together do not cover all records: search again. The
// lock is held.
func (r *recent) find(id uuid.UUID, seen uint64) (sequence uint64, found, blind bool) {
	sequence, found = r.at[id]
	return sequence, found, !found && r.pruned > seen
}

// search looks for a command in the index and in what the index lacks.
func (w *Writer[C, E]) search(ctx context.Context, id uuid.UUID) (sequence uint64, found bool, err error) {
	for {
		seen := w.index.Through() // before the search: it covers at least this
		sequence, found, err = w.index.Find(ctx, id)
		if err != nil {
			return 0, false, fmt.Errorf("look for the command: %w: %w", ErrUnavailable, err)
		}
		if found {
			return sequence, true, nil
		}
		w.recent.mu.Lock()
		sequence, found, blind := w.recent.find(id, seen)
		w.recent.mu.Unlock()
		if !blind {
			return sequence, found, nil
		}
	}
}
