package domain

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhatIsHashedOfACommandIsWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		id := func(label string) uuid.UUID {
			return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, label))
		}
		maybe := func(label string) (u uuid.UUID) {
			if rapid.Bool().Draw(rt, "with "+label) {
				u = id(label)
			}
			return u
		}
		text := rapid.String()
		actor := Actor{Tenant: TenantID{id("tenant")}, User: UserID{maybe("user")}}
		command := PurchaseReservation{
			CustomerID: TenantID{id("customer")},
			Wanted: Wanted{
				SubscriptionID: SubscriptionID{id("subscription")},
				Offer:          Offer{SKU: text.Draw(rt, "sku"), Region: text.Draw(rt, "region"), Term: OneYear, BillingPlan: Monthly},
				Quantity:       rapid.Int64().Draw(rt, "quantity"), DisplayName: text.Draw(rt, "name"),
				Scope: Scope{Type: Single, SubscriptionID: SubscriptionID{maybe("scope")}},
			},
			OrderID: OrderID{maybe("order")}, Note: Note{Reason: text.Draw(rt, "reason")},
		}
		written, err := content(nil, actor, command)
		require.NoError(rt, err)
		expected, err := json.Marshal(struct {
			Name    string   `json:"name"`
			Tenant  TenantID `json:"tenant"`
			User    UserID   `json:"user"`
			Command Command  `json:"command"`
		}{command.CommandName(), actor.Tenant, actor.User, command})
		require.NoError(rt, err)
		require.Equal(rt, string(expected), string(written))
	})
}

func TestDerivedIDsAreThoseOfRFC9562(t *testing.T) {
	t.Parallel()
	space := uuid.MustParse("0431a72c-7d8a-4393-b25e-ef63f5efb415")
	sender := TenantID{uuid.MustParse("5d0b3f0e-6f0c-4d7a-9a57-5f3c3bb0a9a4")}
	name := func(of string) []byte { return append(sender.UUID[:], of...) }
	require.Equal(t, uuid.NewSHA1(space, name("order/0")), CommandID{space}.Order(sender).UUID)
	require.Equal(t, uuid.NewSHA1(space, name("reservation/12")), CommandID{space}.Reservation(sender, 12).UUID)
}
