package domain_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

var update = flag.Bool("update", false, "write golden files that do not exist yet; those that do are the stored format for ever")

// golden compares with a file that is never rewritten: bytes of a version once written stay as they are.
func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if _, err := os.Stat(path); os.IsNotExist(err) && *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "a new event needs its golden bytes: go test ./domain -update")
	want = []byte(strings.TrimSuffix(string(want), "\n"))
	require.Equal(t, string(want), string(got))
	return want
}

// sample gives one event of every type, as real decisions made them.
func sample(t *testing.T) map[string]domain.Event {
	t.Helper()
	b := domaintest.Ready(t)
	on := true
	b.Refused(domaintest.Sales, domaintest.Grant(domain.AzureSavingsPlan), domain.CodeRoleNotAllowed, "S2")
	b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Suspended})
	b.Given(domaintest.Admin, domain.ReportCustomerPurchase{CustomerID: domaintest.Customer, Wanted: domaintest.Want(domaintest.Offer, 1), UserID: domaintest.Buyer.User, UserPrincipalName: domaintest.Buyer.UPN, PurchasedAt: domaintest.Start})
	b.Given(domaintest.Admin, domain.ChangeSubscriptionStatus{CustomerID: domaintest.Customer, SubscriptionID: domaintest.Subscription, Status: domain.Active})
	bought := b.Bought(domaintest.Offer, 4)
	b.Given(domaintest.Admin, domain.RenewReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Enabled: &on})
	b.Given(domaintest.Admin, exchanged(bought.ReservationID, 1, domaintest.Want(domaintest.ThreeYears(domaintest.Offer), 1)))
	b.Given(domaintest.Admin, returned(bought.ReservationID, 1))
	b.Given(domaintest.Admin, domain.ChangeReservationScope{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Scope: domain.Scope{Type: domain.Single}})
	parts := domaintest.One[domain.ReservationSplit](t, b.Accepted(domaintest.Admin, domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: bought.ReservationID, Quantities: []int64{1, 1}}))
	merged := b.Accepted(domaintest.Admin, domain.MergeReservations{CustomerID: domaintest.Customer, ReservationIDs: []domain.ReservationID{parts.Into[0].ReservationID, parts.Into[1].ReservationID}})
	b.Given(domaintest.Admin, domaintest.Remove(domaintest.Buyer, domain.Owner), domaintest.Revoke(domain.AzureReservedInstances))
	b.Given(domaintest.Admin, domaintest.SavingsPlan("1.50"), domaintest.SavingsPlanReport("0.01"))
	b.Given(domaintest.Admin, domaintest.Hook("https://hooks.fabrikam.example/permledger", domain.PolicyCreated, domain.PurchaseCreated), domain.RemoveWebhook{})
	b.Given(domaintest.Admin, renamed(domaintest.One[domain.ReservationsMerged](t, merged).Into.ReservationID, "Web servers"))
	events := make(map[string]domain.Event)
	for _, f := range b.Facts {
		events[f.Event.EventType()] = f.Event
	}
	return events
}

// firstIDs puts the ids that the first releases gave to orders and reservations in the place of today's: they
// were made of the command's id alone. The golden files are of that time.
func firstIDs(data []byte) []byte {
	var pairs []string
	for n := range 100 {
		command := domaintest.CommandID(n)
		for _, sender := range []domain.TenantID{domaintest.Admin.Tenant, domaintest.Customer} {
			pairs = append(pairs, command.Order(sender).String(), uuid.NewSHA1(command.UUID, []byte("order/0")).String())
			for k := range 4 {
				pairs = append(pairs, command.Reservation(sender, k).String(), uuid.NewSHA1(command.UUID, fmt.Appendf(nil, "reservation/%d", k)).String())
			}
		}
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(data)))
}

