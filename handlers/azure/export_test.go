package azure

import (
	"maps"
	"slices"
)

// Routes lists the routes of the door.
func Routes() []string { return slices.Sorted(maps.Keys(routes)) }
