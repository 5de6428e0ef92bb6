package eventstore

import "time"

// turns makes the writers of a shared log take turns. The one that stored the
// last record is always the first to know the new head, so while it has enough
// to do it would win every race, and a command sent to another node would wait
// for as long. Therefore it lets others go first now and then: often while they
// are known to write, rarely while they are not. The loop owns it.
type turns struct {
	began  time.Time // of this writer's turn, zero when it has none
	others time.Time // when a record of another writer was last seen
	pause  time.Time // nothing is sent before
}

// took notes that a group was stored, which took so long, and says whether
// others are let go first.
func (t *turns) took(now time.Time, flight time.Duration) (yield bool) {
	if t.began.IsZero() {
		t.began = now.Add(-flight)
	}
	turn := lonelyTurn
	if now.Sub(t.others) < company {
		turn = sharedTurn
	}
	if now.Sub(t.began) < turn {
		return false
	}
	t.began = time.Time{}
	// Another writer needs about two flights to see the head and to send.
	t.pause = now.Add(min(max(2*flight, shortestPause), longestPause))
	return true
}

// met notes that another writer has stored something.
func (t *turns) met(now time.Time) { *t = turns{others: now} }

// wait is how long nothing is to be sent yet.
func (t *turns) wait(now time.Time) time.Duration { return t.pause.Sub(now) }
