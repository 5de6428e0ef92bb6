package embedded

import "time"

const (
	// MaxPayload is the largest message the server takes, in bytes.
	MaxPayload = 8 << 20

	// maxStore bounds the files of JetStream, in bytes. It is larger than any
	// disk: what the disk holds is the limit, not a share of what was free
	// when the process started.
	maxStore = 1 << 50

	// maxMemory bounds the state of short-lived consumers, in bytes.
	maxMemory = 64 << 20

	// defaultReady is how long a start may take. After a kill the server reads
	// its whole store, about 2 s of CPU per GB.
	defaultReady = 10 * time.Minute

	// startRoom is what must be free on the disk for a start, in bytes.
	startRoom = 1 << 20

	// maxSaid is how many of the server's messages an error repeats at most.
	maxSaid = 3
)
