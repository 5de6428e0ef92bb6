package domaintest

import (
	"time"

	"pgregory.net/rapid"

	"permledger/domain"
)

// world is a small set of names, so that random commands meet each other.
type world struct {
	customers     []domain.TenantID
	subscriptions []domain.SubscriptionID
	users         []domain.Actor
	offers        []domain.Offer
}

func newWorld() world {
	w := world{
		customers:     []domain.TenantID{Customer, {UUID: ID("northwind")}, {UUID: ID("tailspin")}},
		subscriptions: []domain.SubscriptionID{Subscription, {UUID: ID("test")}, {UUID: ID("dev")}, {UUID: ID("lab")}},
		offers:        []domain.Offer{Offer, ThreeYears(Offer)},
	}
	for _, c := range w.customers {
		for _, name := range []string{"one", "two"} {
			w.users = append(w.users, domain.Actor{Tenant: c, User: domain.UserID{UUID: ID(name)}, UPN: name + "@customer.example", Roles: domain.CustomerUser, App: "test"})
		}
	}
	return w
}

// Step is a random command of a random actor, some time after the one before.
type Step struct {
	Actor   domain.Actor
	Command domain.Command
	Later   time.Duration
}

// Play sends n random commands to a book that begins with its partners registered, and calls after for
// each with the answer. Most commands make sense, some do not.
func Play(rt *rapid.T, b *Book, n int, after func(Step, []domain.Event, error)) {
	w := newWorld()
	b.Given(Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	b.Given(Stranger, domain.RegisterPartner{Name: "Rival", Country: "US", Currency: "USD"})
	var reservations []domain.ReservationID
	for range n {
		step := w.step(rt, reservations)
		b.Later(step.Later)
		events, err := b.Send(step.Actor, step.Command)
		reservations = append(reservations, created(events)...)
		after(step, events, err)
	}
}

func created(events []domain.Event) (ids []domain.ReservationID) {
	for _, e := range events {
		switch e := e.(type) {
		case domain.CustomerPurchasedReservation:
			ids = append(ids, e.ReservationID)
		case domain.PartnerPurchasedReservation:
			ids = append(ids, e.ReservationID)
		case domain.ReservationExchanged:
			for _, b := range e.To {
				ids = append(ids, b.ReservationID)
			}
		case domain.ReservationSplit:
			for _, p := range e.Into {
				ids = append(ids, p.ReservationID)
			}
		case domain.ReservationsMerged:
			ids = append(ids, e.Into.ReservationID)
		case domain.ReservationRenewed:
			if e.Successor != nil {
				ids = append(ids, e.Successor.ReservationID)
			}
		default:
		}
	}
	return ids
}

func (w world) step(rt *rapid.T, reservations []domain.ReservationID) Step {
	agents := []domain.Actor{Admin, Admin, Admin, Admin, Sales, Helpdesk, Auditor, App, Stranger}
	customer := rapid.SampledFrom(w.customers).Draw(rt, "customer")
	user := rapid.SampledFrom(w.users).Draw(rt, "user")
	subscription := rapid.SampledFrom(w.subscriptions).Draw(rt, "subscription")
	offer := rapid.SampledFrom(w.offers).Draw(rt, "offer")
	quantity := rapid.Int64Range(1, 4).Draw(rt, "quantity")
	actor := rapid.SampledFrom(agents).Draw(rt, "actor")
	if rapid.IntRange(0, 2).Draw(rt, "side") == 0 {
		actor = user
		if rapid.IntRange(0, 9).Draw(rt, "own") > 0 {
			customer = user.Tenant
		}
	}
	reservation := domain.ReservationID{UUID: ID("none")}
	if len(reservations) > 0 {
		reservation = rapid.SampledFrom(reservations).Draw(rt, "reservation")
	}
	change := domain.PermissionChange{CustomerID: customer, Product: rapid.SampledFrom(domain.Products()).Draw(rt, "product")}
	role := domain.RoleAssignment{CustomerID: customer, SubscriptionID: subscription, UserID: user.User, UserPrincipalName: user.UPN, Role: rapid.SampledFrom([]domain.SubscriptionRole{domain.Owner, domain.Owner, domain.Reader}).Draw(rt, "role")}
	wanted := domain.Wanted{SubscriptionID: subscription, Offer: offer, Quantity: quantity, Scope: domain.Scope{Type: rapid.SampledFrom([]domain.ScopeType{domain.Single, domain.Shared}).Draw(rt, "scope")}}
	plan := domain.WantedSavingsPlan{SubscriptionID: subscription, Term: offer.Term, BillingPlan: domain.Monthly, Commitment: USD("1.50"), Scope: wanted.Scope}
	on := rapid.Bool().Draw(rt, "on")
	kinds := []domain.Command{
		domain.RegisterCustomer{CustomerID: customer, CompanyName: "Customer " + customer.String()[:4], Domain: "customer.example"},
		domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Plan"},
		domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Plan"},
		domain.ChangeSubscriptionStatus{CustomerID: customer, SubscriptionID: subscription, Status: rapid.SampledFrom([]domain.SubscriptionStatus{domain.Active, domain.Active, domain.Suspended, domain.Disabled}).Draw(rt, "status")},
		domain.AssignSubscriptionRole{RoleAssignment: role},
		domain.AssignSubscriptionRole{RoleAssignment: role},
		domain.RemoveSubscriptionRole{RoleAssignment: role},
		domain.SetReservationPrice{CustomerID: customer, Offer: offer, CustomerPrice: USD("500.00"), WebDirectPrice: USD("519.00")},
		domain.GrantPurchasePermission{PermissionChange: change},
		domain.GrantPurchasePermission{PermissionChange: change},
		domain.RevokePurchasePermission{PermissionChange: change},
		domain.SetPurchasePermissions{CustomerID: customer, Products: domain.Products()[:rapid.IntRange(0, 2).Draw(rt, "products")]},
		domain.PurchaseReservation{CustomerID: customer, Wanted: wanted},
		domain.PurchaseReservation{CustomerID: customer, Wanted: wanted},
		domain.PurchaseReservation{CustomerID: customer, Wanted: wanted},
		domain.ReportCustomerPurchase{CustomerID: customer, Wanted: wanted, UserID: user.User, UserPrincipalName: user.UPN, PurchasedAt: Start},
		domain.PurchaseSavingsPlan{CustomerID: customer, WantedSavingsPlan: plan},
		domain.PurchaseSavingsPlan{CustomerID: customer, WantedSavingsPlan: plan},
		domain.ReportCustomerSavingsPlan{CustomerID: customer, WantedSavingsPlan: plan, UserID: user.User, UserPrincipalName: user.UPN, PurchasedAt: Start},
		domain.ExchangeReservation{CustomerID: customer, ReservationID: reservation, Quantity: quantity, To: []domain.Wanted{wanted}},
		domain.ReturnReservation{CustomerID: customer, ReservationID: reservation, Quantity: quantity},
		domain.RenewReservation{CustomerID: customer, ReservationID: reservation, Enabled: &on},
		domain.RenewReservation{CustomerID: customer, ReservationID: reservation},
		domain.ChangeReservationScope{CustomerID: customer, ReservationID: reservation, Scope: wanted.Scope},
		domain.RenameReservation{CustomerID: customer, ReservationID: reservation, DisplayName: rapid.SampledFrom([]string{"web", "db", offer.SKU}).Draw(rt, "name")},
		domain.SplitReservation{CustomerID: customer, ReservationID: reservation, Quantities: []int64{quantity, 1}},
		Hook("https://hooks.example/in", domain.WebhookEvents()[:quantity]...),
		domain.RemoveWebhook{},
	}
	if len(reservations) > 1 {
		other := rapid.SampledFrom(reservations).Draw(rt, "other")
		if other != reservation {
			kinds = append(kinds, domain.MergeReservations{CustomerID: customer, ReservationIDs: []domain.ReservationID{reservation, other}})
		}
	}
	return Step{
		Actor:   actor,
		Command: rapid.SampledFrom(kinds).Draw(rt, "command"),
		Later:   time.Duration(rapid.Int64Range(0, int64(60*24*time.Hour)).Draw(rt, "later")),
	}
}
