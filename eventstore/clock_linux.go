package eventstore

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed is how long the machine has been up, its sleep included.
func elapsed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(started) // a kernel before 2.6.39
	}
	return time.Duration(t.Nano())
}

var started = time.Now()
