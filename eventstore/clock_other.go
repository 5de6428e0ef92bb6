//go:build !linux

package eventstore

import "time"

// elapsed is how long the program runs. Where the clock behind it stands still
// while the machine sleeps, a long sleep looks as if the time had been set.
func elapsed() time.Duration { return time.Since(started) }

var started = time.Now()
