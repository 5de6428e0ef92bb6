package dedup

import "time"

const (
	// DefaultGather is how many ids gather in memory before they are written as
	// a segment. A start after a kill folds about as many again.
	DefaultGather = 1 << 16

	// mergeWidth is how many segments of a size are merged into one, and how much
	// larger the next size is. There are fewer than that many of each size.
	mergeWidth = 4

	// rebuildIDs bounds the ids of a segment made again from the log, which are
	// sorted in memory, 32 bytes each. A larger one becomes several.
	rebuildIDs = 1 << 20

	// syncBytes is how much is written between syncs, so that the log beside it
	// never waits for one large sync.
	syncBytes = 8 << 20

	// retryEvery is how long after a failure of the disk writing is tried again.
	retryEvery = 5 * time.Second

	// tagsKept bounds the tags kept in memory, one for each tenant.
	tagsKept = 1 << 12

	// checkBlocks is how many blocks Check reads at once.
	checkBlocks = 64
)
