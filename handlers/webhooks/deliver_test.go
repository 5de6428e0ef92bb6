package webhooks

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
	"permledger/handlers/ledger"
	"permledger/handlers/partnercenter/wire"
)

func TestS10NothingIsSentUnlessItWasAskedFor(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.runs()
	w.reported()
	w.must(cast.Admin, cast.Grant(domain.AzureReservedInstances))
	w.hook(r.url, domain.PurchaseCreated)
	w.must(cast.Admin, cast.Revoke(domain.AzureReservedInstances)) // not among what was asked for
	w.must(cast.Admin, cast.SavingsPlan("1.50"))                   // the partner's own
	bought := w.reported()
	d := r.next()
	require.Equal(t, "customer-purchase-created", d.event())
	require.Contains(t, d.body["ResourceUri"], orderOf(t, bought))
	r.nothingMore()
}

// orderOf is the order id in the answer to a purchase.
func orderOf(t *testing.T, a ledger.Answer) string {
	t.Helper()
	require.Len(t, a.Events, 1)
	e, err := domain.DecodeEvent(a.Events[0].Type, 1, a.Events[0].Data)
	require.NoError(t, err)
	switch e := e.(type) {
	case domain.CustomerPurchasedReservation:
		return e.OrderID.String()
	case domain.CustomerPurchasedSavingsPlan:
		return e.OrderID.String()
	default:
		require.FailNow(t, "no purchase", a.Events[0].Type)
		return ""
	}
}

func TestAPolicyIsCreatedUpdatedAndDeletedAsAWholeOnceACommand(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url)
	w.runs()
	set := func(products ...domain.Product) domain.Command {
		return domain.SetPurchasePermissions{CustomerID: cast.Customer, Products: products}
	}
	for _, step := range []struct {
		command domain.Command
		action  string
	}{
		{cast.Grant(domain.AzureReservedInstances), "created"},
		{cast.Grant(domain.AzureSavingsPlan), "updated"},
		{cast.Revoke(domain.AzureReservedInstances), "updated"},
		{cast.Revoke(domain.AzureSavingsPlan), "deleted"},
		{set(domain.Products()...), "created"}, // two events
		{set(domain.AzureSavingsPlan), "updated"},
		{set(domain.AzureReservedInstances), "updated"}, // two events, one of each kind
		{set(domain.Products()...), "updated"},
		{set(), "deleted"}, // two events
	} {
		answer := w.must(cast.Admin, step.command)
		d := r.next()
		pair := cast.Partner.String() + "_" + cast.Customer.String()
		require.Equal(t, map[string]any{
			"EventName":             "self-serve-policy-" + step.action,
			"ResourceUri":           w.door.URL + "/v1/SelfServePolicy/" + pair,
			"ResourceName":          "self-serve-policy",
			"AuditUri":              w.record(answer, answer.CommandID.String(), strings.TrimSuffix(step.action, "d")+"selfservepolicy"),
			"ResourceChangeUtcDate": answer.Time.Format("2006-01-02T15:04:05.0000000+00:00"),
		}, d.body)
	}
	r.nothingMore()
}

// record is the address of the audit record of a command that did something for the customer.
func (w *world) record(a ledger.Answer, resource, operation string) string {
	return w.door.URL + "/auditactivity/v1/auditrecords/" + wire.RecordID(cast.Partner, cast.Customer, resource, operation, a.Time)
}

func TestEveryPurchaseOfACustomerIsToldAndTheReceiverKnowsFromWhom(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	for _, p := range domain.Products() {
		w.must(cast.Admin, cast.Grant(p))
	}
	w.hook(r.url, domain.PurchaseCreated)
	w.runs()
	report := domain.ReportCustomerPurchase{CustomerID: cast.Customer, Wanted: cast.Want(cast.Offer, 1), UserID: cast.Buyer.User, UserPrincipalName: cast.Buyer.UPN, PurchasedAt: cast.Start}
	for _, c := range []struct {
		actor   domain.Actor
		command domain.Command
	}{{cast.Buyer, cast.Purchase(1)}, {cast.Buyer, cast.SavingsPlan("1.50")}, {cast.Sales, report}, {cast.Admin, cast.SavingsPlanReport("1.50")}} {
		answer := w.must(c.actor, c.command)
		d := r.next()
		order := orderOf(t, answer)
		require.Equal(t, "customer-purchase-created", d.event())
		require.Equal(t, "customer-purchase", d.body["ResourceName"])
		require.Equal(t, w.door.URL+"/v1/customers/"+cast.Customer.String()+"/orders/"+order, d.body["ResourceUri"])
		require.Equal(t, w.record(answer, order, "createorder"), d.body["AuditUri"])
		require.Equal(t, answer.CommandID.String(), d.header.Get("MS-CorrelationId"))
		require.Equal(t, "application/json", d.header.Get("Content-Type"))
		verified(t, d)
	}
	r.nothingMore()
}

