package problem

import (
	"context"

	"permledger/domain"
)

// Request is what the edge knows about an HTTP request. The goroutine that serves it owns it.
type Request struct {
	ID          string      // given by the client, or made here; echoed and logged
	Correlation string      // given by the client; recorded with commands
	Principal   string      // who, for the log; empty before authentication
	View        any         // what they may read, by the gate's judgement; the door's own
	Code        domain.Code // of the problem answered, if any
	Cause       error       // of a failure of the server's own; logged once, by the edge
}

// Note keeps the first cause of a failure for the log.
func (r *Request) Note(cause error) {
	if r.Cause == nil {
		r.Cause = cause
	}
}

type requestKey struct{}

// WithRequest puts a request's facts into its context.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestOf gives the facts of the request that a context belongs to; none were noted outside of one.
func RequestOf(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r
	}
	return &Request{}
}
