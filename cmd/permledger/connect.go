package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore/embedded"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/client"
	"permledger/handlers/ledger"
)

// session is a connection to a ledger: a server's, or the data directory's own in this process.
type session struct {
	*client.Client
	close func()
}

// connect reaches the server that --server names, else the one that serves the data directory, else
// opens the data directory itself. All three answer the same requests.
func (a *app) connect(ctx context.Context) (*session, error) {
	if a.Token == "" {
		return nil, errNoToken
	}
	if a.Server != "" {
		return a.reach(a.Server)
	}
	s, err := a.openHere(ctx)
	if _, locked := errors.AsType[*embedded.LockedError](err); !locked {
		return s, err
	}
	address, readErr := os.ReadFile(a.runningFile())
	if readErr != nil {
		return nil, err
	}
	return a.reach(strings.TrimSpace(string(address)))
}

func (a *app) reach(address string) (*session, error) {
	c, err := client.New(address, a.Token, nil)
	if err != nil {
		return nil, usageError("--server: %v", err)
	}
	return &session{Client: c, close: func() {}}, nil
}

// openHere serves the data directory to this process alone.
func (a *app) openHere(ctx context.Context) (*session, error) {
	l, err := ledger.Open(ctx, storeFlags{}.config(a))
	if err != nil {
		return nil, err
	}
	closing := func() {
		if err := l.Close(); err != nil {
			a.remark("permledger: close the ledger: %v", err)
		}
	}
	tokens, err := auth.OpenDev(a.Data)
	if err != nil {
		closing()
		return nil, err
	}
	c, err := client.New("http://in-process", a.Token, client.InProcess(handlers.New(l, tokens, handlers.Options{})))
	if err != nil {
		closing()
		return nil, err
	}
	return &session{Client: c, close: closing}, nil
}

// send sends a command under an id of its own.
func (s *session) send(ctx context.Context, command domain.Command) (client.Answer, error) {
	body, err := json.Marshal(command)
	if err != nil {
		return client.Answer{}, fmt.Errorf("encode %s: %w", command.CommandName(), err)
	}
	return s.Command(ctx, command.CommandName(), body, client.CommandOptions{})
}

// customers lists the ids of the partner's customers.
func (s *session) customers(ctx context.Context) ([]string, error) {
	var ids []string
	for c, err := range s.Customers(ctx, nil) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, c.CustomerID.String())
	}
	return ids, nil
}

// newID gives the id of a command: the one asked for, or a new one.
func newID(asked string) (uuid.UUID, error) {
	if asked == "" {
		return uuid.NewV7()
	}
	id, err := domain.ParseCommandID(asked)
	if err != nil {
		return uuid.Nil, usageError("--id: %v", err)
	}
	return id.UUID, nil
}
