package domaintest

import (
	"testing"

	"permledger/domain"
)

// USD is an amount of dollars written as a decimal.
func USD(amount string) domain.Money {
	m, err := domain.ParseMoney(amount, "USD")
	if err != nil {
		panic(err)
	}
	return m
}

// Registered is a book with the partner, its customer and the rival, and nothing else.
func Registered(t testing.TB, policies ...domain.Policy) *Book {
	t.Helper()
	b := NewBook(t, policies...)
	b.Given(Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	b.Given(Stranger, domain.RegisterPartner{Name: "Rival", Country: "US", Currency: "USD"})
	b.Given(Admin, domain.RegisterCustomer{CustomerID: Customer, CompanyName: "Contoso", Domain: "contoso.example"})
	return b
}

// Subscribed is Registered with an active Azure plan and prices for one and three years.
func Subscribed(t testing.TB, policies ...domain.Policy) *Book {
	t.Helper()
	b := Registered(t, policies...)
	b.Given(Admin,
		domain.RecordSubscription{CustomerID: Customer, SubscriptionID: Subscription, Kind: domain.AzurePlan, Name: "Prod"},
		Price(Offer, "500.00", "519.00"),
		Price(ThreeYears(Offer), "960.00", "997.00"),
	)
	return b
}

// Ready is Subscribed with the permission on and Buyer an Owner: every condition of S7 holds.
func Ready(t testing.TB, policies ...domain.Policy) *Book {
	t.Helper()
	b := Subscribed(t, policies...)
	b.Given(Admin, Grant(domain.AzureReservedInstances), Assign(Buyer, domain.Owner))
	return b
}

// ThreeYears is the same offer for three years.
func ThreeYears(o domain.Offer) domain.Offer {
	o.Term = domain.ThreeYears
	return o
}

// Price sets the customer's and the Web Direct price of an offer, in dollars.
func Price(o domain.Offer, customer, webDirect string) domain.SetReservationPrice {
	return domain.SetReservationPrice{CustomerID: Customer, Offer: o, CustomerPrice: USD(customer), WebDirectPrice: USD(webDirect)}
}

// Grant turns a permission of the customer on.
func Grant(p domain.Product) domain.GrantPurchasePermission {
	return domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: Customer, Product: p}}
}

// Revoke turns it off.
func Revoke(p domain.Product) domain.RevokePurchasePermission {
	return domain.RevokePurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: Customer, Product: p}}
}

// Assign gives a user a role on the subscription.
func Assign(user domain.Actor, role domain.SubscriptionRole) domain.AssignSubscriptionRole {
	return domain.AssignSubscriptionRole{RoleAssignment: assignment(user, role)}
}

// Remove takes it away.
func Remove(user domain.Actor, role domain.SubscriptionRole) domain.RemoveSubscriptionRole {
	return domain.RemoveSubscriptionRole{RoleAssignment: assignment(user, role)}
}

func assignment(user domain.Actor, role domain.SubscriptionRole) domain.RoleAssignment {
	return domain.RoleAssignment{CustomerID: Customer, SubscriptionID: Subscription, UserID: user.User, UserPrincipalName: user.UPN, Role: role}
}

// Want is a number of units of an offer with a shared scope.
func Want(o domain.Offer, quantity int64) domain.Wanted {
	return domain.Wanted{SubscriptionID: Subscription, Offer: o, Quantity: quantity, Scope: domain.Scope{Type: domain.Shared}}
}

// Purchase buys a number of units of the standard offer.
func Purchase(quantity int64) domain.PurchaseReservation {
	return domain.PurchaseReservation{CustomerID: Customer, Wanted: Want(Offer, quantity)}
}

// SavingsPlan buys a savings plan of an hourly commitment in dollars for a year.
func SavingsPlan(commitment string) domain.PurchaseSavingsPlan {
	return domain.PurchaseSavingsPlan{CustomerID: Customer, WantedSavingsPlan: domain.WantedSavingsPlan{
		SubscriptionID: Subscription, Term: domain.OneYear, BillingPlan: domain.Monthly, Commitment: USD(commitment), Scope: domain.Scope{Type: domain.Shared},
	}}
}

// SavingsPlanReport reports that Buyer bought the same outside at the start.
func SavingsPlanReport(commitment string) domain.ReportCustomerSavingsPlan {
	return domain.ReportCustomerSavingsPlan{
		CustomerID: Customer, WantedSavingsPlan: SavingsPlan(commitment).WantedSavingsPlan,
		UserID: Buyer.User, UserPrincipalName: Buyer.UPN, PurchasedAt: Start,
	}
}

// Hook registers a webhook for events, every one when none is named.
func Hook(url string, events ...domain.WebhookEvent) domain.RegisterWebhook {
	if len(events) == 0 {
		events = domain.WebhookEvents()
	}
	return domain.RegisterWebhook{URL: url, Events: events}
}

// Bought lets an agent buy a number of units and gives the reservation.
func (b *Book) Bought(o domain.Offer, quantity int64) domain.Bought {
	b.t.Helper()
	events := b.Accepted(Admin, domain.PurchaseReservation{CustomerID: Customer, Wanted: Want(o, quantity)})
	return One[domain.PartnerPurchasedReservation](b.t, events).Bought
}
