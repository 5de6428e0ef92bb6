package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
	"permledger/handlers/webhooks"
)

type serveCommand struct {
	nodeFlags
	Init         bool          `help:"Found a ledger first if there is none; do not keep this in a unit file."`
	Listen       string        `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:8080"`
	Auth         string        `help:"${enum}: development tokens on loopback, or those of an OpenID Connect issuer." enum:"dev,oidc" default:"dev"`
	OIDCIssuer   string        `name:"oidc-issuer" help:"Issuer, exactly as in the tokens' iss." placeholder:"URL"`
	OIDCAudience string        `name:"oidc-audience" help:"Audience that tokens must name." placeholder:"ID"`
	OIDCPartners []string      `name:"oidc-partner" help:"Tenants that may register as a partner of this ledger." placeholder:"GUID"`
	PublicURL    string        `name:"public-url" help:"Address under which others reach this server, for links that are sent to them; the listen address when absent." placeholder:"URL"`
	Webhooks     bool          `help:"Deliver webhooks. The nodes of a cluster choose one of those that may; with --no-webhooks this node is never chosen." default:"true" negatable:""`
	MaxClockLead time.Duration `name:"max-clock-lead" help:"How far the clock may be ahead of what it should say, or behind the last record, before commands are refused." default:"1m" placeholder:"DURATION"`
	AcceptClock  bool          `name:"accept-clock" help:"Assert that the clock is right, whatever the last record says. Give it for one start only, after checking the clock."`
	ScrubPeriod  time.Duration `name:"scrub-period" help:"How often everything on the disk is checked, while the ledger serves." default:"24h" placeholder:"DURATION"`
	AllowPrivate bool          `name:"webhook-allow-private" help:"Deliver webhooks to private addresses and to this machine too."`
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, a *app) error {
	config, err := c.ledger(a)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	authenticator, err := c.authenticator(ctx, a, listener.Addr())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	hooks, err := c.webhooks(a, listener.Addr())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return a.serve(ctx, listener, authenticator, config, hooks, func(string) error { return nil })
}

// minScrubPeriod keeps a period from being one by mistake.
const minScrubPeriod = time.Second

// ledger says how the ledger is opened to be served.
func (c *serveCommand) ledger(a *app) (ledger.Config, error) {
	config, err := c.config(a)
	switch {
	case err != nil:
		return config, err
	case c.Init && c.Join != uuid.Nil:
		return config, usageError("--init founds a new ledger and --join joins an existing one: give only one of them")
	case c.MaxClockLead <= 0:
		return config, usageError("--max-clock-lead: %s is not more than zero", c.MaxClockLead)
	case c.ScrubPeriod < minScrubPeriod:
		return config, usageError("--scrub-period: %s is less than the minimum, %s", c.ScrubPeriod, minScrubPeriod)
	}
	config.Found, config.ScrubPeriod = c.Init, c.ScrubPeriod
	config.Clock = eventstore.ClockOptions{MaxLead: c.MaxClockLead, Accept: c.AcceptClock}
	return config, nil
}

// webhooks says whether and from where this node delivers. Development tokens are for loopback alone, so that
// receivers beside them may be there too.
func (c *serveCommand) webhooks(a *app, address net.Addr) (webhooks.Options, error) {
	o := a.webhooksAt(address)
	o.Reach = webhooks.Reach{Loopback: c.Auth == "dev", Private: c.AllowPrivate}
	if !c.Webhooks {
		o.Dir = ""
	}
	if c.PublicURL == "" {
		return o, nil
	}
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Host == "" || public.Scheme != "http" && public.Scheme != "https" || public.RawQuery != "" || public.Fragment != "" {
		return o, usageError("--public-url: %q is no address such as https://ledger.example", c.PublicURL)
	}
	o.PublicURL = strings.TrimRight(c.PublicURL, "/")
	return o, nil
}

// webhooksAt is how a server on loopback delivers, with everything in the data directory.
func (a *app) webhooksAt(address net.Addr) webhooks.Options {
	return webhooks.Options{Dir: filepath.Join(a.Data, "webhooks"), PublicURL: "http://" + address.String(), Reach: webhooks.Reach{Loopback: true}}
}

// opener opens what knows the tokens once there is a ledger: nothing is left in a directory of none.
type opener func() (auth.Authenticator, error)

func (c *serveCommand) authenticator(ctx context.Context, a *app, address net.Addr) (opener, error) {
	if c.Auth == "dev" {
		if err := auth.RequireLoopback(address); err != nil {
			return nil, usageError("--auth dev: %v", err)
		}
		return func() (auth.Authenticator, error) { return auth.OpenDev(a.Data) }, nil
	}
	config := auth.OIDCConfig{Issuer: c.OIDCIssuer, Audience: c.OIDCAudience}
	for _, p := range c.OIDCPartners {
		id, err := domain.ParseTenantID(p)
		if err != nil {
			return nil, usageError("--oidc-partner: %v", err)
		}
		config.Partners = append(config.Partners, id)
	}
	authenticator, err := auth.NewOIDC(ctx, config)
	return func() (auth.Authenticator, error) { return authenticator, nil }, err
}

// serve opens the ledger, says where it serves, and serves until the context ends. Ready is called once
// requests are answered; its error ends the server.
func (a *app) serve(ctx context.Context, listener net.Listener, open opener, config ledger.Config, hooks webhooks.Options, ready func(address string) error) error {
	bar := a.progress("records folded", 0)
	config.Progress = bar.at
	l, err := ledger.Open(ctx, config)
	bar.stop()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	authenticator, err := open()
	if err != nil {
		return errors.Join(err, listener.Close(), l.Close())
	}
	err = a.serveLedger(ctx, listener, handlers.New(l, authenticator, handlers.Options{Logger: config.Logger, Webhooks: hooks}), config.Logger, ready)
	return errors.Join(err, l.Close())
}

func (a *app) serveLedger(ctx context.Context, listener net.Listener, handler *handlers.Handler, logger *slog.Logger, ready func(string) error) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- handlers.Serve(serving, listener, handler, logger) }()
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
