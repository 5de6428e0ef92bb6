package projections

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
)

// contoso is what the cast's customer is asked about by its partner.
var contoso = OfCustomer(cast.Partner, cast.Customer)

// told is a ledger with the read models that follow it: given commands, then rows.
type told struct {
	*ledger
	*Models
	t *testing.T
}

// tell begins a ledger with two partners and one customer, and the commands sent by the partner's admin.
func tell(t *testing.T, commands ...domain.Command) *told {
	t.Helper()
	l := newLedger(t)
	l.send(cast.Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	l.send(cast.Stranger, domain.RegisterPartner{Name: "Rival", Country: "US", Currency: "USD"})
	l.send(cast.Admin, domain.RegisterCustomer{CustomerID: cast.Customer, CompanyName: "Contoso", Domain: "contoso.example"})
	for _, c := range commands {
		l.send(cast.Admin, c)
	}
	return &told{ledger: l, Models: folded(t, l), t: t}
}

// ready is a book in which the customer may buy.
func ready(t *testing.T) *told {
	t.Helper()
	return tell(t,
		domain.RecordSubscription{CustomerID: cast.Customer, SubscriptionID: cast.Subscription, Kind: domain.AzurePlan, Name: "Prod"},
		cast.Price(cast.Offer, "500.00", "519.00"),
		cast.Grant(domain.AzureReservedInstances),
		cast.Assign(cast.Buyer, domain.Owner),
	)
}

// after sends a command and waits until the rows show it.
func (b *told) after(actor domain.Actor, command domain.Command) domain.Fact {
	b.t.Helper()
	facts := b.send(actor, command)
	caughtUp(b.t, b.Models, b.ledger)
	if len(facts) == 0 {
		return domain.Fact{}
	}
	return facts[len(facts)-1]
}

// buys lets somebody buy a quantity and gives the reservation.
func (b *told) buys(actor domain.Actor, quantity int64) domain.Bought {
	b.t.Helper()
	event := b.after(actor, cast.Purchase(quantity)).Event
	if e, ok := event.(domain.CustomerPurchasedReservation); ok {
		return e.Bought
	}
	require.IsType(b.t, domain.PartnerPurchasedReservation{}, event)
	return event.(domain.PartnerPurchasedReservation).Bought
}

func (b *told) permission(p domain.Product) Permission {
	b.t.Helper()
	page, err := b.Permissions(b.t.Context(), contoso, PermissionFilter{Product: p}, Paging{})
	require.NoError(b.t, err)
	require.Len(b.t, page.Items, 1)
	return page.Items[0]
}

func (b *told) order(id domain.OrderID) Order {
	b.t.Helper()
	o, position, err := b.Order(b.t.Context(), contoso, id, b.now)
	require.NoError(b.t, err)
	require.Equal(b.t, b.head().Position, position)
	return o
}

func (b *told) reservation(id domain.ReservationID) Reservation {
	b.t.Helper()
	r, _, err := b.Reservation(b.t.Context(), contoso, id, b.now)
	require.NoError(b.t, err)
	return r
}

func TestEveryPermissionIsOffUntilItIsGranted_S1(t *testing.T) {
	t.Parallel()
	b := tell(t)
	page, err := b.Permissions(t.Context(), contoso, PermissionFilter{}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, len(domain.Products()))
	for i, p := range page.Items {
		require.Equal(t, domain.Products()[i], p.Product)
		require.False(t, p.Allowed)
		require.Empty(t, p.GrantedBy)
		require.Zero(t, p.Changes)
		require.Equal(t, uint64(3), p.Position, "of the registration")
	}
}

func TestAPermissionSaysSinceWhenByWhomAndWhy(t *testing.T) {
	t.Parallel()
	b := ready(t)
	grant := cast.Grant(domain.AzureSavingsPlan)
	grant.Reason = "framework contract"
	granted := b.after(cast.Admin, grant)
	p := b.permission(domain.AzureSavingsPlan)
	require.True(t, p.Allowed)
	require.Equal(t, granted.Time, p.Since)
	require.Equal(t, granted.Position, p.Position)
	require.Equal(t, cast.Admin.UPN, p.GrantedBy)
	require.Equal(t, cast.Admin.User, p.ChangedByID)
	require.Equal(t, "framework contract", p.Reason)

	revoked := b.after(cast.Admin, cast.Revoke(domain.AzureSavingsPlan))
	p = b.permission(domain.AzureSavingsPlan)
	require.False(t, p.Allowed)
	require.Empty(t, p.GrantedBy)
	require.Equal(t, cast.Admin.UPN, p.ChangedBy)
	require.Equal(t, 2, p.Changes)
	require.True(t, b.permission(domain.AzureReservedInstances).Allowed, "the other product is as it was")

	history, err := b.PermissionHistory(t.Context(), contoso, PermissionFilter{Product: domain.AzureSavingsPlan}, Paging{})
	require.NoError(t, err)
	require.Len(t, history.Items, 2)
	require.Equal(t, revoked.Position, history.Items[0].Position)
	require.Equal(t, "framework contract", history.Items[1].Reason)
}

func TestBothBuyersStandSideBySideAndThePartnerIsBilled_S8_S11(t *testing.T) {
	t.Parallel()
	b := ready(t)
	mine, theirs := b.buys(cast.Admin, 2), b.buys(cast.Buyer, 3)
	page, err := b.Orders(t.Context(), contoso, OrderFilter{At: b.now}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	require.Equal(t, theirs.OrderID, page.Items[0].OrderID, "newest first")
	require.Equal(t, Buyer{ByCustomer, cast.Buyer.User, cast.Buyer.UPN}, page.Items[0].BoughtBy)
	require.Equal(t, mine.OrderID, page.Items[1].OrderID)
	require.Equal(t, Buyer{ByPartner, cast.Admin.User, cast.Admin.UPN}, page.Items[1].BoughtBy)
	for _, o := range page.Items {
		require.Equal(t, cast.Partner, o.BilledTo)
		require.True(t, o.Authorised)
		require.Equal(t, OrderActive, o.Status)
		require.Equal(t, cast.USD("500.00"), o.UnitPrice)
		require.Equal(t, cast.USD("519.00"), o.WebDirectPrice, "S13: both prices are kept")
		require.Nil(t, o.From)
	}
	require.Equal(t, cast.USD("1500.00"), page.Items[0].Total)
	for kind, id := range map[BuyerKind]domain.OrderID{ByPartner: mine.OrderID, ByCustomer: theirs.OrderID} {
		page, err := b.Orders(t.Context(), contoso, OrderFilter{At: b.now, BoughtBy: kind}, Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.Equal(t, id, page.Items[0].OrderID)
	}
}

func TestAnOrderHasTheFieldsOfTheContract(t *testing.T) {
	t.Parallel()
	b := ready(t)
	o := b.order(b.buys(cast.Buyer, 1).OrderID)
	var fields map[string]any
	content, err := json.Marshal(o)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &fields))
	for _, name := range []string{
		"orderId", "customerId", "boughtBy", "billedTo", "status", "quantity", "term", "billingPlan", "sku", "region",
		"unitPrice", "total", "webDirectPrice", "scope", "reservationId", "authorised", "position", "time",
	} {
		require.Contains(t, fields, name)
	}
	require.Equal(t, map[string]any{"amount": "500.00", "currency": "USD"}, fields["unitPrice"])
	hidden := o.WithoutPrices()
	require.True(t, hidden.UnitPrice.IsZero() && hidden.Total.IsZero() && hidden.WebDirectPrice.IsZero())
}

func TestAReportedPurchaseThatBrokeTheRulesIsShownAsUnauthorised(t *testing.T) {
	t.Parallel()
	b := tell(t, domain.RecordSubscription{CustomerID: cast.Customer, SubscriptionID: cast.Subscription, Kind: domain.AzurePlan, Name: "Prod"})
	bought := start.Add(-48 * time.Hour)
	fact := b.after(cast.Sales, domain.ReportCustomerPurchase{
		CustomerID: cast.Customer, Wanted: cast.Want(cast.Offer, 2), UserID: cast.Buyer.User, UserPrincipalName: cast.Buyer.UPN, PurchasedAt: bought,
	})
	o := b.order(fact.Event.(domain.CustomerPurchasedReservation).OrderID)
	require.False(t, o.Authorised)
	require.True(t, o.Reported)
	require.Equal(t, bought, o.PurchasedAt)
	require.Equal(t, fact.Time, o.Time)
	require.Equal(t, ByCustomer, o.BoughtBy.Kind)
	require.Equal(t, []string{"S7", "S6"}, []string{o.Broke[0].Rule, o.Broke[1].Rule})
	require.True(t, o.UnitPrice.IsZero(), "no price was set")
	content, err := json.Marshal(o)
	require.NoError(t, err)
	require.Contains(t, string(content), `"unitPrice":null`)
	no := false
	page, err := b.Orders(t.Context(), contoso, OrderFilter{At: b.now, Authorised: &no}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
}

func TestSavingsPlansStandBesideReservationsInTheOrderHistory_S11(t *testing.T) {
	t.Parallel()
	b := ready(t)
	b.after(cast.Admin, cast.Grant(domain.AzureSavingsPlan))
	reservation := b.buys(cast.Buyer, 1)
	theirs := b.after(cast.Buyer, cast.SavingsPlan("1.50")).Event.(domain.CustomerPurchasedSavingsPlan)
	mine := b.after(cast.Sales, cast.SavingsPlan("2.00")).Event.(domain.PartnerPurchasedSavingsPlan)
	o := b.order(theirs.OrderID)
	require.Equal(t, []any{Purchase, domain.AzureSavingsPlan, OrderActive}, []any{o.Kind, o.Product, o.Status})
	require.Equal(t, Buyer{ByCustomer, cast.Buyer.User, cast.Buyer.UPN}, o.BoughtBy)
	require.Equal(t, []any{int64(1), "Compute_Savings_Plan", "", "Savings plan"}, []any{o.Quantity, o.SKU, o.Region, o.DisplayName})
	require.Equal(t, []domain.Money{cast.USD("1.50"), cast.USD("13140.00")}, []domain.Money{o.Commitment, o.Total})
	require.Equal(t, cast.Partner, o.BilledTo)
	require.Equal(t, []time.Time{theirs.StartsAt, theirs.ExpiresAt}, []time.Time{o.StartsAt, o.ExpiresAt})
	require.True(t, o.UnitPrice.IsZero() && o.WebDirectPrice.IsZero() && o.ReservationID.IsZero())
	hidden := o.WithoutPrices()
	require.True(t, hidden.Commitment.IsZero() && hidden.Total.IsZero())
	content, err := json.Marshal(o)
	require.NoError(t, err)
	require.NotContains(t, string(content), "reservationId")
	require.Equal(t, ByPartner, b.order(mine.OrderID).BoughtBy.Kind)

	for product, orders := range map[domain.Product][]domain.OrderID{
		domain.AzureReservedInstances: {reservation.OrderID},
		domain.AzureSavingsPlan:       {mine.OrderID, theirs.OrderID},
	} {
		page, err := b.Orders(t.Context(), contoso, OrderFilter{At: b.now, Product: product}, Paging{})
		require.NoError(t, err)
		var ids []domain.OrderID
		for _, o := range page.Items {
			ids = append(ids, o.OrderID)
		}
		require.Equal(t, orders, ids)
	}
	reservations, err := b.Reservations(t.Context(), contoso, ReservationFilter{At: b.now}, Paging{})
	require.NoError(t, err)
	require.Len(t, reservations.Items, 1, "a savings plan is no reservation")
	b.now = theirs.ExpiresAt
	require.Equal(t, OrderExpired, b.order(theirs.OrderID).Status)
}

func TestTheActivityLogNamesSavingsPlansAndWhoWasDeniedOne(t *testing.T) {
	t.Parallel()
	b := ready(t)
	b.after(cast.Buyer, cast.SavingsPlan("1.50"))
	b.after(cast.Helpdesk, cast.SavingsPlan("1.50"))
	report := cast.SavingsPlanReport("1.50")
	report.PurchasedAt = b.now
	order := b.after(cast.Admin, report).Event.(domain.CustomerPurchasedSavingsPlan).OrderID
	page, err := b.Activity(t.Context(), contoso, ActivityFilter{Actions: []string{"CustomerPurchasedSavingsPlan", "PartnerPurchasedSavingsPlan"}}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	done, helpdesk, buyer := page.Items[0], page.Items[1], page.Items[2]
	require.Equal(t, []any{Succeeded, order.String(), "Customer Purchased Savings Plan"}, []any{done.Result, done.Target, done.Label})
	require.Equal(t, "客戶購買節省方案", Label(done.Action, "zh-TW"))
	require.Equal(t, []any{Failed, "PartnerPurchasedSavingsPlan", "S15"}, []any{helpdesk.Result, helpdesk.Action, helpdesk.Rule})
	require.Equal(t, []any{Failed, "CustomerPurchasedSavingsPlan", "S7"}, []any{buyer.Result, buyer.Action, buyer.Rule})
}

func TestReturnedUnitsLeaveOrderAndReservation(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Admin, 3)
	b.after(cast.Admin, domain.ReturnReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID, Quantity: 1})
	o := b.order(r.OrderID)
	require.Equal(t, []any{OrderActive, int64(3), int64(1)}, []any{o.Status, o.Quantity, o.ReturnedQuantity})
	require.Equal(t, int64(2), b.reservation(r.ReservationID).Quantity)

	last := b.after(cast.Admin, domain.ReturnReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID, Quantity: 2})
	o = b.order(r.OrderID)
	require.Equal(t, []any{OrderReturned, int64(3), int64(3)}, []any{o.Status, o.ReturnedQuantity, o.Quantity})
	require.Equal(t, last.Position, o.Changed)
	row := b.reservation(r.ReservationID)
	require.Equal(t, []any{ReservationReturned, int64(0), int64(3)}, []any{row.State, row.Quantity, row.OriginalQuantity})
}

