// Package api is the native HTTP API: one route for each command and each query.
//
// Every route goes through the gate that all doors share, and is authorised by the one table in access.go. Handlers then read decode → execute → encode. The routes are listed in routes.go; their
// description for machines is served at /openapi.json, and for people at /docs.
package api

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"permledger/handlers/gate"
	"permledger/handlers/ledger"
)

// Options tune the API. Zero values stand for the defaults of limits.go.
type Options struct {
	Logger  *slog.Logger
	Streams int // event streams of one principal
	// PositionWait is how long a query waits for Ledger-Min-Position.
	PositionWait time.Duration
	// Heartbeat is how often a stream without events shows that it is alive.
	Heartbeat time.Duration
	// Webhooks says, for the health, whether this node delivers webhooks; it may be nil.
	Webhooks func() string
	// Metrics takes the API's figures; a registry of its own when nil.
	Metrics *prometheus.Registry
}

// API serves the native API of one ledger.
type API struct {
	ledger  *ledger.Ledger
	gate    *gate.Gate
	options Options
	huma    huma.API
	mux     *http.ServeMux
	streams *streams

	stopOnce sync.Once
	stopping chan struct{} // closed when streams must end
}

// New puts the API's routes on a mux.
func New(mux *http.ServeMux, l *ledger.Ledger, g *gate.Gate, options Options) *API {
	options = options.withDefaults()
	a := &API{
		ledger:   l,
		gate:     g,
		options:  options,
		mux:      mux,
		streams:  newStreams(options.Streams),
		stopping: make(chan struct{}),
	}
	options.Metrics.MustRegister(ledgerFigures{l})
	a.huma = humago.New(a, configuration())
	a.routes()
	a.publish()
	return a
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Streams == 0 {
		o.Streams = DefaultStreams
	}
	if o.PositionWait == 0 {
		o.PositionWait = positionWait
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = heartbeat
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	return o
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (a *API) stopped() bool {
	select {
	case <-a.stopping:
		return true
	default:
		return false
	}
}

// Stop ends every event stream and refuses new ones.
func (a *API) Stop() { a.stopOnce.Do(func() { close(a.stopping) }) }
