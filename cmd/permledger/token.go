package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
)

type tokenCommand struct {
	Role     []string      `required:"" help:"${enum}; several separated by commas." enum:"AdminAgent,SalesAgent,HelpdeskAgent,Auditor,CustomerUser"`
	Partner  string        `required:"" help:"The partner's tenant." placeholder:"GUID"`
	Customer string        `help:"The customer's tenant; required for a CustomerUser." placeholder:"GUID"`
	UserID   string        `name:"user-id" help:"Object id; made from tenant and name when absent." placeholder:"GUID"`
	UPN      string        `name:"upn" help:"User principal name." default:"someone@example.com"`
	AppOnly  bool          `name:"app-only" help:"An application without a signed-in user."`
	Life     time.Duration `help:"How long it is valid." default:"8h"`
}

// Run makes a token with the data directory's key. Servers in dev auth on the same directory accept it.
func (c *tokenCommand) Run(a *app) error {
	t, err := c.token()
	if err != nil {
		return err
	}
	if err := ledger.Check(a.Data); err != nil && !errors.Is(err, eventstore.ErrIntegrity) {
		return err // no key is left in a directory of no ledger
	}
	keys, err := auth.OpenDev(a.Data)
	if err != nil {
		return err
	}
	token, err := keys.Mint(t)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, token)
	return err
}

func (c *tokenCommand) token() (auth.Token, error) {
	tenant := c.Partner
	if strings.Join(c.Role, ",") == "CustomerUser" {
		if tenant = c.Customer; tenant == "" {
			return auth.Token{}, usageError("a CustomerUser needs --customer")
		}
	} else if c.Customer != "" {
		return auth.Token{}, usageError("--customer goes with --role CustomerUser alone")
	}
	t := auth.Token{UPN: c.UPN, App: "permledger-cli", AppOnly: c.AppOnly, Life: c.Life}
	var err error
	if t.Tenant, err = domain.ParseTenantID(tenant); err != nil {
		return auth.Token{}, usageError("tenant: %v", err)
	}
	for _, name := range c.Role {
		role, err := domain.ParseRole(name)
		if err != nil {
			return auth.Token{}, usageError("--role: %v", err)
		}
		t.Roles |= role
	}
	switch {
	case c.AppOnly:
		t.UPN = ""
	case c.UserID == "":
		t.User = domain.UserID{UUID: uuid.NewSHA1(t.Tenant.UUID, []byte(c.UPN))}
	default:
		if t.User, err = domain.ParseUserID(c.UserID); err != nil {
			return auth.Token{}, usageError("--user-id: %v", err)
		}
	}
	return t, nil
}
