package eventstore

import "sync/atomic"

// WriterStats counts what a Writer has done since it was created.
type WriterStats struct {
	// Groups is how many records it stored, Commands and Events what they hold.
	Groups, Commands, Events uint64
	// Refused counts refusals, Replayed answers from an earlier record, DryRuns
	// dry runs, Busy submissions the queue had no room for.
	Refused, Replayed, DryRuns, Busy uint64
	// Conflicts counts groups decided again because another writer was faster.
	Conflicts uint64
	// Unknown counts commands answered with ErrOutcomeUnknown by the writer,
	// Resolved appends that were unresolved and no longer are.
	Unknown, Resolved uint64
	// LargestGroup is the most commands one record got.
	LargestGroup uint64
	// Queued is how many submissions wait now.
	Queued int
}

type counters struct {
	groups, commands, events, refused, replayed, dryRuns, busy, conflicts, unknown, resolved, largest atomic.Uint64
}

// group counts a stored record. Only the loop calls it.
func (c *counters) group(commands int, events uint64) {
	c.groups.Add(1)
	c.commands.Add(uint64(commands))
	c.events.Add(events)
	if n := uint64(commands); n > c.largest.Load() {
		c.largest.Store(n)
	}
}

// Stats returns what the writer has done so far.
func (w *Writer[C, E]) Stats() WriterStats {
	c := &w.stats
	return WriterStats{
		Groups: c.groups.Load(), Commands: c.commands.Load(), Events: c.events.Load(),
		Refused: c.refused.Load(), Replayed: c.replayed.Load(), DryRuns: c.dryRuns.Load(), Busy: c.busy.Load(),
		Conflicts: c.conflicts.Load(), Unknown: c.unknown.Load(), Resolved: c.resolved.Load(),
		LargestGroup: c.largest.Load(), Queued: len(w.queue),
	}
}
