package partnercenter

import "time"

// The limits of the door.
const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 64 << 10
	// pageSize is how many rows a page of a collection holds at most, and where no size is asked for.
	pageSize = 500
	// modelsWait is how long a query waits for read models that are behind what has been recorded.
	modelsWait = 5 * time.Second
)
