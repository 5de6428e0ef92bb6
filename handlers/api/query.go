package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"permledger/handlers/gate"
	"permledger/projections"
)

// query registers a route that reads. What may be read is in the view that the gate has put into the
// context.
func query[I, O any](a *API, path, id, tag, summary string, read func(context.Context, *I) (*O, error), through ...func(huma.Context, func(huma.Context))) {
	huma.Register(a.huma, huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{tag}, Middlewares: through,
		Parameters: []*huma.Param{{
			Name: headerMinPosition, In: "header", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64"},
			Description: "Answer once the read models have come so far; 503 when that takes longer than 5 seconds",
		}},
	}, answered(read))
}

// Paging is how a list is asked for piece by piece.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Rows of one page"`
	Cursor string `query:"cursor" maxLength:"2048" doc:"nextCursor of the page before"`

	address url.URL
}

// Resolve keeps the address of the request for the link to the next page.
func (p *Paging) Resolve(ctx huma.Context) []error {
	p.address = ctx.URL()
	return nil
}

func (p *Paging) paging() projections.Paging {
	return projections.Paging{Limit: p.Limit, Cursor: p.Cursor}
}

// OfCustomer is the customer in a path. The gate has read it and put it into the view.
type OfCustomer struct {
	CustomerID guid `path:"customerId" doc:"The customer's tenant"`
}

// listOutput is one page of a list.
type listOutput[T any] struct {
	Position uint64 `header:"Ledger-Position" doc:"The rows are the fold of the log up to here"`
	Link     string `header:"Link" doc:"Where the next page is; absent on the last one"`
	Body     projections.Page[T]
}

func list[T any](p *Paging, page projections.Page[T], err error) (*listOutput[T], error) {
	if err != nil {
		return nil, err
	}
	out := &listOutput[T]{Position: page.Position, Body: page}
	if page.NextCursor != "" {
		next := p.address.Query()
		next.Set("cursor", page.NextCursor)
		out.Link = "<" + p.address.Path + "?" + next.Encode() + `>; rel="next"`
	}
	return out, nil
}

// oneOutput is one row.
type oneOutput[T any] struct {
	Position uint64 `header:"Ledger-Position" doc:"The row is the fold of the log up to here"`
	Body     T
}

// write implements writesItself.
func (o *oneOutput[T]) write(w http.ResponseWriter) error {
	body, err := json.Marshal(o.Body, asStored)
	if err == nil {
		writeJSON(w, o.Position, body)
	}
	return err
}

func one[T any](row T, position uint64, err error) (*oneOutput[T], error) {
	if err != nil {
		return nil, err
	}
	return &oneOutput[T]{Position: position, Body: row}, nil
}

// hidePrices rewrites the rows of a page for a reader who may not see what things cost.
func hidePrices[T interface{ WithoutPrices() T }](v gate.View, page projections.Page[T]) projections.Page[T] {
	if v.Prices {
		return page
	}
	for i, row := range page.Items {
		page.Items[i] = row.WithoutPrices()
	}
	return page
}