func TestEveryEventHasItsGoldenBytesForEver(t *testing.T) {
	t.Parallel()
	events := sample(t)
	for _, kind := range domain.EventKinds() {
		e, made := events[kind.Name]
		require.True(t, made, "no decision in the sample makes %s", kind.Name)
		name, version, data, err := domain.EncodeEvent(e)
		require.NoError(t, err)
		require.Equal(t, kind.Name, name)
		require.Equal(t, kind.Version, version)
		back, err := domain.DecodeEvent(name, version, data)
		require.NoError(t, err)
		require.Equal(t, e, back, "decoding gives back what was encoded")
		stored := golden(t, filepath.Join("events", kind.Name+".v"+string(rune('0'+version))+".json"), firstIDs(data))
		back, err = domain.DecodeEvent(name, version, stored)
		require.NoError(t, err)
		_, _, again, err := domain.EncodeEvent(back)
		require.NoError(t, err)
		require.Equal(t, string(stored), string(again), "encoding gives back what was stored")
	}
	files, err := filepath.Glob("testdata/events/*.json")
	require.NoError(t, err)
	for _, file := range files {
		name, version, found := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), ".v")
		require.True(t, found, file)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = domain.DecodeEvent(name, int(version[0]-'0'), data)
		require.NoError(t, err, "%s was written once and must be read for ever", file)
	}
}

func TestAnUnknownEventFailsTheRead(t *testing.T) {
	t.Parallel()
	_, err := domain.DecodeEvent("PermissionForgotten", 1, []byte(`{}`))
	require.ErrorContains(t, err, "unknown")
	_, err = domain.DecodeEvent("PurchasePermissionGranted", 2, []byte(`{}`))
	require.ErrorContains(t, err, "version 2")
	_, err = domain.DecodeEvent("PurchasePermissionGranted", 1, []byte(`{`))
	require.Error(t, err)
}

func TestL3TheDigestOfACommandNeverChanges(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, c := range append(everyCommandFor(domaintest.Customer), domaintest.Hook("https://hooks.example/in"), domain.RemoveWebhook{}) {
		r, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, domaintest.Admin, c)
		require.NoError(t, err)
		digest := r.Digest()
		lines = append(lines, c.CommandName()+" "+hex.EncodeToString(digest[:]))
	}
	golden(t, "digests.txt", []byte(strings.Join(lines, "\n")))
}

func TestL3TheDigestCoversContentAndSender(t *testing.T) {
	t.Parallel()
	digest := func(actor domain.Actor, c domain.Command) [32]byte {
		r, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, actor, c)
		require.NoError(t, err)
		return r.Digest()
	}
	grant := domaintest.Grant(domain.AzureReservedInstances)
	base := digest(domaintest.Admin, grant)
	require.Equal(t, base, digest(domaintest.Admin, grant))
	require.NotEqual(t, base, digest(domaintest.Admin, domaintest.Grant(domain.AzureSavingsPlan)))
	require.NotEqual(t, base, digest(domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances)))
	require.NotEqual(t, base, digest(domaintest.Stranger, grant))
	withReason := grant
	withReason.Reason = "asked by phone"
	require.NotEqual(t, base, digest(domaintest.Admin, withReason))
}

