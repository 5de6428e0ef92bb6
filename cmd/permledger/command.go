package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"permledger/domain"
	"permledger/handlers/client"
)

// sending is how any command is sent.
type sending struct {
	ID     string `name:"id" help:"Command id; the same id never has a second effect. Made when absent." placeholder:"UUID"`
	DryRun bool   `name:"dry-run" help:"Decide without recording."`
}

type commandCommand struct {
	sending
	Name string `arg:"" help:"Name of the command, such as RecordSubscription."`
	Body string `short:"d" help:"Fields as a JSON object; - reads standard input." default:"{}" placeholder:"JSON"`
}

type grantCommand struct{ permissionFlags }

type revokeCommand struct{ permissionFlags }

type permissionFlags struct {
	sending
	Customer string `required:"" help:"The customer's tenant." placeholder:"GUID"`
	Product  string `help:"${enum}." enum:"AzureReservedInstances,AzureSavingsPlan" default:"AzureReservedInstances"`
	Reason   string `help:"Why; kept in the log."`
}

type purchaseCommand struct {
	sending
	Customer     string `required:"" help:"The customer's tenant." placeholder:"GUID"`
	Subscription string `required:"" help:"Billing subscription." placeholder:"GUID"`
	SKU          string `required:"" name:"sku" help:"Size, such as Standard_D2s_v5."`
	Region       string `required:"" help:"ARM region, such as eastus."`
	Term         string `help:"${enum}." enum:"P1Y,P3Y,P5Y" default:"P1Y"`
	BillingPlan  string `help:"${enum}." enum:"Upfront,Monthly" default:"Upfront"`
	Quantity     int64  `help:"Units, 1 to 1,000,000." default:"1"`
	Scope        string `help:"${enum}; Single reaches the billing subscription." enum:"Shared,Single" default:"Shared"`
	DisplayName  string `help:"Name for people; the size when absent."`
	Reason       string `help:"Why; kept in the log."`
}

// Run sends a command by its name.
func (c *commandCommand) Run(ctx context.Context, a *app) error {
	body := c.Body
	if body == "-" {
		data, err := io.ReadAll(a.stdin)
		if err != nil {
			return err
		}
		body = string(data)
	}
	if !json.Valid([]byte(body)) {
		return usageError("the body given with -d is not JSON: %s", body)
	}
	return a.send(ctx, c.sending, c.Name, json.RawMessage(body))
}

// Run grants a purchase permission.
func (c *grantCommand) Run(ctx context.Context, a *app) error {
	return c.permissionFlags.send(ctx, a, "GrantPurchasePermission")
}

// Run revokes a purchase permission.
func (c *revokeCommand) Run(ctx context.Context, a *app) error {
	return c.permissionFlags.send(ctx, a, "RevokePurchasePermission")
}

func (f permissionFlags) send(ctx context.Context, a *app, name string) error {
	customer, err := domain.ParseTenantID(f.Customer)
	if err != nil {
		return usageError("--customer: %v", err)
	}
	return a.sendCommand(ctx, f.sending, name, domain.GrantPurchasePermission{
		PermissionChange: domain.PermissionChange{CustomerID: customer, Product: domain.Product(f.Product)},
		Note:             domain.Note{Reason: f.Reason},
	})
}

// Run buys a reservation: on the customer's behalf with an agent's token, for itself with a customer user's.
func (c *purchaseCommand) Run(ctx context.Context, a *app) error {
	customer, err := domain.ParseTenantID(c.Customer)
	if err != nil {
		return usageError("--customer: %v", err)
	}
	subscription, err := domain.ParseSubscriptionID(c.Subscription)
	if err != nil {
		return usageError("--subscription: %v", err)
	}
	purchase := domain.PurchaseReservation{
		CustomerID: customer,
		Wanted: domain.Wanted{
			SubscriptionID: subscription,
			Offer:          domain.Offer{SKU: c.SKU, Region: c.Region, Term: domain.Term(c.Term), BillingPlan: domain.BillingPlan(c.BillingPlan)},
			Quantity:       c.Quantity,
			Scope:          domain.Scope{Type: domain.ScopeType(c.Scope)},
			DisplayName:    c.DisplayName,
		},
		Note: domain.Note{Reason: c.Reason},
	}
	return a.sendCommand(ctx, c.sending, purchase.CommandName(), purchase)
}

func (a *app) sendCommand(ctx context.Context, how sending, name string, command domain.Command) error {
	body, err := json.Marshal(command)
	if err != nil {
		return err
	}
	return a.send(ctx, how, name, body)
}

// send sends a command and shows its answer. While nobody knows the outcome it says under which id to ask
// again.
func (a *app) send(ctx context.Context, how sending, name string, body json.RawMessage) error {
	id, err := newID(how.ID)
	if err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	answer, err := s.Command(ctx, name, body, client.CommandOptions{ID: id, DryRun: how.DryRun})
	if client.KindOf(err) == client.Unavailable && err != nil {
		a.remark("The same command with --id %s tells what became of it.", id)
	}
	if err != nil {
		return err
	}
	types := make([]string, len(answer.Events))
	for i, e := range answer.Events {
		types[i] = e.Type
	}
	if a.Output != "table" {
		return a.writeOne(answer, []column{{"Position", "position"}, {"Command", "commandId"}})
	}
	happened := strings.Join(types, ", ")
	if happened == "" {
		happened = "already so"
	}
	return a.writeOne(map[string]any{"position": answer.Position, "happened": happened, "commandId": answer.CommandID},
		[]column{{"Position", "position"}, {"Happened", "happened"}, {"Command", "commandId"}})
}
