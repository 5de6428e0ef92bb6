package partnercenter

import "time"

// The limits of the door.
const (
	// pageSize is how many rows a page of a collection holds at most, and where no size is asked for.
	pageSize = 500
	// auditReach is how far back audit records are listed; a single one is found however old it is.
	auditReach = 90 * 24 * time.Hour
	// auditWindow is the longest span of time that one list of audit records covers.
	auditWindow = 30 * 24 * time.Hour
)
