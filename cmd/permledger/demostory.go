package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/auth"
	"permledger/handlers/client"
)

// retailPricesFile holds published prices in the format of the Azure Retail Prices API.
//
//go:embed data/azure-retail-prices.json
var retailPricesFile []byte

// demoID makes the same id of the same name in every demo.
func demoID(name string) uuid.UUID {
	return uuid.NewSHA1(uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), []byte("demo.permledger.example/"+name))
}

// scene is one command of the story; expect is the code of the refusal it meets, empty when it is accepted.
type scene struct {
	who     string
	command domain.Command
	expect  domain.Code
}

// id is the scene's command id: made of the name of what is bought, so that later scenes can refer to it,
// or of the scene's place in the story.
func (s scene) id(i int) domain.CommandID {
	if purchase, ok := s.command.(domain.PurchaseReservation); ok && s.expect == "" {
		return purchaseID(purchase.DisplayName)
	}
	return domain.CommandID{UUID: demoID(fmt.Sprintf("command/%d", i))}
}

func purchaseID(name string) domain.CommandID {
	return domain.CommandID{UUID: demoID("purchase/" + name)}
}

// told is what became of a scene.
type told struct {
	command string
	refused domain.Code
}

// playDemo sends the story to a server and fails when it goes another way.
func (a *app) playDemo(ctx context.Context, keys *auth.Dev, address string) ([]told, error) {
	clients := make(map[string]*client.Client)
	for _, p := range append(demoPeople, demoExtras...) {
		token, err := keys.Mint(p.token())
		if err != nil {
			return nil, err
		}
		if clients[p.name], err = client.New(address, token, nil); err != nil {
			return nil, err
		}
	}
	story, err := demoStory()
	if err != nil {
		return nil, err
	}
	bar := a.progress("the story so far", uint64(len(story)))
	defer bar.stop()
	var happened []told
	for i, s := range story {
		body, err := json.Marshal(s.command)
		if err != nil {
			return nil, err
		}
		_, err = clients[s.who].Command(ctx, s.command.CommandName(), body, client.CommandOptions{ID: s.id(i).UUID})
		var refused *client.Error
		if err != nil && !errors.As(err, &refused) {
			return nil, err
		}
		outcome := told{command: s.command.CommandName()}
		if refused != nil {
			outcome.refused = refused.Code
		}
		if outcome.refused != s.expect {
			return nil, fmt.Errorf("scene %d, %s by %s: expected %q, got: %w", i, outcome.command, s.who, s.expect, err)
		}
		happened = append(happened, outcome)
		bar.add(1)
	}
	return happened, nil
}

// demoExtras are people without a card.
var demoExtras = []person{
	{"", "dora", "dora@contoso.example", domain.CustomerUser, "contoso"},
	{"", "ken", "ken@tailspin.example", domain.CustomerUser, "tailspin"},
	{"", "ida", "ida@adventure-works.example", domain.CustomerUser, "adventure-works"},
	{"", "weiting", "weiting@taiwan-cloud.example", domain.CustomerUser, "taiwan-cloud"},
}

func tenant(name string) domain.TenantID { return domain.TenantID{UUID: demoID(name)} }

func sub(name string) domain.SubscriptionID { return domain.SubscriptionID{UUID: demoID(name)} }