func TestAnExchangeIsAnOrderWithAllItsReservations(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Buyer, 2)
	fact := b.after(cast.Admin, domain.ExchangeReservation{
		CustomerID: cast.Customer, ReservationID: r.ReservationID, Quantity: 2,
		To: []domain.Wanted{cast.Want(cast.Offer, 1), cast.Want(cast.Offer, 4)},
	})
	to := fact.Event.(domain.ReservationExchanged).To
	o := b.order(to[0].OrderID)
	require.Equal(t, Exchange, o.Kind)
	require.Equal(t, &OrderSource{r.OrderID, r.ReservationID}, o.From)
	require.Equal(t, ByPartner, o.BoughtBy.Kind, "only the partner exchanges (S9)")
	require.Equal(t, int64(5), o.Quantity)
	require.Equal(t, cast.USD("2500.00"), o.Total)
	require.Equal(t, to[0].ReservationID, o.ReservationID)
	require.Len(t, o.Reservations, 2)
	require.Equal(t, to[1].ReservationID, o.Reservations[1].ReservationID)
	require.Equal(t, cast.USD("2000.00"), o.Reservations[1].Total)
	require.True(t, o.WithoutPrices().Reservations[1].Total.IsZero())
	require.False(t, o.Reservations[1].Total.IsZero(), "the row itself is as it was")

	require.Equal(t, OrderExchanged, b.order(r.OrderID).Status)
	was := b.reservation(r.ReservationID)
	require.Equal(t, ReservationExchanged, was.State)
	require.ElementsMatch(t, []domain.ReservationID{to[0].ReservationID, to[1].ReservationID}, was.Lineage.ExchangedTo)
	require.Equal(t, []domain.ReservationID{r.ReservationID}, b.reservation(to[1].ReservationID).Lineage.ExchangedFrom)
	for sku, n := range map[string]int{cast.Offer.SKU: 2, "Standard_E4s_v5": 0} {
		page, err := b.Orders(t.Context(), contoso, OrderFilter{At: b.now, SKU: sku, SubscriptionID: cast.Subscription}, Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, n)
	}
}