func TestAReceiverThatFailsIsTriedAgainLaterAndLaterAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.PurchaseCreated)
	failures := 0
	statuses := []int{500, 404, 302, 429, 401, 503, 500, 500, 500, 500, 500, 500}
	r.answers(func(delivery) int {
		if failures == len(statuses) {
			return http.StatusNoContent
		}
		failures++
		return statuses[failures-1]
	})
	w.runs()
	first, second := w.reported(), w.reported()
	one := r.next()
	require.Contains(t, one.body["ResourceUri"], orderOf(t, first))
	for range statuses {
		same := r.next()
		require.Equal(t, one.id(), same.id())
		require.Equal(t, one.bytes, same.bytes)
		require.Equal(t, one.header.Get("Authorization"), same.header.Get("Authorization"))
	}
	other := r.next()
	require.Contains(t, other.body["ResourceUri"], orderOf(t, second), "nothing overtakes what was not received")
	require.NotEqual(t, one.id(), other.id())
	r.nothingMore()
	waits := w.hands.waited()
	require.Len(t, waits, len(statuses))
	for i, d := range waits {
		most := min(maxDelay, firstDelay<<i)
		require.True(t, d >= most/2 && d <= most, "wait %d is %s, at most %s", i, d, most)
	}
	require.Equal(t, maxDelay, min(maxDelay, firstDelay<<(len(waits)-1)), "the longest delay was reached")
	w.eventually(func() bool { return w.counted(domain.PurchaseCreated, outcomeDelivered) == 2 })
	require.Equal(t, len(statuses), w.counted(domain.PurchaseCreated, outcomeFailed))
}

func TestWhatIsOlderThanADayIsGivenUp(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.PurchaseCreated)
	r.answers(func(delivery) int { return http.StatusInternalServerError })
	w.runs()
	w.reported()
	w.eventually(func() bool { return w.counted(domain.PurchaseCreated, outcomeGivenUp) == 1 })
	require.GreaterOrEqual(t, w.counted(domain.PurchaseCreated, outcomeFailed), int(maxAge/maxDelay), "it was tried for a day")
	attempts := len(r.got)
	for range attempts {
		r.next()
	}
	w.hands.mu.Lock()
	w.hands.ahead = 0
	w.hands.mu.Unlock()
	r.answers(nil)
	bought := w.reported()
	require.Contains(t, r.next().body["ResourceUri"], orderOf(t, bought), "what comes after it is told")
}

func TestAReceiverThatIsGoneIsLeftInPeaceUntilItIsRegisteredOtherwise(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.PurchaseCreated)
	r.answers(func(delivery) int { return http.StatusGone })
	stop := w.runs()
	w.reported()
	r.next()
	w.reported()
	w.eventually(func() bool { return w.counted(domain.PurchaseCreated, outcomeGone) == 2 })
	stop()
	w.again()
	w.runs()
	w.reported()
	w.eventually(func() bool { return w.counted(domain.PurchaseCreated, outcomeGone) == 1 })
	r.nothingMore()

	r.answers(nil)
	w.hook(r.url, domain.PurchaseCreated, domain.PolicyCreated)
	bought := w.reported()
	require.Contains(t, r.next().body["ResourceUri"], orderOf(t, bought), "what happened meanwhile is not sent later")
}

func TestDeliveriesGoOnWhereTheyStoppedAndRepeatWhatWasNotNoted(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.PurchaseCreated)
	stop := w.runs()
	w.reported()
	r.next()
	w.eventually(func() bool { return w.counted(domain.PurchaseCreated, outcomeDelivered) == 1 })
	stop()
	noted, err := os.ReadFile(w.placeFile(cast.Partner))
	require.NoError(t, err)

	second := w.reported()
	w.again()
	stop = w.runs()
	d := r.next()
	require.Contains(t, d.body["ResourceUri"], orderOf(t, second), "the first is not told again")
	w.eventually(func() bool { return w.counted(domain.PurchaseCreated, outcomeDelivered) == 1 })
	stop()
	r.nothingMore()

	// A process that was killed between the answer and the note leaves the old note.
	require.NoError(t, os.WriteFile(w.placeFile(cast.Partner), noted, 0o600))
	w.again()
	w.runs()
	same := r.next()
	require.Equal(t, d.id(), same.id(), "the receiver can tell that it has it")
	require.Equal(t, d.bytes, same.bytes)
	r.nothingMore()
}

