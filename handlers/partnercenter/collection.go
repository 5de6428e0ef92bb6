package partnercenter

import (
	"net/http"
	"strings"

	"permledger/projections"
)

// attributes say of what kind a resource is, and which version of it was read.
type attributes struct {
	ETag       string `json:"etag,omitempty"`
	ObjectType string `json:"objectType"`
}

// collection is one page of a list. TotalCount counts this page.
type collection[T any] struct {
	TotalCount        int        `json:"totalCount"`
	Items             []T        `json:"items"`
	Links             *links     `json:"links,omitempty"`
	ContinuationToken string     `json:"continuationToken,omitempty"`
	Attributes        attributes `json:"attributes"`
}

type links struct {
	Self link  `json:"self"`
	Next *link `json:"next,omitempty"`
}

// link is an address that a client follows; it adds the prefix of the API and the headers by itself.
type link struct {
	URI     string   `json:"uri"`
	Method  string   `json:"method"`
	Headers []header `json:"headers"`
}

type header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// headerContinuation carries the place in a list from which a client goes on.
const headerContinuation = "MS-ContinuationToken"

// linkTo is a link to an address without its prefix.
func linkTo(uri string) link { return link{URI: uri, Method: http.MethodGet, Headers: []header{}} }

// selfLink is the links of a resource of its own.
func selfLink(uri string) *links { return &links{Self: linkTo(uri)} }

// page makes the answer of a list, whose next page begins at a token unless that is empty.
func page[T any](in *request, items []T, token string) answer {
	self := linkTo(in.uri())
	c := collection[T]{
		TotalCount: len(items), Items: items, Links: &links{Self: self}, ContinuationToken: token,
		Attributes: attributes{ObjectType: "Collection"},
	}
	if token != "" {
		next := link{URI: self.URI, Method: http.MethodGet, Headers: []header{{headerContinuation, token}}}
		if _, seeks := in.query["seekoperation"]; !seeks {
			separator := "?"
			if in.URL.RawQuery != "" {
				separator = "&"
			}
			next.URI += separator + "seekOperation=Next"
		}
		c.Links.Next = &next
	}
	return ok(c)
}

// pageOf makes the answer of a list from rows of the read models.
func pageOf[R, T any](in *request, rows projections.Page[R], err error, show func(R) T) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	items := make([]T, len(rows.Items))
	for i, row := range rows.Items {
		items[i] = show(row)
	}
	return page(in, items, rows.NextCursor), nil
}

// uri is the address of a request as links write it.
func (in *request) uri() string {
	path := strings.TrimPrefix(strings.TrimPrefix(in.URL.Path, "/auditactivity"), prefix)
	if in.URL.RawQuery != "" {
		path += "?" + in.URL.RawQuery
	}
	return path
}

// continuation is the token with which a list goes on; empty for its first page.
func (in *request) continuation() (string, error) {
	token := in.Header.Get(headerContinuation)
	seek := in.query["seekoperation"]
	switch {
	case strings.EqualFold(seek, "First"):
		return "", nil
	case seek != "" && !strings.EqualFold(seek, "Next"):
		return "", badInput("Only the seek operations First and Next are there.")
	case seek != "" && token == "":
		return "", badInput("Give the place to go on from in the header MS-ContinuationToken.")
	default:
		return token, nil
	}
}

// listing gives the read models to list from, and which page of the list is asked for.
func (d *Door) listing(in *request) (*projections.Models, projections.Paging, error) {
	size, err := in.query.size()
	if err != nil {
		return nil, projections.Paging{}, err
	}
	token, err := in.continuation()
	if err != nil {
		return nil, projections.Paging{}, err
	}
	m, err := d.models(in.Context())
	return m, projections.Paging{Limit: size, Cursor: token}, err
}
