package webhooks

import "time"

// The limits of delivery.
const (
	// look is how often it is looked whether anything is to be told; something is told that much later at most.
	look = 250 * time.Millisecond
	// pageEvents is how many events a follower reads at once; it holds no more than that in memory. A command
	// leads to far fewer, so that a page always holds a whole one.
	pageEvents = 64
	// saveEvery is how many events may pass of which none is told before the position is saved.
	saveEvery = 10_000

	// maxAge is how long something is tried before it is given up, from the time at which it was recorded.
	maxAge = 24 * time.Hour
	// firstDelay and maxDelay bound the time between two attempts, which doubles from one to the next.
	firstDelay = time.Second
	maxDelay   = 10 * time.Minute

	// attemptTimeout is how long a receiver may take, from the look-up of its name to the end of its answer.
	attemptTimeout = 5 * time.Second
	// maxAttempts is how many attempts may be under way at the same time.
	maxAttempts = 32
	// maxAnswer is how much of an answer is read, in bytes, before it is dropped.
	maxAnswer = 4 << 10

	// saveTimeout is how long the last position of a follower may take to be saved, leaveTimeout how long a node
	// that stops may take to let another one deliver.
	saveTimeout  = 5 * time.Second
	leaveTimeout = 2 * time.Second

	// testsAMinute is how many test events a partner may send in a minute.
	testsAMinute = 2
	// maxTests is how many test events of a partner are remembered.
	maxTests = 16
)