func TestL5EveryFieldAtFaultIsNamed(t *testing.T) {
	t.Parallel()
	nul := domaintest.Want(domaintest.Offer, 1)
	nul.DisplayName = "a\x00b"
	for _, c := range []struct {
		command domain.Command
		fields  []string
	}{
		{domain.RegisterPartner{}, []string{"name", "country", "currency"}},
		{domain.RegisterCustomer{CompanyName: strings.Repeat("x", 257)}, []string{"customerId", "companyName", "domain"}},
		{domain.RecordSubscription{}, []string{"customerId", "subscriptionId", "kind", "name"}},
		{domain.ChangeSubscriptionStatus{Status: "gone"}, []string{"customerId", "subscriptionId", "status"}},
		{domain.AssignSubscriptionRole{}, []string{"customerId", "subscriptionId", "userId", "userPrincipalName", "role"}},
		{domain.SetReservationPrice{}, []string{"customerId", "sku", "region", "term", "billingPlan", "customerPrice", "webDirectPrice"}},
		{domain.GrantPurchasePermission{}, []string{"customerId", "product"}},
		{domain.PurchaseReservation{Wanted: domain.Wanted{Quantity: 1_000_001, Scope: domain.Scope{Type: "ManagementGroup"}}}, []string{"customerId", "subscriptionId", "sku", "region", "term", "billingPlan", "quantity", "scope.type"}},
		{domain.PurchaseReservation{CustomerID: domaintest.Customer, Wanted: nul}, []string{"displayName"}},
		{domain.ReportCustomerPurchase{CustomerID: domaintest.Customer, Wanted: domaintest.Want(domaintest.Offer, 1)}, []string{"userId", "userPrincipalName", "purchasedAt"}},
		{domain.PurchaseSavingsPlan{}, []string{"customerId", "subscriptionId", "term", "billingPlan", "commitment", "scope.type"}},
		{domaintest.SavingsPlan("0.00"), []string{"commitment"}},
		{domain.ReportCustomerSavingsPlan{CustomerID: domaintest.Customer, WantedSavingsPlan: domaintest.SavingsPlan("1.50").WantedSavingsPlan}, []string{"userId", "userPrincipalName", "purchasedAt"}},
		{domain.RegisterWebhook{}, []string{"url", "events"}},
		{domaintest.Hook("https://hooks.example/", "customer-purchase-created", "customer-purchase-created", "order-created"), []string{"events[1]", "events[2]"}},
		{domain.ExchangeReservation{}, []string{"customerId", "reservationId", "quantity", "to"}},
		{exchanged(domain.ReservationID{UUID: uuid.Max}, 1, domaintest.Want(domaintest.Offer, 0)), []string{"to[0].quantity"}},
		{domain.ReturnReservation{}, []string{"customerId", "reservationId", "quantity"}},
		{domain.RenewReservation{}, []string{"customerId", "reservationId"}},
		{domain.ChangeReservationScope{Scope: domain.Scope{Type: domain.Shared, SubscriptionID: domaintest.Subscription}}, []string{"customerId", "reservationId", "scope.subscriptionId"}},
		{domain.RenameReservation{}, []string{"customerId", "reservationId", "displayName"}},
		{renamed(domain.ReservationID{UUID: uuid.Max}, strings.Repeat("x", 257)), []string{"displayName"}},
		{domain.SplitReservation{Quantities: []int64{1, 0}}, []string{"customerId", "reservationId", "quantities[1]"}},
		{domain.SplitReservation{CustomerID: domaintest.Customer, ReservationID: domain.ReservationID{UUID: uuid.Max}, Quantities: []int64{1}}, []string{"quantities"}},
		{domain.MergeReservations{ReservationIDs: []domain.ReservationID{{UUID: uuid.Max}, {UUID: uuid.Max}}}, []string{"customerId", "reservationIds"}},
		{domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: domaintest.Customer, Product: domain.AzureSavingsPlan}, Note: domain.Note{Reason: strings.Repeat("x", 501)}}, []string{"reason"}},
	} {
		_, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, domaintest.Admin, c.command)
		require.ErrorIs(t, err, &domain.Error{Code: domain.CodeInvalid})
		var refusal *domain.Error
		require.ErrorAs(t, err, &refusal)
		var fields []string
		for _, f := range refusal.Fields {
			fields = append(fields, f.Field)
		}
		require.Equal(t, c.fields, fields, c.command.CommandName())
	}
}

func TestTimesOfDecisionsAreRecordedInUTC(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Now = b.Now.In(time.FixedZone("UTC+8", 8*60*60))
	bought := domaintest.One[domain.CustomerPurchasedReservation](t, b.Accepted(domaintest.Buyer, domaintest.Purchase(1)))
	require.Equal(t, time.UTC, bought.StartsAt.Location())
	require.Equal(t, time.UTC, b.Facts[len(b.Facts)-1].Time.Location())
}
