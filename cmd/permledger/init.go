package main

import (
	"context"

	"permledger/handlers/ledger"
)

type initCommand struct {
	storeFlags
}

// Run founds a ledger where there is none, or finishes what an earlier one began. From then on everything
// else opens it, and nothing else ever makes a ledger of an empty directory.
func (c *initCommand) Run(ctx context.Context, a *app) error {
	founded, err := ledger.Found(ctx, c.config(a))
	if err != nil {
		return err
	}
	return a.writeOne(founded, []column{{"Ledger", "ledger"}, {"Directory", "directory"}})
}
