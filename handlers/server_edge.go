package handlers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"permledger/handlers/problem"
)

// maxRequestID bounds the ids that a client may give a request, in bytes.
const maxRequestID = 128

// edge is what every request passes first and last: it gets its ids, the answer its protective headers,
// a panic becomes a problem, and one line is logged and counted.
func edge(next http.Handler, logger *slog.Logger, registry *prometheus.Registry) http.Handler {
	figures := newFigures(registry)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		facts := &problem.Request{ID: requestID(r), Correlation: correlation(r)}
		r = r.WithContext(problem.WithRequest(r.Context(), facts))
		answer := &recorder{ResponseWriter: w}
		protect(answer.Header(), r, facts)
		defer func() {
			if v := recover(); v != nil {
				recovered(answer, r, v)
			}
			took := time.Since(started)
			figures.done(r, answer.status(), took)
			logDone(r.Context(), logger, r, facts, answer, took)
		}()
		next.ServeHTTP(answer, r)
	})
}

// The names of headers, as they are kept in a http.Header.
const (
	headerRequest       = "Ms-Requestid"
	headerXRequest      = "X-Request-Id"
	headerCorrelation   = "Ms-Correlationid"
	headerCorrelationID = "Correlation-Id"
	headerTrace         = "Traceparent"
)

// protection are the headers that are the same in every answer. All answers share their values.
var protection = []struct {
	name  string
	value []string
}{
	{"X-Content-Type-Options", []string{"nosniff"}},
	{"Cache-Control", []string{"no-store"}},
	{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
	{"Referrer-Policy", []string{"no-referrer"}},
}

// protect sets the headers that every answer has. No browser sends a token for what a page of another site
// embeds, so that only answers to requests without one need to say that they must not be embedded: a map
// of headers costs much less up to its eighth.
func protect(h http.Header, r *http.Request, facts *problem.Request) {
	for _, p := range protection {
		h[p.name] = p.value
	}
	if r.Header.Get("Authorization") == "" {
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
	}
	id := []string{facts.ID}
	h[headerRequest], h[headerXRequest] = id, id
	if facts.Correlation != "" {
		h.Set(headerCorrelation, facts.Correlation)
	}
}

// recovered answers for a handler that panicked, if it has not answered by itself. The server's own way
// to abort an answer stays what it is.
func recovered(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // the very value
		panic(v)
	}
	cause := fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	if w.code != 0 {
		problem.RequestOf(r.Context()).Note(cause)
		return
	}
	problem.Write(w, r, cause)
}

// logDone writes the one line about a request. What went wrong here is an error; refusals are not, nor is
// what failed because the client had gone.
func logDone(ctx context.Context, logger *slog.Logger, r *http.Request, facts *problem.Request, w *recorder, took time.Duration) {
	level := slog.LevelInfo
	if facts.Cause != nil && r.Context().Err() == nil {
		level = slog.LevelError
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", w.status()),
		slog.Int64("bytes", w.bytes), slog.Duration("took", took), slog.String("request", facts.ID),
	}
	for _, a := range []slog.Attr{
		slog.String("correlation", facts.Correlation), slog.String("principal", facts.Principal), slog.String("code", string(facts.Code)),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if facts.Cause != nil {
		attrs = append(attrs, slog.String("error", facts.Cause.Error()))
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}

// requestID takes the id that the client gave its request, or makes one.
func requestID(r *http.Request) string {
	for _, name := range [...]string{headerRequest, headerXRequest} {
		if id := r.Header.Get(name); plain(id) {
			return id
		}
	}
	return uuid.NewString()
}

// correlation takes the id under which the client wants several requests to be found: its own, or the
// trace it is part of.
func correlation(r *http.Request) string {
	if id := cmp.Or(r.Header.Get(headerCorrelation), r.Header.Get(headerCorrelationID)); plain(id) {
		return id
	}
	parts := strings.Split(r.Header.Get(headerTrace), "-")
	if len(parts) >= 4 && len(parts[1]) == 32 && plain(parts[1]) {
		return parts[1]
	}
	return ""
}

// plain accepts ids of letters, digits and a few signs, so that they are safe in headers, logs and the ledger.
func plain(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_.:", rune(c)) {
			return false
		}
	}
	return true
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.code == 0 {
		w.code = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) status() int { return cmp.Or(w.code, http.StatusOK) }

// figures count requests. The route is the pattern, never the address.
type figures struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newFigures(r *prometheus.Registry) *figures {
	f := &figures{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "permledger_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "permledger_http_request_seconds", Help: "Time from the first byte of a request to the last of its answer.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"route"}),
	}
	r.MustRegister(f.requests, f.seconds)
	return f
}

func (f *figures) done(r *http.Request, status int, took time.Duration) {
	route := cmp.Or(r.Pattern, "none")
	f.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	f.seconds.WithLabelValues(route).Observe(took.Seconds())
}
