package partnercenter

import (
	"net/http"
	"slices"
	"strings"

	"permledger/handlers/gate"
)

// prefix is what clients add to an address by themselves, so that the links they are given lack it.
const prefix = "/v1"

// roots are the first parts of the door's addresses. What lies there is the door's, known or not.
var roots = []string{prefix, "/auditactivity", "/webhooks"}

// segments are the fixed parts of the door's addresses as the routes write them, by their lower case.
var segments = func() map[string]string {
	known := make(map[string]string)
	for pattern := range accessTable {
		_, path, _ := strings.Cut(pattern, " ")
		for segment := range strings.SplitSeq(path, "/") {
			if segment != "" && segment[0] != '{' {
				known[strings.ToLower(segment)] = segment
			}
		}
	}
	return known
}()

// Canonical writes the fixed parts of a path the way the routes do: clients write them in any case.
func Canonical(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, differs := canonical(r.URL.Path); differs {
			address := *r.URL
			address.Path, address.RawPath = path, ""
			r.URL = &address
		}
		next.ServeHTTP(w, r)
	})
}

// canonical gives the path as the routes write it. Other doors' paths stay as they are.
func canonical(path string) (canonical string, differs bool) {
	if !slices.ContainsFunc(roots, func(root string) bool { return gate.Within(path, root) }) {
		return path, false
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if known, found := segments[strings.ToLower(part)]; found && known != part {
			parts[i], differs = known, true
		}
	}
	return strings.Join(parts, "/"), differs
}
