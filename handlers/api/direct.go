package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"permledger/handlers/problem"
)

// readsItself is an input that takes its parameters from a request by itself. The framework does it by
// reflection, which costs more than the answers that are asked for most.
type readsItself interface {
	// read takes in a request that is written as nearly all are, and reports false for any other: what is
	// wrong with it, if anything, is for the framework to find out and to say. An error is what became of
	// a request that was taken.
	read(ctx huma.Context) (taken bool, err error)
}

// writesItself is an output that answers by itself, with what the framework would make of it.
type writesItself interface {
	// write answers. After an error nothing has been written.
	write(w http.ResponseWriter) error
}

// directly is the middleware that answers whatever can be read without the framework.
func directly[I, O any, In interface {
	*I
	readsItself
}, Out interface {
	*O
	writesItself
}](answer func(context.Context, *I) (*O, error)) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		in := new(I)
		taken, err := In(in).read(ctx)
		if !taken {
			next(ctx)
			return
		}
		r, w := humago.Unwrap(ctx)
		var out *O
		if err == nil {
			out, err = answer(r.Context(), in)
		}
		if err == nil {
			err = Out(out).write(w)
		}
		if err != nil {
			problem.Write(w, r, err)
		}
	}
}

// contentType is that of every answer without a problem. All of them share it.
var contentType = []string{"application/json"}

// writeJSON answers with a body that has been encoded, and the position it holds at.
func writeJSON(w http.ResponseWriter, position uint64, body []byte) {
	h := w.Header()
	h[headerPosition] = []string{strconv.FormatUint(position, 10)}
	h["Content-Type"] = contentType
	_, _ = w.Write(body) // the client is gone, if at all
}
