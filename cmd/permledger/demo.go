package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"permledger/domain"
	"permledger/handlers/auth"
)

type demoCommand struct {
	Listen string `help:"Address on loopback; another port when this one is taken." default:"127.0.0.1:8080"`
	Keep   string `help:"Keep the data in this new directory instead of removing it at the end." type:"path" placeholder:"DIR"`
}

// Run serves a fresh ledger and fills it through the same door that everybody uses.
func (c *demoCommand) Run(ctx context.Context, a *app) error {
	dir, remove, err := c.directory()
	if err != nil {
		return err
	}
	defer remove()
	a.Data = dir
	listener, err := listenNear(ctx, c.Listen)
	if err != nil {
		return err
	}
	keys, err := auth.OpenDev(dir)
	if err != nil {
		return err
	}
	config := storeFlags{}.config(a)
	config.Found = true
	open := func() (auth.Authenticator, error) { return keys, nil }
	return a.serve(ctx, listener, open, config, a.webhooksAt(listener.Addr()), func(address string) error {
		told, err := a.playDemo(ctx, keys, address)
		if err != nil {
			return fmt.Errorf("fill the demo ledger: %w", err)
		}
		return a.welcome(keys, address, told)
	})
}

// directory makes a new directory; demo data never gets into a ledger that is there.
func (c *demoCommand) directory() (dir string, remove func(), err error) {
	if c.Keep != "" {
		if err := os.Mkdir(c.Keep, 0o700); err != nil {
			return "", nil, usageError("--keep needs a directory that does not exist yet: %v", err)
		}
		return c.Keep, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "permledger-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the demo: %w", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil //nolint:errcheck // a temporary directory
}

// welcome says what there is to look at and what to paste first.
func (a *app) welcome(keys *auth.Dev, address string, told []told) error {
	refused := 0
	for _, t := range told {
		if t.refused != "" {
			refused++
		}
	}
	fmt.Fprintf(a.stdout, "\nA day at Fabrikam: %d commands, %d of them refused.\n\n", len(told), refused)
	fmt.Fprintf(a.stdout, "  API and its description  %s/docs\n\n", address)
	fmt.Fprintln(a.stdout, "People, with tokens for eight hours:")
	for _, p := range demoPeople {
		token, err := keys.Mint(p.token())
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "\n  %s\n  %s\n", p.card, token)
	}
	mei, err := keys.Mint(demoPeople[0].token())
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		program = filepath.Base(os.Args[0])
	}
	fmt.Fprintf(a.stdout, "\nPaste this into another terminal:\n\n  export PERMLEDGER_SERVER=%s PERMLEDGER_TOKEN=%s\n  %s activity\n\nThen: orders, reservations, permissions, docs quick-start. Ctrl-C ends the demo.\n", address, mei, program)
	return nil
}

// person is somebody in the demo.
type person struct {
	card  string
	name  string
	upn   string
	roles domain.Roles
	of    string // the company
}

var demoPeople = []person{
	{"Mei Lin, admin agent of Fabrikam: turns permissions on and off, exchanges, returns", "mei", "mei@fabrikam.example", domain.AdminAgent, "fabrikam"},
	{"Tom Sales, sales agent of Fabrikam: registers, sets prices, buys on behalf", "tom", "tom@fabrikam.example", domain.SalesAgent, "fabrikam"},
	{"Ana Help, helpdesk agent of Fabrikam: looks", "ana", "ana@fabrikam.example", domain.HelpdeskAgent, "fabrikam"},
	{"Aud Itor, auditor of Fabrikam: reads everything", "aud", "aud@fabrikam.example", domain.Auditor, "fabrikam"},
	{"陳怡君, user of Contoso and Owner of its subscription: buys", "yijun", "yijun@contoso.example", domain.CustomerUser, "contoso"},
	{"Rex, admin agent of the other partner Litware: sees nothing of Fabrikam", "rex", "rex@litware.example", domain.AdminAgent, "litware"},
}

func (p person) token() auth.Token {
	return auth.Token{Tenant: domain.TenantID{UUID: demoID(p.of)}, User: domain.UserID{UUID: demoID(p.name)}, UPN: p.upn, Roles: p.roles, App: "permledger-demo"}
}
