package azure

import (
	"net/url"
	"strconv"

	"permledger/handlers/problem"
	"permledger/projections"
)

// The query parameters that ask for a page.
const (
	skipToken = "$skiptoken"
	take      = "take"
)

// pageBody is one page of a list.
type pageBody[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// paging reads which page is asked for. Lists are neither filtered nor sorted at this door.
func (r *request) paging() (projections.Paging, error) {
	for _, other := range []string{"$filter", "$orderby", "selectedState"} {
		if parameter(r.Request, other) != "" {
			return projections.Paging{}, problem.Refuse(problem.CodeInvalidRequest, "Lists are not filtered or sorted here: leave "+other+" out.")
		}
	}
	p := projections.Paging{Cursor: parameter(r.Request, skipToken)}
	if given := parameter(r.Request, take); given != "" {
		var err error
		if p.Limit, err = strconv.Atoi(given); err != nil || p.Limit < 1 {
			return p, problem.Refuse(problem.CodeInvalidRequest, "take is how many are wanted: a whole number from 1 on.")
		}
	}
	return p, nil
}

// list answers with a page of rows and where the next one is.
func list[T, B any](r *request, path string, page projections.Page[T], err error, body func(T) (B, error)) (any, error) {
	if err != nil {
		return nil, err
	}
	out := pageBody[B]{Value: make([]B, len(page.Items))}
	for i, row := range page.Items {
		if out.Value[i], err = body(row); err != nil {
			return nil, err
		}
	}
	if page.NextCursor != "" {
		next := []string{"api-version", versions, skipToken, page.NextCursor}
		if size := parameter(r.Request, take); size != "" {
			next = append(next, take, size)
		}
		out.NextLink = r.absolute(path, next...)
	}
	return out, nil
}

// absolute is the address of a path on the host that was asked, with query parameters as name, value pairs. A
// proxy that ends TLS says so.
func (r *request) absolute(path string, query ...string) string {
	address := url.URL{Scheme: "http", Host: r.Host, Path: path}
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		address.Scheme = "https"
	}
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	address.RawQuery = values.Encode()
	return address.String()
}
