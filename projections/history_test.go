package projections

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	cast "permledger/domain/domaintest"
)

// history sends random commands to a ledger: most make sense, some are already so, some are denied, and
// several share a record.
type history struct {
	*ledger
	random       *rand.Rand
	customers    []domain.TenantID
	reservations []domain.Bought
	halves       map[domain.ReservationID]domain.ReservationID // the parts of splits, which merge again
}

func newHistory(l *ledger, seed uint64) *history {
	h := &history{ledger: l, random: rand.New(rand.NewPCG(seed, seed)), halves: map[domain.ReservationID]domain.ReservationID{}}
	l.send(cast.Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	l.send(cast.Stranger, domain.RegisterPartner{Name: "Rival", Country: "US", Currency: "EUR"})
	return h
}

func pick[T any](h *history, from ...T) T { return from[h.random.IntN(len(from))] }

// play sends n commands.
func (h *history) play(n int) {
	for n > 0 {
		group := make([]judged, min(n, 1+h.random.IntN(4)))
		for i := range group {
			group[i] = h.next()
		}
		n -= len(group)
		h.now = h.now.Add(time.Duration(h.random.Int64N(int64(6 * time.Hour))))
		facts, _ := h.group(group...)
		for _, f := range facts {
			h.note(f)
		}
	}
}

func (h *history) note(f domain.Fact) {
	switch e := f.Event.(type) {
	case domain.CustomerRegistered:
		h.customers = append(h.customers, f.Customer)
	case domain.CustomerPurchasedReservation:
		h.reservations = append(h.reservations, e.Bought)
	case domain.PartnerPurchasedReservation:
		h.reservations = append(h.reservations, e.Bought)
	case domain.ReservationExchanged:
		h.reservations = append(h.reservations, e.To...)
	case domain.ReservationSplit:
		h.halves[e.Into[0].ReservationID] = e.Into[1].ReservationID
		for _, p := range e.Into {
			h.reservations = append(h.reservations, domain.Bought{ReservationID: p.ReservationID, SubscriptionID: h.billing(e.ReservationID), Quantity: p.Quantity})
		}
	case domain.ReservationsMerged:
		h.reservations = append(h.reservations, domain.Bought{ReservationID: e.Into.ReservationID, SubscriptionID: h.billing(e.ReservationIDs[0]), Quantity: e.Into.Quantity})
	case domain.ReservationRenewed:
		if e.Successor != nil {
			h.reservations = append(h.reservations, *e.Successor)
		}
	case domain.PartnerRegistered,
		domain.SubscriptionRecorded, domain.SubscriptionStatusChanged,
		domain.SubscriptionRoleAssigned, domain.SubscriptionRoleRemoved,
		domain.ReservationPriceSet,
		domain.PurchasePermissionGranted, domain.PurchasePermissionRevoked,
		domain.CustomerPurchasedSavingsPlan, domain.PartnerPurchasedSavingsPlan,
		domain.ReservationReturned, domain.ReservationScopeChanged, domain.ReservationRenamed,
		domain.WebhookRegistered, domain.WebhookRemoved, domain.AttemptDenied:
		// makes neither a customer nor a reservation
	}
}

func (h *history) billing(id domain.ReservationID) domain.SubscriptionID {
	for _, r := range h.reservations {
		if r.ReservationID == id {
			return r.SubscriptionID
		}
	}
	return domain.SubscriptionID{}
}

// agent is somebody of the customer's partner; now and then of the other one.
func (h *history) agent(customer domain.TenantID) domain.Actor {
	owner, _ := h.book.PartnerOf(customer)
	if foreign := h.random.IntN(20) == 0; (owner == cast.Partner) != foreign {
		return pick(h, cast.Admin, cast.Admin, cast.Admin, cast.Admin, cast.Admin, cast.Sales, cast.Helpdesk, cast.App)
	}
	return cast.Stranger
}

func subscriptionOf(customer domain.TenantID, n int) domain.SubscriptionID {
	return domain.SubscriptionID{UUID: uuid.NewSHA1(customer.UUID, []byte{byte(n)})}
}

func userOf(customer domain.TenantID) domain.Actor {
	return domain.Actor{Tenant: customer, User: domain.UserID{UUID: uuid.NewSHA1(customer.UUID, []byte("user"))}, UPN: "buyer@" + customer.String()[:8] + ".example", Roles: domain.CustomerUser, App: "portal"}
}

func (h *history) next() judged {
	if len(h.customers) < 3 || h.random.IntN(40) == 0 {
		id := domain.TenantID{UUID: h.ids()}
		return judged{pick(h, cast.Admin, cast.Admin, cast.Stranger), domain.RegisterCustomer{CustomerID: id, CompanyName: fmt.Sprintf("Customer %d", len(h.customers)), Domain: id.String()[:8] + ".example"}}
	}
	customer := pick(h, h.customers...)
	agent, user := h.agent(customer), userOf(customer)
	subscription := subscriptionOf(customer, h.random.IntN(3))
	offer := pick(h, cast.Offer, cast.ThreeYears(cast.Offer), domain.Offer{SKU: "Standard_E4s_v5", Region: "westeurope", Term: domain.OneYear, BillingPlan: domain.Monthly})
	change := domain.PermissionChange{CustomerID: customer, Product: pick(h, domain.Products()...)}
	role := domain.RoleAssignment{CustomerID: customer, SubscriptionID: subscription, UserID: user.User, UserPrincipalName: user.UPN, Role: pick(h, domain.Owner, domain.Owner, domain.Reader)}
	scope := domain.Scope{Type: pick(h, domain.Single, domain.Shared)}
	wanted := domain.Wanted{SubscriptionID: subscription, Offer: offer, Quantity: 1 + h.random.Int64N(20), Scope: scope}
	plan := domain.WantedSavingsPlan{SubscriptionID: subscription, Term: offer.Term, BillingPlan: offer.BillingPlan, Commitment: cast.USD("1.50"), Scope: scope}
	note := domain.Note{Reason: pick(h, "", "as agreed", "依照合約")}
	on := h.random.IntN(2) == 0
	if len(h.reservations) > 0 && h.random.IntN(3) == 0 {
		return judged{agent, h.afterwards(pick(h, h.reservations...), wanted, on)}
	}
	if h.random.IntN(40) == 0 {
		return judged{pick(h, cast.Admin, cast.Sales), pick(h, []domain.Command{cast.Hook("https://hooks.fabrikam.example/in?code=secret"), domain.RemoveWebhook{Note: note}}...)}
	}
	buyer := agent
	if h.random.IntN(2) == 0 {
		buyer = user
	}
	return judged{pick(h, agent), pick(h, []domain.Command{
		domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Plan", Note: note},
		domain.ChangeSubscriptionStatus{CustomerID: customer, SubscriptionID: subscription, Status: pick(h, domain.Active, domain.Active, domain.Suspended), Note: note},
		domain.AssignSubscriptionRole{RoleAssignment: role, Note: note},
		domain.RemoveSubscriptionRole{RoleAssignment: role, Note: note},
		domain.SetReservationPrice{CustomerID: customer, Offer: offer, CustomerPrice: cast.USD("500.00"), WebDirectPrice: cast.USD("519.00"), Note: note},
		domain.GrantPurchasePermission{PermissionChange: change, Note: note},
		domain.RevokePurchasePermission{PermissionChange: change, Note: note},
		domain.ReportCustomerPurchase{CustomerID: customer, Wanted: wanted, UserID: user.User, UserPrincipalName: user.UPN, PurchasedAt: h.now, Note: note},
		domain.ReportCustomerSavingsPlan{CustomerID: customer, WantedSavingsPlan: plan, UserID: user.User, UserPrincipalName: user.UPN, PurchasedAt: h.now, Note: note},
	}...)}.or(h, judged{buyer, pick(h, []domain.Command{
		domain.PurchaseReservation{CustomerID: customer, Wanted: wanted, Note: note},
		domain.PurchaseReservation{CustomerID: customer, Wanted: wanted, Note: note},
		domain.PurchaseSavingsPlan{CustomerID: customer, WantedSavingsPlan: plan, Note: note},
	}...)})
}

// or is the other command every second time.
func (j judged) or(h *history, other judged) judged {
	if h.random.IntN(2) == 0 {
		return other
	}
	return j
}

// afterwards is something done with a reservation that was bought.
func (h *history) afterwards(r domain.Bought, wanted domain.Wanted, on bool) domain.Command {
	customer := h.customers[0]
	for _, c := range h.customers {
		for n := range 3 {
			if subscriptionOf(c, n) == r.SubscriptionID {
				customer = c
			}
		}
	}
	wanted.SubscriptionID = r.SubscriptionID
	quantity := 1 + h.random.Int64N(max(1, r.Quantity))
	double := wanted
	double.Quantity = 1000
	return pick(h, []domain.Command{
		domain.ExchangeReservation{CustomerID: customer, ReservationID: r.ReservationID, Quantity: quantity, To: []domain.Wanted{wanted, double}},
		domain.ReturnReservation{CustomerID: customer, ReservationID: r.ReservationID, Quantity: quantity},
		domain.RenewReservation{CustomerID: customer, ReservationID: r.ReservationID, Enabled: &on},
		domain.RenewReservation{CustomerID: customer, ReservationID: r.ReservationID},
		domain.ChangeReservationScope{CustomerID: customer, ReservationID: r.ReservationID, Scope: wanted.Scope},
		domain.RenameReservation{CustomerID: customer, ReservationID: r.ReservationID, DisplayName: pick(h, "Web servers", "資料庫", wanted.SKU)},
		domain.SplitReservation{CustomerID: customer, ReservationID: r.ReservationID, Quantities: []int64{1, max(1, r.Quantity-1)}},
		domain.MergeReservations{CustomerID: customer, ReservationIDs: []domain.ReservationID{r.ReservationID, h.other(r)}},
	}...)
}

// other is the other half of a split, where the reservation is one.
func (h *history) other(r domain.Bought) domain.ReservationID {
	if half, ok := h.halves[r.ReservationID]; ok {
		return half
	}
	return domain.ReservationID{UUID: uuid.NewSHA1(r.ReservationID.UUID, nil)}
}