func TestPartsOfASplitMergeAgain(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Admin, 5)
	on := true
	b.after(cast.Admin, domain.RenewReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID, Enabled: &on})
	require.True(t, b.reservation(r.ReservationID).Renew)
	parts := b.after(cast.Admin, domain.SplitReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID, Quantities: []int64{2, 3}}).Event.(domain.ReservationSplit).Into
	whole := b.reservation(r.ReservationID)
	require.Equal(t, []any{ReservationSplit, int64(0), false}, []any{whole.State, whole.Quantity, whole.Renew})
	ids := []domain.ReservationID{parts[0].ReservationID, parts[1].ReservationID}
	require.ElementsMatch(t, ids, whole.Lineage.SplitInto)
	for i, id := range ids {
		part := b.reservation(id)
		require.Equal(t, []any{ReservationActive, parts[i].Quantity, false}, []any{part.State, part.Quantity, part.Renew})
		require.Equal(t, []domain.ReservationID{r.ReservationID}, part.Lineage.SplitFrom)
		require.Equal(t, []any{r.OrderID, r.ExpiresAt, r.DisplayName}, []any{part.OrderID, part.ExpiresAt, part.DisplayName})
	}
	merged := b.after(cast.Admin, domain.MergeReservations{CustomerID: cast.Customer, ReservationIDs: ids}).Event.(domain.ReservationsMerged).Into
	one := b.reservation(merged.ReservationID)
	require.Equal(t, []any{ReservationActive, int64(5)}, []any{one.State, one.Quantity})
	require.ElementsMatch(t, ids, one.Lineage.MergedFrom)
	require.Equal(t, []domain.ReservationID{merged.ReservationID}, b.reservation(ids[0]).Lineage.MergedInto)
	require.Equal(t, OrderActive, b.order(r.OrderID).Status)

	b.after(cast.Admin, domain.ReturnReservation{CustomerID: cast.Customer, ReservationID: merged.ReservationID, Quantity: 5})
	require.Equal(t, OrderReturned, b.order(r.OrderID).Status, "an order ends with what became of its reservations")
}

