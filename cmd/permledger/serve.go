package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
)

type serveCommand struct {
	storeFlags
	Listen       string   `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:8080"`
	Auth         string   `help:"${enum}: development tokens on loopback, or those of an OpenID Connect issuer." enum:"dev,oidc" default:"dev"`
	OIDCIssuer   string   `name:"oidc-issuer" help:"Issuer, exactly as in the tokens' iss." placeholder:"URL"`
	OIDCAudience string   `name:"oidc-audience" help:"Audience that tokens must name." placeholder:"ID"`
	OIDCPartners []string `name:"oidc-partner" help:"Tenants that may register as a partner of this ledger." placeholder:"GUID"`
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, a *app) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	authenticator, err := c.authenticator(ctx, a, listener.Addr())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return a.serve(ctx, listener, authenticator, c.storeFlags, func(string) error { return nil })
}

func (c *serveCommand) authenticator(ctx context.Context, a *app, address net.Addr) (auth.Authenticator, error) {
	if c.Auth == "dev" {
		if err := auth.RequireLoopback(address); err != nil {
			return nil, usageError("--auth dev: %v", err)
		}
		return auth.OpenDev(a.Data)
	}
	config := auth.OIDCConfig{Issuer: c.OIDCIssuer, Audience: c.OIDCAudience}
	for _, p := range c.OIDCPartners {
		id, err := domain.ParseTenantID(p)
		if err != nil {
			return nil, usageError("--oidc-partner: %v", err)
		}
		config.Partners = append(config.Partners, id)
	}
	return auth.NewOIDC(ctx, config)
}

// serve opens the ledger, says where it serves, and serves until the context ends. Ready is called once
// requests are answered; its error ends the server.
func (a *app) serve(ctx context.Context, listener net.Listener, authenticator auth.Authenticator, flags storeFlags, ready func(address string) error) error {
	bar := a.progress("records folded", 0)
	config := flags.config(a)
	config.Progress = bar.at
	l, err := ledger.Open(ctx, config)
	bar.stop()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	err = a.serveLedger(ctx, listener, l, authenticator, config.Logger, ready)
	return errors.Join(err, l.Close())
}

func (a *app) serveLedger(ctx context.Context, listener net.Listener, l *ledger.Ledger, authenticator auth.Authenticator, logger *slog.Logger, ready func(string) error) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error, 1)
	go func() {
		stopped <- handlers.Serve(serving, listener, handlers.New(l, authenticator, handlers.Options{Logger: logger}), logger)
	}()
	address := "http://" + listener.Addr().String()
	if err := os.WriteFile(a.runningFile(), []byte(address+"\n"), 0o600); err != nil {
		a.remark("permledger: commands need --server %s: %v", address, err)
	}
	defer os.Remove(a.runningFile()) //nolint:errcheck // a stale one is not used: the directory is free
	fmt.Fprintf(a.stdout, "ready %s\n", address)
	err := ready(address)
	if err == nil {
		return <-stopped
	}
	stop()
	return errors.Join(err, <-stopped)
}

// listenNear listens on an address, or on another port of the same host when it is taken.
func listenNear(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, splitErr := net.SplitHostPort(address)
		if splitErr != nil {
			return nil, fmt.Errorf("listen: %w", splitErr)
		}
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := auth.RequireLoopback(listener.Addr()); err != nil {
		return nil, errors.Join(usageError("--listen: %v", err), listener.Close())
	}
	return listener, nil
}
