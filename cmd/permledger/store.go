package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"permledger/handlers/ledger"
)

// storeFlags say where the log is, for the commands that work on it directly.
type storeFlags struct {
	NATS       string        `name:"nats" help:"External NATS cluster that holds the log; embedded when absent." placeholder:"URL"`
	Creds      string        `name:"nats-creds" help:"Credentials file for the cluster." type:"path" placeholder:"FILE"`
	CA         string        `name:"nats-ca" help:"Authority of the cluster's certificates, a PEM file." type:"path" placeholder:"FILE"`
	APIPrefix  string        `name:"nats-api-prefix" help:"Prefix of the JetStream API, where the account imports it from the ledger's." placeholder:"SUBJECT"`
	SyncAlways bool          `name:"nats-sync-always" help:"My word that every server of the cluster runs with sync_interval: always."`
	Unsynced   bool          `name:"nats-allow-unsynced" help:"Write even to a cluster that may lose acknowledged events when it loses power."`
	Confirm    time.Duration `name:"nats-confirm" help:"How long what speaks against the log must last, longer than an election, before it counts as damaged." default:"30s"`
	Replicas   int           `name:"replicas" help:"Replicas that the log in the cluster must have, 1 or 3; 0 takes it as it is, and makes a new one with 1." default:"0" enum:"0,1,3"`
}

func (f storeFlags) config(a *app) ledger.Config {
	return ledger.Config{
		Dir:    a.Data,
		Logger: slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		External: ledger.External{
			URL: f.NATS, Replicas: f.Replicas, APIPrefix: f.APIPrefix, Credentials: f.Creds, RootCA: f.CA, SyncAlways: f.SyncAlways, AllowUnsynced: f.Unsynced, Confirm: f.Confirm,
		},
	}
}

// open opens the log of an existing ledger.
func (f storeFlags) open(ctx context.Context, a *app) (*ledger.Store, error) {
	if err := a.mustExist(); err != nil && f.NATS == "" {
		return nil, err
	}
	return ledger.OpenStore(ctx, f.config(a))
}

// mustExist keeps commands that look at a ledger from creating one at a mistyped path.
func (a *app) mustExist() error {
	entries, err := os.ReadDir(a.Data)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return usageError("there is no ledger in %s: give its directory with --data, or start one with permledger serve", a.Data)
	}
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	return nil
}

// runningFile is where a server notes its address for commands on the same data directory.
func (a *app) runningFile() string { return filepath.Join(a.Data, "server.url") }