func TestANoteThatCannotBeUsedCostsTellingAgainAndNoMore(t *testing.T) {
	t.Parallel()
	for name, note := range map[string]string{
		"damaged": `{"since":`, "of another ledger": `{"since":1,"position":900}`, "ahead of the log": `{"since":7,"position":900}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), newReceiver(t)
			w.hook(r.url, domain.PurchaseCreated)
			require.Equal(t, uint64(7), w.ledger.Book().Webhooks()[cast.Partner].Since)
			bought := w.reported()
			require.NoError(t, os.MkdirAll(w.Webhooks.options.Dir, 0o700))
			require.NoError(t, os.WriteFile(w.placeFile(cast.Partner), []byte(note), 0o600))
			w.runs()
			require.Contains(t, r.next().body["ResourceUri"], orderOf(t, bought))
		})
	}
}

func TestNothingIsSentAfterTheAnswerToARemoval(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.PurchaseCreated)
	r.answers(func(delivery) int { return http.StatusInternalServerError })
	w.hands.held = make(chan struct{})
	w.runs()
	w.reported()
	r.next()
	w.eventually(func() bool { return len(w.hands.waited()) == 1 })
	require.Positive(t, w.figures.lag())
	w.must(cast.Admin, domain.RemoveWebhook{})
	close(w.hands.held)
	w.reported()
	w.eventually(func() bool {
		_, err := os.Stat(w.placeFile(cast.Partner))
		return os.IsNotExist(err) && w.figures.lag() == 0
	})
	r.nothingMore()

	w.hook(r.url, domain.PurchaseCreated)
	bought := w.reported()
	require.Contains(t, r.next().body["ResourceUri"], orderOf(t, bought), "what happened without a webhook is never sent")
}

func TestAReplacedWebhookTakesOverWhatWasNotReceived(t *testing.T) {
	t.Parallel()
	w, old, other := newWorld(t), newReceiver(t), newReceiver(t)
	w.hook(old.url, domain.PurchaseCreated)
	old.answers(func(delivery) int { return http.StatusInternalServerError })
	w.hands.held = make(chan struct{})
	w.runs()
	bought := w.reported()
	d := old.next()
	w.hook(other.url, domain.PurchaseCreated)
	same := other.next()
	require.Equal(t, d.id(), same.id())
	require.Contains(t, same.body["ResourceUri"], orderOf(t, bought))
	old.nothingMore()
}

func TestASlowReceiverHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w, slow, fast := newWorld(t), newReceiver(t), newReceiver(t)
	customer, subscription := domain.TenantID{UUID: cast.ID("coffee")}, domain.SubscriptionID{UUID: cast.ID("coffee prod")}
	w.must(cast.Stranger, domain.RegisterCustomer{CustomerID: customer, CompanyName: "Fourth Coffee", Domain: "coffee.example"})
	w.must(cast.Stranger, domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Prod"})
	released := make(chan struct{})
	slow.answers(func(delivery) int { <-released; return http.StatusOK })
	w.hook(slow.url)
	w.must(cast.Stranger, cast.Hook(fast.url))
	w.runs()
	w.reported()
	w.eventually(func() bool { return w.figures.lag() > 0 })
	w.must(cast.Stranger, domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: customer, Product: domain.AzureSavingsPlan}})
	require.Contains(t, fast.next().body["ResourceUri"], cast.Rival.String()+"_"+customer.String())
	close(released)
	require.Contains(t, slow.next().body["ResourceUri"], cast.Customer.String())
	slow.nothingMore()
	fast.nothingMore()
}

func TestMoreThanAPageIsToldInOrderWithoutDividingACommand(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url)
	var want []string
	for i := range pageEvents {
		products := domain.Products()
		want = append(want, "self-serve-policy-created")
		if i%2 == 1 {
			products, want[i] = nil, "self-serve-policy-deleted"
		}
		w.must(cast.Admin, domain.SetPurchasePermissions{CustomerID: cast.Customer, Products: products}) // two events
	}
	w.reported() // shifts what follows by one, so that a page ends within a command
	for range pageEvents {
		w.must(cast.Admin, domain.SetPurchasePermissions{CustomerID: cast.Customer, Products: domain.Products()})
		w.must(cast.Admin, domain.SetPurchasePermissions{CustomerID: cast.Customer})
	}
	want = append(want, "customer-purchase-created")
	for range pageEvents {
		want = append(want, "self-serve-policy-created", "self-serve-policy-deleted")
	}
	w.runs()
	for i, event := range want {
		require.Equal(t, event, r.next().event(), i)
	}
	r.nothingMore()
}
