package main

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"

	"permledger/domain"
)

// benchWorld is who and what the commands are about: one partner and as many prepared customers as are
// asked for, each with a subscription, an Owner who buys, a price and the permission.
type benchWorld struct {
	seed     uint64
	commands atomic.Uint64 // ids given out
}

// deed is a command with its sender.
type benchDeed struct {
	actor   domain.Actor
	command domain.Command
}

// The kinds of ids, so that no two things share one.
const (
	benchPartnerID uint64 = iota
	benchAdminID
	benchCustomerID
	benchSubscriptionID
	benchUserID
	benchCommandID
	benchLedgerID
)

// benchSetupEvents is how many commands, and events, prepare a customer.
const benchSetupEvents = 5

var benchOffer = domain.Offer{SKU: "Standard_D2s_v5", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront}

// id makes the n-th id of a kind. It looks random, as ids that callers choose do.
func (w *benchWorld) id(kind, n uint64) (id uuid.UUID) {
	r := rand.NewPCG(w.seed<<8|kind, n)
	binary.LittleEndian.PutUint64(id[:8], r.Uint64())
	binary.LittleEndian.PutUint64(id[8:], r.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// commandID makes an id that was not given out before.
func (w *benchWorld) commandID() domain.CommandID {
	return domain.CommandID{UUID: w.id(benchCommandID, w.commands.Add(1))}
}

func (w *benchWorld) partner() domain.TenantID {
	return domain.TenantID{UUID: w.id(benchPartnerID, 0)}
}

func (w *benchWorld) admin() domain.Actor {
	return domain.Actor{Tenant: w.partner(), User: domain.UserID{UUID: w.id(benchAdminID, 0)}, UPN: "mei@fabrikam.example", Roles: domain.AdminAgent, App: "permledger-bench"}
}

func (w *benchWorld) customer(n int) domain.TenantID {
	return domain.TenantID{UUID: w.id(benchCustomerID, uint64(n))}
}

func (w *benchWorld) subscription(n int) domain.SubscriptionID {
	return domain.SubscriptionID{UUID: w.id(benchSubscriptionID, uint64(n))}
}

func (w *benchWorld) buyer(n int) domain.Actor {
	return domain.Actor{Tenant: w.customer(n), User: domain.UserID{UUID: w.id(benchUserID, uint64(n))}, UPN: "buyer@customer-" + strconv.Itoa(n) + ".example", Roles: domain.CustomerUser, App: "permledger-bench"}
}

// found is the first command of a ledger.
func (w *benchWorld) found() benchDeed {
	return benchDeed{w.admin(), domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"}}
}

// prepare is what lets a customer's user buy.
func (w *benchWorld) prepare(n int) ([]benchDeed, error) {
	customer, subscription, buyer := w.customer(n), w.subscription(n), w.buyer(n)
	price, err := domain.ParseMoney("500.00", "USD")
	if err != nil {
		return nil, err
	}
	webDirect, err := domain.ParseMoney("519.00", "USD")
	if err != nil {
		return nil, err
	}
	name := "Customer " + strconv.Itoa(n)
	deeds := make([]benchDeed, 0, benchSetupEvents)
	for _, c := range []domain.Command{
		domain.RegisterCustomer{CustomerID: customer, CompanyName: name, Domain: "customer-" + strconv.Itoa(n) + ".example"},
		domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Production"},
		domain.AssignSubscriptionRole{RoleAssignment: domain.RoleAssignment{CustomerID: customer, SubscriptionID: subscription, UserID: buyer.User, UserPrincipalName: buyer.UPN, Role: domain.Owner}},
		domain.SetReservationPrice{CustomerID: customer, Offer: benchOffer, CustomerPrice: price, WebDirectPrice: webDirect},
		domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: customer, Product: domain.AzureReservedInstances}},
	} {
		deeds = append(deeds, benchDeed{w.admin(), c})
	}
	return deeds, nil
}

// purchase is a customer's user buying for itself: the command with the most rules.
func (w *benchWorld) purchase(n int) benchDeed {
	return benchDeed{w.buyer(n), domain.PurchaseReservation{CustomerID: w.customer(n), Wanted: domain.Wanted{
		SubscriptionID: w.subscription(n), Offer: benchOffer, Quantity: 1, Scope: domain.Scope{Type: domain.Shared}, DisplayName: "Web servers",
	}}}
}

// turns gives each client its own customers, one after the other, so that what is per customer is spread
// over many and no two clients share one where there are enough.
type benchTurns struct {
	customers, clients int
	next               []int // owned by its client
}

func newTurns(customers, clients int) *benchTurns {
	t := &benchTurns{customers: customers, clients: clients, next: make([]int, clients)}
	for c := range t.next {
		t.next[c] = c
	}
	return t
}

func (t *benchTurns) take(client int) int {
	n := t.next[client]
	if t.next[client] += t.clients; t.next[client] >= t.customers {
		t.next[client] = client
	}
	return n % t.customers
}

// errNoPurchase says that a command that must be accepted was not: a refusal costs less than a purchase,
// so that the figure would be worth nothing.
var errNoPurchase = errors.New("a purchase was not accepted as such")
