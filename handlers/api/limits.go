package api

import "time"

// The limits of the native API. Those that Options name can be set; these are their defaults.
const (
	// bodyTimeout is how long a body may take to arrive.
	bodyTimeout = 5 * time.Second
	// answerSize is what most answers to commands fit into, in bytes.
	answerSize = 1 << 10

	// positionWait is how long a query waits for Ledger-Min-Position at most.
	positionWait = 5 * time.Second

	// DefaultStreams is how many event streams one principal may have open.
	DefaultStreams = 8
	// maxStreams is how many event streams there may be in all.
	maxStreams = 1024
	// streamBatch is how many events a stream reads at once; it holds no more than that in memory.
	streamBatch = 256
	// streamWrite is how long a client may take to accept a batch before its stream is cut.
	streamWrite = 10 * time.Second
	// heartbeat is how often a stream without events shows that it is alive.
	heartbeat = 15 * time.Second
)
