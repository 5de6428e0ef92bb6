package domain_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"permledger/domain"
	"permledger/domain/domaintest"
)

// reference re-decides S7 from the facts alone: a second, plain reading of the rule, as slow as it likes.
func reference(facts []domain.Fact, product domain.Product, customer domain.TenantID, billing domain.SubscriptionID, user domain.UserID) bool {
	permitted, active, owner := false, false, false
	for _, f := range facts {
		if f.Customer != customer {
			continue
		}
		switch e := f.Event.(type) {
		case domain.PurchasePermissionGranted:
			permitted = permitted || e.Product == product
		case domain.PurchasePermissionRevoked:
			permitted = permitted && e.Product != product
		case domain.SubscriptionRecorded:
			active = active || e.SubscriptionID == billing
		case domain.SubscriptionStatusChanged:
			if e.SubscriptionID == billing {
				active = e.Status == domain.Active
			}
		case domain.SubscriptionRoleAssigned:
			owner = owner || e.SubscriptionID == billing && e.UserID == user && e.Role == domain.Owner
		case domain.SubscriptionRoleRemoved:
			if e.SubscriptionID == billing && e.UserID == user && e.Role == domain.Owner {
				owner = false
			}
		default:
		}
	}
	return permitted && active && owner
}

func TestEveryPurchaseIsAcceptedExactlyWhenTheReferenceSaysSo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := domaintest.NewBook(t)
		before := 0
		domaintest.Play(rt, b, 60, func(s domaintest.Step, _ []domain.Event, err error) {
			if before == 0 {
				before = 2
			}
			prefix := b.Facts[:before]
			before = len(b.Facts)
			var product domain.Product
			var customer domain.TenantID
			var billing domain.SubscriptionID
			switch c := s.Command.(type) {
			case domain.PurchaseReservation:
				product, customer, billing = domain.AzureReservedInstances, c.CustomerID, c.SubscriptionID
			case domain.PurchaseSavingsPlan:
				product, customer, billing = domain.AzureSavingsPlan, c.CustomerID, c.SubscriptionID
			default:
				return
			}
			if s.Actor.Roles != domain.CustomerUser || s.Actor.Tenant != customer {
				return
			}
			allowed := reference(prefix, product, customer, billing, s.Actor.User)
			var refusal *domain.Error
			switch {
			case err == nil:
				require.True(t, allowed, "accepted, but the reference refuses")
			default:
				require.ErrorAs(t, err, &refusal)
				s7 := refusal.Code == domain.CodePermissionOff || refusal.Code == domain.CodeBillingInactive || refusal.Code == domain.CodeOwnerMissing
				require.Equal(t, !allowed, s7 || refusal.Code == domain.CodeTenantNotRegistered, "refused with %s", refusal.Code)
			}
		})
	})
}

func TestTheReferenceRefusesAPurchaseAfterOff(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	judge := func() bool {
		return reference(b.Facts, domain.AzureReservedInstances, domaintest.Customer, domaintest.Subscription, domaintest.Buyer.User)
	}
	require.True(t, judge())
	b.Given(domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
	require.False(t, judge())
}

func TestReplayingTheFactsGivesTheSameDecisions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := domaintest.NewBook(t)
		domaintest.Play(rt, b, 40, func(domaintest.Step, []domain.Event, error) {})
		replayed := domaintest.NewBook(t)
		for _, f := range b.Facts {
			name, version, data, err := domain.EncodeEvent(f.Event)
			require.NoError(t, err)
			f.Event, err = domain.DecodeEvent(name, version, data)
			require.NoError(t, err)
			replayed.Evolve(f)
		}
		replayed.Commit(uint64(len(b.Facts)))
		for _, c := range everyCommandFor(domaintest.Customer) {
			request, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, domaintest.Admin, c)
			require.NoError(t, err)
			facts, refusal := b.Decide(request, 1, b.Now)
			again, sameRefusal := replayed.Decide(request, 1, b.Now)
			require.Equal(t, facts, again)
			require.Equal(t, refusal, sameRefusal)
		}
	})
}