// demoStory is a day: customers in every state of preparation, purchases of both sides, refusals of every
// kind, a permission turned off, and what only the partner may do afterwards.
func demoStory() ([]scene, error) {
	d2 := domain.Offer{SKU: "Standard_D2s_v5", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront}
	d4 := domain.Offer{SKU: "Standard_D4ds_v5", Region: "eastus", Term: domain.ThreeYears, BillingPlan: domain.Monthly}
	shared := domain.Scope{Type: domain.Shared}
	buy := func(customer, subscription string, o domain.Offer, quantity int64, name string) domain.PurchaseReservation {
		return domain.PurchaseReservation{CustomerID: tenant(customer), Wanted: domain.Wanted{
			SubscriptionID: sub(subscription), Offer: o, Quantity: quantity, Scope: shared, DisplayName: name,
		}}
	}
	why := func(reason string) domain.Note { return domain.Note{Reason: reason} }
	change := func(customer string, p domain.Product) domain.PermissionChange {
		return domain.PermissionChange{CustomerID: tenant(customer), Product: p}
	}
	owner := func(customer, subscription string, p person) domain.AssignSubscriptionRole {
		return domain.AssignSubscriptionRole{RoleAssignment: domain.RoleAssignment{
			CustomerID: tenant(customer), SubscriptionID: sub(subscription), UserID: domain.UserID{UUID: demoID(p.name)}, UserPrincipalName: p.upn, Role: domain.Owner,
		}}
	}
	record := func(customer, subscription string, kind domain.SubscriptionKind, name string) domain.RecordSubscription {
		return domain.RecordSubscription{CustomerID: tenant(customer), SubscriptionID: sub(subscription), Kind: kind, Name: name}
	}
	yijun, dora, ida, weiting := demoPeople[4], demoExtras[0], demoExtras[2], demoExtras[3]

	story := []scene{
		{"mei", domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"}, ""},
		{"rex", domain.RegisterPartner{Name: "Litware", Country: "US", Currency: "USD"}, ""},
	}
	for _, c := range []struct{ id, name string }{
		{"contoso", "Contoso"},
		{"northwind", "Northwind Traders"},
		{"tailspin", "Tailspin Toys"},
		{"adventure-works", "Adventure Works"},
		{"taiwan-cloud", "台灣雲端科技"},
		{"wide-world", "Wide World Importers"},
	} {
		story = append(story, scene{"tom", domain.RegisterCustomer{CustomerID: tenant(c.id), CompanyName: c.name, Domain: c.id + ".example"}, ""})
	}
	story = append(story,
		scene{"rex", domain.RegisterCustomer{CustomerID: tenant("fourth-coffee"), CompanyName: "Fourth Coffee", Domain: "fourth-coffee.example"}, ""},
		scene{"tom", record("contoso", "contoso-prod", domain.AzurePlan, "Prod"), ""},
		scene{"tom", record("contoso", "contoso-test", domain.AzurePlan, "Test"), ""},
		scene{"tom", record("tailspin", "tailspin-main", domain.AzureGlobal, "Main"), ""},
		scene{"tom", record("adventure-works", "adventure-prod", domain.AzurePlan, "Production"), ""},
		scene{"tom", record("taiwan-cloud", "taiwan-prod", domain.AzurePlan, "正式環境"), ""},
		scene{"tom", record("wide-world", "wide-main", domain.AzurePlan, "Main"), ""},
	)
	prices, err := demoPrices([]string{"contoso", "tailspin", "adventure-works", "taiwan-cloud", "wide-world"})
	if err != nil {
		return nil, err
	}
	story = append(story, prices...)
	hourly, err := domain.ParseMoney("1.20", "USD")
	if err != nil {
		return nil, err
	}
	return append(story,
		scene{"mei", domain.GrantPurchasePermission{PermissionChange: change("northwind", domain.AzureReservedInstances)}, domain.CodeNoEligible},
		scene{"tom", domain.GrantPurchasePermission{PermissionChange: change("contoso", domain.AzureReservedInstances)}, domain.CodeRoleNotAllowed},
		scene{"ana", domain.GrantPurchasePermission{PermissionChange: change("contoso", domain.AzureReservedInstances)}, domain.CodeRoleNotAllowed},
		scene{"yijun", buy("contoso", "contoso-prod", d2, 2, "Web servers"), domain.CodePermissionOff},
		scene{"mei", domain.GrantPurchasePermission{PermissionChange: change("contoso", domain.AzureReservedInstances), Note: why("Asked for by phone, ticket 4711")}, ""},
		scene{"yijun", buy("contoso", "contoso-prod", d2, 2, "Web servers"), domain.CodeOwnerMissing},
		scene{"mei", owner("contoso", "contoso-prod", yijun), ""},
		scene{"yijun", buy("contoso", "contoso-prod", d2, 2, "Web servers"), ""},
		scene{"dora", buy("contoso", "contoso-prod", d2, 1, "Database"), domain.CodeOwnerMissing},
		scene{"mei", owner("contoso", "contoso-prod", dora), ""},
		scene{"dora", buy("contoso", "contoso-prod", d4, 1, "Database"), ""},
		scene{"tom", buy("contoso", "contoso-test", d2, 3, "Test machines"), ""},
		scene{"ana", buy("contoso", "contoso-test", d2, 3, "Test machines"), domain.CodeRoleNotAllowed},

		scene{"mei", domain.GrantPurchasePermission{PermissionChange: change("tailspin", domain.AzureReservedInstances), Note: why("Pilot")}, ""},
		scene{"ken", buy("tailspin", "tailspin-main", d2, 1, "Shop"), domain.CodeOwnerMissing},

		scene{"mei", owner("adventure-works", "adventure-prod", ida), ""},
		scene{"mei", domain.GrantPurchasePermission{PermissionChange: change("adventure-works", domain.AzureReservedInstances), Note: why("Contract of November")}, ""},
		scene{"ida", buy("adventure-works", "adventure-prod", d2, 4, "Booking"), ""},
		scene{"ida", buy("adventure-works", "adventure-prod", d4, 2, "Reports"), ""},
		scene{"mei", domain.RevokePurchasePermission{PermissionChange: change("adventure-works", domain.AzureReservedInstances), Note: why("Budget spent")}, ""},
		scene{"ida", buy("adventure-works", "adventure-prod", d2, 1, "One more"), domain.CodePermissionOff},

		scene{"mei", owner("taiwan-cloud", "taiwan-prod", weiting), ""},
		scene{"mei", domain.GrantPurchasePermission{PermissionChange: change("taiwan-cloud", domain.AzureReservedInstances), Note: why("客戶來信要求")}, ""},
		scene{"mei", domain.GrantPurchasePermission{PermissionChange: change("taiwan-cloud", domain.AzureSavingsPlan), Note: why("客戶來信要求")}, ""},
		scene{"weiting", buy("taiwan-cloud", "taiwan-prod", d2, 5, "網站主機"), ""},
		scene{"weiting", domain.PurchaseSavingsPlan{CustomerID: tenant("taiwan-cloud"), WantedSavingsPlan: domain.WantedSavingsPlan{
			SubscriptionID: sub("taiwan-prod"), Term: domain.ThreeYears, BillingPlan: domain.Monthly, Commitment: hourly, Scope: shared, DisplayName: "運算節省方案",
		}}, ""},
		scene{"tom", record("taiwan-cloud", "taiwan-test", domain.AzurePlan, "測試環境"), ""},

		scene{"yijun", domain.ReturnReservation{CustomerID: tenant("contoso"), ReservationID: purchaseID("Web servers").Reservation(tenant("contoso"), 0), Quantity: 1}, domain.CodePartnerOnly},
		scene{"yijun", domain.ChangeReservationScope{CustomerID: tenant("contoso"), ReservationID: purchaseID("Web servers").Reservation(tenant("contoso"), 0), Scope: domain.Scope{Type: domain.Single}}, domain.CodePartnerOnly},
		scene{"mei", domain.ReturnReservation{CustomerID: tenant("contoso"), ReservationID: purchaseID("Web servers").Reservation(tenant("contoso"), 0), Quantity: 1, Note: why("Asked for by yijun, ticket 4720")}, ""},
		scene{"mei", domain.ExchangeReservation{CustomerID: tenant("contoso"), ReservationID: purchaseID("Test machines").Reservation(tenant("fabrikam"), 0), Quantity: 3, To: []domain.Wanted{
			{SubscriptionID: sub("contoso-test"), Offer: domain.Offer{SKU: "Standard_D4ds_v5", Region: "eastus", Term: domain.ThreeYears, BillingPlan: domain.Upfront}, Quantity: 1, Scope: shared, DisplayName: "Larger test machine"},
		}, Note: why("Three small ones for a large one")}, ""},

		scene{"tom", buy("wide-world", "wide-main", d4, 6, "Warehouse"), ""},
		scene{"mei", domain.SplitReservation{CustomerID: tenant("wide-world"), ReservationID: purchaseID("Warehouse").Reservation(tenant("fabrikam"), 0), Quantities: []int64{4, 2}}, ""},
		scene{"rex", domain.GrantPurchasePermission{PermissionChange: change("contoso", domain.AzureReservedInstances)}, domain.CodeNotFound},
	), nil
}

// demoPrices sets the published prices with a markup of eight percent.
func demoPrices(customers []string) ([]scene, error) {
	markup, err := parseMarkup("8")
	if err != nil {
		return nil, err
	}
	prices, err := readPrices(bytes.NewReader(retailPricesFile), markup)
	if err != nil {
		return nil, err
	}
	var scenes []scene
	for _, c := range customers {
		for _, p := range prices {
			scenes = append(scenes, scene{"tom", domain.SetReservationPrice{
				CustomerID: tenant(c), Offer: p.offer, Family: p.family, CustomerPrice: p.customer, WebDirectPrice: p.webDirect,
			}, ""})
		}
	}
	return scenes, nil
}
