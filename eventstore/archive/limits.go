package archive

import "time"

const (
	// DefaultSegmentBytes is the size from which a segment is sealed. It may
	// exceed that by one record. Opening an archive reads its last segment.
	DefaultSegmentBytes = 32 << 20

	// DefaultSyncEvery is how long records are collected before they are archived
	// and synced together. It keeps the archive within a second of the log, and
	// takes little of the disk and the processor from the log itself.
	DefaultSyncEvery = 250 * time.Millisecond

	// DefaultRetryEvery is how long after a failure of the disk archiving is tried
	// again.
	DefaultRetryEvery = 5 * time.Second

	// unavailablePause is how long a log that can not be read is left alone.
	unavailablePause = time.Second

	// writeBuffer bounds what is not yet given to the operating system, in bytes.
	writeBuffer = 1 << 18

	// lineRoom is how many bytes a line has besides its record at most.
	lineRoom = 256
)