func TestADiscardedGroupLeavesNoTrace(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	head := b.Head()
	request, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, domaintest.Admin, domaintest.Revoke(domain.AzureReservedInstances))
	require.NoError(t, err)
	facts, err := b.Decide(request, head+1, b.Now)
	require.NoError(t, err)
	require.Len(t, facts, 1)
	b.Evolve(facts[0])
	require.True(t, verdict(t, b, domain.AzureReservedInstances).Allowed, "readers see what is stored, not what is pending")
	again, err := b.Decide(request, head+2, b.Now)
	require.NoError(t, err)
	require.Empty(t, again, "the next command of the group sees it")
	b.Discard()
	again, err = b.Decide(request, head+1, b.Now)
	require.NoError(t, err)
	require.Equal(t, facts, again)
	require.Equal(t, head, b.Head())
}

func TestAGroupIsDecidedOnTopOfTheSealedOneBeforeIt(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	head := b.Head()
	decide := func(c domain.Command, next uint64) []domain.Fact {
		request, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, domaintest.Admin, c)
		require.NoError(t, err)
		facts, err := b.Decide(request, next, b.Now)
		require.NoError(t, err)
		return facts
	}
	revoked := decide(domaintest.Revoke(domain.AzureReservedInstances), head+1)
	b.Evolve(revoked[0])
	b.Seal()
	require.Empty(t, decide(domaintest.Revoke(domain.AzureReservedInstances), head+2), "already so in the sealed group")
	granted := decide(domaintest.Grant(domain.AzureReservedInstances), head+2)
	b.Evolve(granted[0])
	b.Retract()
	require.Equal(t, granted, decide(domaintest.Grant(domain.AzureReservedInstances), head+2), "the sealed group stands when the next one is retracted")
	b.Evolve(granted[0])
	b.Commit(head + 1)
	require.False(t, verdict(t, b, domain.AzureReservedInstances).Allowed, "the sealed group alone is current")
	require.Equal(t, head+1, b.Head())
	b.Commit(head + 2)
	require.True(t, verdict(t, b, domain.AzureReservedInstances).Allowed)

	b.Evolve(decide(domaintest.Revoke(domain.AzureReservedInstances), head+3)[0])
	b.Seal()
	b.Evolve(decide(domaintest.Grant(domain.AzureSavingsPlan), head+4)[0])
	b.Discard()
	require.Empty(t, decide(domaintest.Grant(domain.AzureReservedInstances), head+3), "neither group is left")
	require.NotEmpty(t, decide(domaintest.Grant(domain.AzureSavingsPlan), head+3))
}

func TestQuantitiesAreNeitherMadeNorLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := domaintest.NewBook(t)
		held := make(map[domain.ReservationID]int64)
		domaintest.Play(rt, b, 60, func(_ domaintest.Step, events []domain.Event, _ error) {
			for _, e := range events {
				switch e := e.(type) {
				case domain.CustomerPurchasedReservation:
					held[e.ReservationID] = e.Quantity
				case domain.PartnerPurchasedReservation:
					held[e.ReservationID] = e.Quantity
				case domain.ReservationExchanged:
					held[e.ReservationID] -= e.Quantity
					for _, to := range e.To {
						held[to.ReservationID] = to.Quantity
					}
				case domain.ReservationReturned:
					held[e.ReservationID] -= e.Quantity
				case domain.ReservationSplit:
					require.Equal(t, held[e.ReservationID], e.Into[0].Quantity+e.Into[1].Quantity)
					held[e.ReservationID] = 0
					for _, p := range e.Into {
						held[p.ReservationID] = p.Quantity
					}
				case domain.ReservationsMerged:
					for _, id := range e.ReservationIDs {
						e.Into.Quantity -= held[id]
						held[e.Into.ReservationID] += held[id]
						held[id] = 0
					}
					require.Zero(t, e.Into.Quantity)
				default:
				}
			}
			for id, n := range held {
				require.GreaterOrEqual(t, n, int64(0), "reservation %s", id)
			}
		})
	})
}

func TestWhatAnEventWritesItselfIsWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "plain", `"`, "<&>", "台灣", "a\u2028b", "\xff"}))
		id := func(name string) uuid.UUID {
			return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, name))
		}
		at := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(0, 1<<35).Draw(rt, name), rapid.Int64Range(0, 999_999_999).Draw(rt, name)).UTC()
		}
		money := func(name string) domain.Money {
			m, err := domain.NewMoney(rapid.Int64().Draw(rt, name), rapid.SampledFrom([]domain.Currency{"USD", "JPY", "KWD"}).Draw(rt, name))
			require.NoError(rt, err)
			return rapid.SampledFrom([]domain.Money{{}, m}).Draw(rt, name)
		}
		bought := domain.Bought{
			OrderID: domain.OrderID{UUID: id("order")}, ReservationID: domain.ReservationID{UUID: id("reservation")}, SubscriptionID: domain.SubscriptionID{UUID: id("subscription")},
			Offer:  domain.Offer{SKU: text.Draw(rt, "sku"), Region: text.Draw(rt, "region"), Term: domain.OneYear, BillingPlan: domain.Monthly},
			Family: text.Draw(rt, "family"), Quantity: rapid.Int64().Draw(rt, "quantity"),
			Scope:       domain.Scope{Type: domain.Single, SubscriptionID: rapid.SampledFrom([]domain.SubscriptionID{{}, {UUID: id("scope")}}).Draw(rt, "scope")},
			DisplayName: text.Draw(rt, "name"), UnitPrice: money("unit"), Total: money("total"), WebDirectPrice: money("web"),
			BilledTo: domain.TenantID{UUID: id("partner")}, StartsAt: at("starts"), ExpiresAt: at("ends"),
		}
		user := rapid.SampledFrom([]domain.UserID{{}, {UUID: id("user")}}).Draw(rt, "user")
		var broke []domain.Reason
		for range rapid.IntRange(0, 2).Draw(rt, "broke") {
			broke = append(broke, domain.Reason{Rule: text.Draw(rt, "rule"), Code: domain.CodeOwnerMissing, Detail: text.Draw(rt, "detail")})
		}
		for _, e := range []domain.Event{
			domain.CustomerPurchasedReservation{Bought: bought, UserID: user, UserPrincipalName: text.Draw(rt, "upn"), PurchasedAt: at("bought"), Reported: rapid.Bool().Draw(rt, "reported"), Authorised: rapid.Bool().Draw(rt, "authorised"), Broke: broke},
			domain.PartnerPurchasedReservation{Bought: bought, UserID: user, UserPrincipalName: text.Draw(rt, "upn"), PurchasedAt: at("bought")},
		} {
			_, _, data, err := domain.EncodeEvent(e)
			require.NoError(rt, err)
			want, err := json.Marshal(e)
			require.NoError(rt, err)
			require.Equal(rt, string(want), string(data))
			sameAsEncodingJSON(rt, e, data)
			cut := rapid.IntRange(0, len(data)-1).Draw(rt, "cut")
			piece := rapid.SampledFrom([]string{"", `"`, "}", "{", "0", "-", " ", `\\`, ",", "null", "1.5", "x"}).Draw(rt, "piece")
			sameAsEncodingJSON(rt, e, []byte(string(data[:cut])+piece+string(data[min(len(data), cut+rapid.IntRange(0, 3).Draw(rt, "length")):])))
		}
	})
}

// sameAsEncodingJSON decodes bytes as an event is decoded and as encoding/json does; both must agree.
func sameAsEncodingJSON(rt *rapid.T, like domain.Event, data []byte) {
	got, err := domain.DecodeEvent(like.EventType(), 1, data)
	into := reflect.New(reflect.TypeOf(like))
	slow := json.Unmarshal(data, into.Interface())
	require.Equal(rt, slow == nil, err == nil, "%s", data)
	if err == nil {
		require.Equal(rt, into.Elem().Interface(), got, "%s", data)
	}
}
