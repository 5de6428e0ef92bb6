package gate

import "strings"

// Within reports whether a path lies at a root or below it, in whatever case it is written.
func Within(path, root string) bool {
	return len(path) >= len(root) && strings.EqualFold(path[:len(root)], root) && (len(path) == len(root) || path[len(root)] == '/')
}
