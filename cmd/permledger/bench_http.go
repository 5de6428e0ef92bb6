package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
)

// httpSuite measures the doors: durable commands and permission checks over HTTP, beside a handler that
// reads the same requests, with the same check of the token, and does nothing; and the door for Partner
// Center clients beside the native one.
var httpSuite = benchSuite{
	name: "over HTTP",
	measures: []benchMeasure{
		{"durable commands over HTTP, 64 clients", perCommand, "http commands", "bare handler: same JSON, same token", "bare commands", ratioAtLeast(0.4)},
		{"permission check over HTTP, 64 clients", "checks/s", "http checks", "bare handler: same query, same token", "bare checks", ratioAtLeast(0.8)},
		{"policies read as Partner Center clients do, 64 clients", "reads/s", "http policies", "native permission check", "http checks", ratioAtLeast(0.8)},
		{"policies changed as Partner Center clients do, 64 clients", perCommand, "http policy changes", "native SetPurchasePermissions", "http permission changes", ratioAtLeast(0.8)},
	},
	open: openHTTP,
}

const (
	httpClients = 64
	// customersOfClient is how many customers each client takes in turn, each with a token of its own.
	customersOfClient = 4
)

// benchDoor is a server with the requests for it, and another one with the bare handlers.
type benchDoor struct {
	live       *benchLive
	stop       context.CancelFunc
	served     chan error
	bare       *http.Server
	bareServed chan error

	address, bareAddress string
	tokens               []string // of each customer's buyer
	bodies               [][]byte // of each customer's purchase
}

func openHTTP(ctx context.Context, b *bench) ([]benchLane, func() error, error) {
	customers := httpClients * customersOfClient
	dir := b.subdirectory("http")
	live, err := openLive(ctx, b, dir, customers)
	if live == nil {
		return nil, nil, err
	}
	d := &benchDoor{live: live, stop: func() {}}
	if err != nil {
		return nil, d.close, err
	}
	keys, err := auth.OpenDev(dir)
	if err == nil {
		err = d.letters(b.world, keys, customers)
	}
	if err == nil {
		err = d.serve(ctx, keys)
	}
	if err != nil {
		return nil, d.close, err
	}
	commands := newTurns(customers, httpClients)
	checks := newTurns(customers, httpClients)
	command := func(customer int) []byte {
		return request(http.MethodPost, "/api/commands/PurchaseReservation", d.tokens[customer], b.world.commandID().String(), d.bodies[customer])
	}
	check := func(customer int) []byte {
		path := fmt.Sprintf("/api/customers/%s/permissions/%s/check?userId=%s&subscriptionId=%s",
			b.world.customer(customer), domain.AzureReservedInstances, b.world.buyer(customer).User, b.world.subscription(customer))
		return request(http.MethodGet, path, d.tokens[customer], "", nil)
	}
	lanes, err := d.policyLanes(b.world, keys, customers)
	if err != nil {
		return nil, d.close, err
	}
	return append(lanes,
		lane("http commands", d.clients(d.address, func(client int) []byte { return command(commands.take(client)) })),
		lane("bare commands", d.clients(d.bareAddress, func(client int) []byte { return command(commands.take(client)) })),
		lane("http checks", d.clients(d.address, func(client int) []byte { return check(checks.take(client)) })),
		lane("bare checks", d.clients(d.bareAddress, func(client int) []byte { return check(checks.take(client)) })),
	), d.close, nil
}

// letters makes the tokens and bodies beforehand: making them is the client's work.
func (d *benchDoor) letters(w *benchWorld, keys *auth.Dev, customers int) error {
	for n := range customers {
		buyer := w.buyer(n)
		token, err := keys.Mint(auth.Token{Tenant: buyer.Tenant, User: buyer.User, UPN: buyer.UPN, Roles: buyer.Roles, App: buyer.App})
		if err != nil {
			return err
		}
		body, err := json.Marshal(w.purchase(n).command)
		if err != nil {
			return err
		}
		d.tokens, d.bodies = append(d.tokens, token), append(d.bodies, body)
	}
	return nil
}

// serve starts both servers on loopback.
func (d *benchDoor) serve(ctx context.Context, keys *auth.Dev) error {
	listen := func() (net.Listener, error) { return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0") }
	own, err := listen()
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	bare, err := listen()
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), own.Close())
	}
	d.address, d.bareAddress = own.Addr().String(), bare.Addr().String()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	logger := slog.New(slog.DiscardHandler)
	d.served, d.bareServed = make(chan error, 1), make(chan error, 1)
	go func() {
		d.served <- handlers.Serve(serving, own, handlers.New(d.live.Ledger, keys, handlers.Options{Logger: logger}), logger)
	}()
	d.bare = &http.Server{Handler: bareHandler(auth.Remember(keys)), ReadHeaderTimeout: 5 * time.Second}
	go func() { d.bareServed <- d.bare.Serve(bare) }()
	return nil
}

func (d *benchDoor) close() error {
	d.stop()
	var errs []error
	if d.served != nil {
		errs = append(errs, <-d.served)
	}
	if d.bare != nil {
		errs = append(errs, d.bare.Close())
		if err := <-d.bareServed; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, d.live.close())...)
}

// bareHandler is the limit of the door: it verifies the token as the ledger does, which remembers those
// found valid, reads the same JSON into the same command, or the same query, and answers.
func bareHandler(tokens auth.Authenticator) http.Handler {
	authenticated := func(w http.ResponseWriter, r *http.Request) bool {
		token, err := auth.Bearer(r)
		if err == nil {
			_, err = tokens.Authenticate(r.Context(), token)
		}
		if err != nil {
			http.Error(w, "unauthenticated", http.StatusUnauthorized)
		}
		return err == nil
	}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // who does not read its answer is not measured
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/commands/PurchaseReservation", func(w http.ResponseWriter, r *http.Request) {
		if !authenticated(w, r) {
			return
		}
		var c domain.PurchaseReservation
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			http.Error(w, "invalid", http.StatusUnprocessableEntity)
			return
		}
		answer(w, c)
	})
	mux.HandleFunc("GET /api/customers/{customerId}/permissions/{product}/check", func(w http.ResponseWriter, r *http.Request) {
		if !authenticated(w, r) {
			return
		}
		query := r.URL.Query()
		_, first := domain.ParseTenantID(r.PathValue("customerId"))
		_, second := domain.ParseUserID(query.Get("userId"))
		_, third := domain.ParseSubscriptionID(query.Get("subscriptionId"))
		if errors.Join(first, second, third) != nil {
			http.Error(w, "invalid", http.StatusUnprocessableEntity)
			return
		}
		answer(w, map[string]any{"allowed": true, "reasons": []string{}, "position": 1})
	})
	return mux
}