func TestARenewalIsAnOrderThatStartsWhenTheOldOneEnds(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Admin, 1)
	b.now = r.ExpiresAt.AddDate(0, 0, -10)
	successor := b.after(cast.Admin, domain.RenewReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID}).Event.(domain.ReservationRenewed).Successor
	o := b.order(successor.OrderID)
	require.Equal(t, Renewal, o.Kind)
	require.Equal(t, r.ExpiresAt, o.StartsAt)
	require.Equal(t, &OrderSource{r.OrderID, r.ReservationID}, o.From)
	require.Equal(t, []domain.ReservationID{successor.ReservationID}, b.reservation(r.ReservationID).Lineage.RenewedBy)
	require.Equal(t, []domain.ReservationID{r.ReservationID}, b.reservation(successor.ReservationID).Lineage.RenewedFrom)
}

func TestASuccessorKeepsTheNameOfWhatItSucceeds(t *testing.T) {
	t.Parallel()
	b := ready(t)
	named := cast.Purchase(1)
	named.DisplayName = "Web servers"
	r := b.after(cast.Admin, named).Event.(domain.PartnerPurchasedReservation).Bought
	for range 2 {
		b.now = r.ExpiresAt.AddDate(0, 0, -10)
		r = *b.after(cast.Admin, domain.RenewReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID}).Event.(domain.ReservationRenewed).Successor
		require.Equal(t, "Web servers", b.reservation(r.ReservationID).DisplayName)
		require.Equal(t, "Web servers", b.order(r.OrderID).DisplayName)
	}
}

