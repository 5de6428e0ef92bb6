// Package handlers puts the doors of the ledger together into one server.
package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"permledger/handlers/api"
	"permledger/handlers/auth"
	"permledger/handlers/azure"
	"permledger/handlers/gate"
	"permledger/handlers/ledger"
	"permledger/handlers/partnercenter"
	"permledger/handlers/problem"
	"permledger/handlers/webhooks"
)

// The limits of the server. Event streams lift the read and write timeouts for themselves.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 60 * time.Second
	maxHeaderBytes = 16 << 10
	// shutdownTimeout is how long commands under way may take to finish when the server stops.
	shutdownTimeout = 20 * time.Second
)

// Options tune the doors. Zero values stand for the defaults of the gate and api packages.
type Options struct {
	Logger  *slog.Logger
	Rate    float64 // requests a second of one principal
	Burst   int     // how many of them may come at once
	Streams int     // event streams of one principal
	// PositionWait is how long a query waits for Ledger-Min-Position.
	PositionWait time.Duration
	// Heartbeat is how often an event stream without events shows that it is alive.
	Heartbeat time.Duration
	// Webhooks says where this node delivers from; where it has no Dir, it delivers nothing.
	Webhooks webhooks.Options
}

// Handler serves every door of one ledger. It works behind a server and, called directly, without one.
type Handler struct {
	serve    http.Handler
	api      *api.API
	webhooks *webhooks.Webhooks
}

// New assembles the doors of a ledger.
func New(l *ledger.Ledger, authenticator auth.Authenticator, o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	registry := prometheus.NewRegistry()
	mux := http.NewServeMux()
	entrance := gate.New(l, auth.Remember(authenticator), gate.Options{Rate: o.Rate, Burst: o.Burst, Metrics: registry})
	o.Webhooks.Logger, o.Webhooks.Metrics = o.Logger, registry
	hooks := webhooks.New(l, o.Webhooks)
	native := api.New(mux, l, entrance, api.Options{
		Logger: o.Logger, Streams: o.Streams, PositionWait: o.PositionWait, Heartbeat: o.Heartbeat, Metrics: registry,
		Webhooks: func() string { return string(hooks.Standing()) },
	})
	partnercenter.New(mux, l, entrance, hooks)
	mux.HandleFunc("/", noRoute(mux))
	doors := withAzure(azure.New(l, entrance), partnercenter.Canonical(mux))
	return &Handler{serve: edge(doors, o.Logger, registry), api: native, webhooks: hooks}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve.ServeHTTP(w, r) }

// Stop ends the event streams, which otherwise never end. Other requests are still served.
func (h *Handler) Stop() { h.api.Stop() }

// Serve serves a handler on a listener, and delivers its webhooks, until the context ends. It then ends the
// event streams and gives commands under way their answers.
func Serve(ctx context.Context, listener net.Listener, h *Handler, logger *slog.Logger) error {
	delivering, stop := context.WithCancel(ctx)
	var delivered sync.WaitGroup
	delivered.Go(func() {
		if err := h.webhooks.Run(delivering); err != nil {
			logger.Error("no webhooks are delivered", "error", err)
		}
	})
	defer delivered.Wait()
	defer stop()
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	h.Stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// withAzure sends what is for Azure's resource provider to its door, whose addresses match in any case. That is more
// than a mux can do.
func withAzure(door *azure.Door, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if door.Knows(r.URL.Path) {
			door.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// noRoute answers for addresses that no door knows.
func noRoute(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if allowed := methods(mux, r); allowed != "" {
			w.Header().Set("Allow", allowed)
			problem.Write(w, r, problem.Refuse(problem.CodeMethodNotAllowed, "Use one of the methods under Allow."))
			return
		}
		problem.Write(w, r, problem.Refuse(problem.CodeNoSuchRoute, "This address is not part of the API. /docs lists what is."))
	}
}

// methods lists the methods with which an address is known.
func methods(mux *http.ServeMux, r *http.Request) string {
	var allowed string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			if allowed != "" {
				allowed += ", "
			}
			allowed += method
		}
	}
	return allowed
}
