package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
	"permledger/projections"
)

// stream answers with the feed as server-sent events, from a position on and without end. The id of an
// event is its position, so that a client that reconnects gets what it missed.
//
// It reads a batch, writes it, and reads the next only then: what a slow client has not taken stays in
// the read models, and one that takes too long is cut.
func (a *API) stream(w http.ResponseWriter, r *http.Request) {
	v := viewOf(r.Context())
	filter, err := streamFilter(r)
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	if a.stopped() {
		problem.Write(w, r, problem.Refuse(problem.CodeStopping, "The server is stopping. Connect again in a moment."))
		return
	}
	release, err := a.streams.take(v.Key())
	if err != nil {
		problem.Write(w, r, err)
		return
	}
	defer release()
	out := &eventWriter{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // the server's deadline is for requests; not every connection has one
	ctx, cancel := context.WithDeadline(r.Context(), v.Expires)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if out.comment("events after position "+strconv.FormatUint(filter.After, 10)) != nil {
		return
	}
	_ = out.comment(a.feed(ctx, v.Scope, filter, out)) // the client is gone, if at all
}

// feed writes events until something ends the stream, and says what.
func (a *API) feed(ctx context.Context, scope projections.Scope, filter projections.EventFilter, out *eventWriter) (end string) {
	beat := time.NewTicker(a.options.Heartbeat)
	defer beat.Stop()
	models := a.ledger.Models()
	for {
		_, advanced := models.Advanced() // before reading: what comes later than the read wakes us
		page, err := models.Events(ctx, scope, filter, streamBatch)
		switch {
		case ctx.Err() != nil:
			return farewell(ctx)
		case a.stopped():
			return "the server is stopping"
		case err != nil || a.ledger.Fault() != nil:
			return "the ledger does not answer now"
		case out.events(page.Items) != nil:
			return "too slow"
		}
		filter.After = page.Next
		if page.More {
			continue
		}
		select {
		case <-advanced:
		case <-beat.C:
			if out.comment("") != nil {
				return "too slow"
			}
		case <-a.stopping:
			return "the server is stopping"
		case <-ctx.Done():
			return farewell(ctx)
		}
	}
}

func farewell(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "the token has expired"
	}
	return "closed"
}

// streamFilter reads where a stream starts: after Last-Event-ID, which a reconnecting client sends by
// itself, else after the position in the address.
func streamFilter(r *http.Request) (projections.EventFilter, error) {
	query := r.URL.Query()
	var faults []domain.FieldError
	for name := range query {
		if name != "after" && name != "type" && name != "customer" {
			faults = append(faults, domain.FieldError{Field: body.Clip("query." + name), Detail: "unknown query parameter"})
		}
	}
	field, after := "header.Last-Event-ID", r.Header.Get("Last-Event-ID")
	if after == "" {
		field, after = "query.after", query.Get("after")
	}
	var f projections.EventFilter
	if after != "" {
		position, err := strconv.ParseUint(after, 10, 64)
		if err != nil {
			faults = append(faults, domain.FieldError{Field: field, Detail: "is not a position: write a whole number"})
		}
		f.After = position
	}
	if types := query.Get("type"); types != "" {
		f.Types = strings.Split(types, ",")
	}
	if customer := query.Get("customer"); customer != "" {
		id, err := domain.ParseTenantID(customer)
		if err != nil {
			faults = append(faults, domain.FieldError{Field: "query.customer", Detail: "is not a GUID: write its 36 characters"})
		}
		f.CustomerID = id
	}
	if len(faults) > 0 {
		return f, problem.Invalid(faults...)
	}
	return f, nil
}

// eventWriter writes server-sent events. Each write must be taken within a time.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buffer  bytes.Buffer
}

// events writes a batch.
func (e *eventWriter) events(batch []projections.Event) error {
	for _, event := range batch {
		fmt.Fprintf(&e.buffer, "id: %d\nevent: %s\ndata: ", event.Position, event.Type)
		if err := json.MarshalWrite(&e.buffer, event, jsontext.PreserveRawStrings(true)); err != nil {
			return err
		}
		e.buffer.WriteString("\n\n")
	}
	return e.flush()
}

// comment writes a line that clients skip; it shows that the stream is alive.
func (e *eventWriter) comment(text string) error {
	fmt.Fprintf(&e.buffer, ": %s\n\n", text)
	return e.flush()
}

func (e *eventWriter) flush() error {
	if e.buffer.Len() == 0 {
		return nil
	}
	defer e.buffer.Reset()
	if err := e.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := e.w.Write(e.buffer.Bytes()); err != nil {
		return err
	}
	if err := e.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// streams counts the open streams of each principal.
type streams struct {
	most int

	mu   sync.Mutex
	open map[string]int // guarded by mu
	all  int            // guarded by mu
}

func newStreams(most int) *streams { return &streams{most: most, open: make(map[string]int)} }

// take counts a stream of a principal until it is released.
func (s *streams) take(key string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[key] >= s.most || s.all >= maxStreams {
		return nil, problem.Refuse(problem.CodeStreamLimited, fmt.Sprintf("A principal may have %d event streams open. Close one first.", s.most))
	}
	s.open[key]++
	s.all++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.open[key]--; s.open[key] == 0 {
			delete(s.open, key)
		}
	}, nil
}

// describeStream adds the stream to the description of the API; the framework does not serve it.
func describeStream(description *huma.OpenAPI) {
	text, number := &huma.Schema{Type: huma.TypeString}, &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
	description.AddOperation(&huma.Operation{
		OperationID: "stream-events", Method: http.MethodGet, Path: "/api/events/stream", Tags: []string{"Events"},
		Summary: "Follow the feed as server-sent events",
		Parameters: []*huma.Param{
			{Name: "Last-Event-ID", In: "header", Schema: number, Description: "Position of the last event received; goes before the parameter after"},
			{Name: "after", In: "query", Schema: number, Description: "Position of the last event already known"},
			{Name: "type", In: "query", Schema: text, Description: "Event types, separated by commas"},
			{Name: "customer", In: "query", Schema: guid{}.Schema(nil), Description: "Events about this customer"},
		},
		Responses: map[string]*huma.Response{
			"200": {
				Description: "Events without end: the id is the position, the data an Event",
				Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: text}},
			},
			"default": {
				Description: "Error",
				Content:     map[string]*huma.MediaType{problem.ContentType: {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
			},
		},
	})
}
