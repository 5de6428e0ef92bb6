package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"permledger/handlers/ledger"
)

// storeFlags say where the log is, for the commands that work on it directly.
type storeFlags struct {
	NATS       string        `name:"nats" help:"External NATS cluster that holds the log; embedded when absent." placeholder:"URL"`
	Creds      string        `name:"nats-creds" help:"Credentials file for the cluster." type:"path" placeholder:"FILE"`
	CA         string        `name:"nats-ca" help:"Authority of the cluster's certificates, a PEM file." type:"path" placeholder:"FILE"`
	APIPrefix  string        `name:"nats-api-prefix" help:"Prefix under which this user's account imports the JetStream API of the ledger's account." placeholder:"SUBJECT"`
	SyncAlways bool          `name:"nats-sync-always" help:"Assert that every NATS server runs with sync_interval: always (the client cannot check this)."`
	Unsynced   bool          `name:"nats-allow-unsynced" help:"Write even to a cluster that may lose acknowledged events when it loses power."`
	Confirm    time.Duration `name:"nats-confirm" help:"How long the cluster must contradict what is known of the log before the log counts as damaged; longer than an election takes." default:"30s"`
	Replicas   int           `name:"replicas" help:"Number of replicas that the log in the cluster must have, 1 or 3; 0 accepts any number, and creates a new log with 1." default:"0" enum:"0,1,3"`
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

// nodeFlags are storeFlags for the commands that open a ledger that is there.
type nodeFlags struct {
	storeFlags
	Join uuid.UUID `name:"join" help:"Ledger on the cluster to join, when the data directory is empty." placeholder:"LEDGER-ID"`
}

func (f nodeFlags) config(a *app) (ledger.Config, error) {
	config := f.storeFlags.config(a)
	config.Join = f.Join
	if f.Join != uuid.Nil && f.NATS == "" {
		return config, usageError("--join needs --nats: only a ledger on a cluster has several nodes")
	}
	return config, nil
}

// open opens the log of an existing ledger.
func (f nodeFlags) open(ctx context.Context, a *app) (*ledger.Store, error) {
	config, err := f.config(a)
	if err != nil {
		return nil, err
	}
	return ledger.OpenStore(ctx, config)
}

// runningFile is where a server notes its address for commands on the same data directory.
func (a *app) runningFile() string { return filepath.Join(a.Data, "server.url") }