func TestARenamedReservationIsShownUnderItsNameAndItsOrderUnderTheOneItWasBoughtWith(t *testing.T) {
	t.Parallel()
	b := ready(t)
	r := b.buys(cast.Admin, 2)
	b.after(cast.Admin, domain.RenameReservation{CustomerID: cast.Customer, ReservationID: r.ReservationID, DisplayName: "網頁"})
	row := b.reservation(r.ReservationID)
	require.Equal(t, "網頁", row.DisplayName)
	require.Greater(t, row.Changed, row.Position)
	require.Equal(t, r.DisplayName, b.order(r.OrderID).DisplayName)
	page, err := b.Activity(t.Context(), contoso, ActivityFilter{Actions: []string{"ReservationRenamed"}}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, []string{"Rename Reservation", r.ReservationID.String()}, []string{page.Items[0].Label, page.Items[0].Target})
}

func TestWhichProductsWerePermittedIsKnownOfEveryPosition(t *testing.T) {
	t.Parallel()
	b := ready(t)
	plans := b.after(cast.Admin, cast.Grant(domain.AzureSavingsPlan)).Position
	off := b.after(cast.Admin, domain.SetPurchasePermissions{CustomerID: cast.Customer}).Position
	for position, want := range map[uint64][]domain.Product{
		1: nil, plans - 1: {domain.AzureReservedInstances}, plans: domain.Products(), off - 1: {domain.AzureSavingsPlan}, off: nil, off + 9: nil,
	} {
		got, err := b.PermittedAt(t.Context(), contoso, position)
		require.NoError(t, err)
		require.Equal(t, want, got, position)
	}
	_, err := b.PermittedAt(t.Context(), OfCustomer(cast.Rival, cast.Customer), off)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestTheActivityLogShowsWhereEventsGoWithoutTheSecretsOfTheAddress(t *testing.T) {
	t.Parallel()
	b := ready(t)
	b.after(cast.Admin, cast.Hook("https://hooks.fabrikam.example:8443/in?code=secret"))
	b.after(cast.Admin, domain.RemoveWebhook{})
	b.after(cast.Buyer, domain.RemoveWebhook{})
	page, err := b.Activity(t.Context(), OfPartner(cast.Partner), ActivityFilter{Actions: []string{"WebhookRegistered", "WebhookRemoved"}}, Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	require.Equal(t, []any{"hooks.fabrikam.example:8443", "webhook", Succeeded}, []any{page.Items[2].Target, page.Items[2].TargetKind, page.Items[2].Result})
	require.Equal(t, []any{cast.Partner.String(), "partner", Succeeded}, []any{page.Items[1].Target, page.Items[1].TargetKind, page.Items[1].Result})
	require.Equal(t, []any{Failed, "S10"}, []any{page.Items[0].Result, page.Items[0].Rule})
}
