package azure_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/reservations/armreservations/v3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

// units are so many of a reservation.
func units(order, reservation string, quantity int32) *armreservations.ReservationToReturn {
	return &armreservations.ReservationToReturn{ReservationID: new(reservationPath(order, reservation)), Quantity: new(quantity)}
}

func quoteRequest(order, reservation string, quantity int32) armreservations.CalculateRefundRequest {
	return armreservations.CalculateRefundRequest{
		ID: new("/providers/Microsoft.Capacity/reservationOrders/" + order),
		Properties: &armreservations.CalculateRefundRequestProperties{
			Scope: new("Reservation"), ReservationToReturn: units(order, reservation, quantity),
		},
	}
}

func returnRequest(order, reservation string, quantity int32, session string) armreservations.RefundRequest {
	return armreservations.RefundRequest{Properties: &armreservations.RefundRequestProperties{
		Scope: new("Reservation"), ReservationToReturn: units(order, reservation, quantity),
		SessionID: new(session), ReturnReason: new("PurchasedWrongProduct"),
	}}
}

func TestAReturnRefundsWhatWasQuoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	order, reservation := w.buy(w.buyer, 3)
	agent := clients(t, w.admin)
	quote, err := agent.NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 2), nil)
	require.NoError(t, err)
	q := quote.Properties
	require.Equal(t, int32(2), *q.Quantity)
	require.InDelta(t, 1038.00, *q.BillingRefundAmount.Amount, 0)
	require.InDelta(t, 1038.00, *q.BillingInformation.BillingCurrencyTotalPaidAmount.Amount, 0)
	require.InDelta(t, 0, *q.BillingInformation.BillingCurrencyProratedAmount.Amount, 0)
	require.InDelta(t, 0, *q.BillingInformation.BillingCurrencyRemainingCommitmentAmount.Amount, 0)
	require.Equal(t, int32(1), *q.BillingInformation.TotalTransactions)
	require.Equal(t, int32(1), *q.BillingInformation.CompletedTransactions)

	request := returnRequest(order, reservation, 2, *q.SessionID)
	_, err = done(clients(t, w.buyer).NewReturnClient().BeginPost(t.Context(), order, request, nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	_, err = clients(t, w.buyer).NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 2), nil)
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	_, err = clients(t, w.sales).NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 2), nil)
	refused(t, err, http.StatusForbidden, "AuthorizationFailed")

	for range 2 {
		returned, err := done(agent.NewReturnClient().BeginPost(t.Context(), order, request, nil))
		require.NoError(t, err, "sent again it gets the same answer")
		require.Equal(t, order, *returned.Name)
	}
	left, err := agent.NewReservationClient().Get(t.Context(), order, reservation, nil)
	require.NoError(t, err)
	require.Equal(t, int32(1), *left.Properties.Quantity, "one effect")

	quote, err = agent.NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 1), nil)
	require.NoError(t, err)
	_, err = done(agent.NewReturnClient().BeginPost(t.Context(), order, returnRequest(order, reservation, 1, *quote.Properties.SessionID), nil))
	require.NoError(t, err)
	over, err := agent.NewReservationOrderClient().Get(t.Context(), order, nil)
	require.NoError(t, err)
	require.Equal(t, armreservations.ProvisioningStateCancelled, *over.Properties.ProvisioningState)
	_, err = agent.NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 1), nil)
	refused(t, err, http.StatusConflict, "OperationCannotBePerformedInCurrentState")
}

func TestARefundOfMonthlyPaymentsSaysWhatIsPaidAndWhatIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order := uuid.NewString()
	wants := w.wants(1)
	wants.Properties.BillingPlan = new(armreservations.ReservationBillingPlanMonthly)
	agent := clients(t, w.admin)
	bought, err := done(agent.NewReservationOrderClient().BeginPurchase(t.Context(), order, wants, nil))
	require.NoError(t, err)
	path := *bought.Properties.Reservations[0].ID
	quote, err := agent.NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, path[strings.LastIndex(path, "/")+1:], 1), nil)
	require.NoError(t, err)
	b := quote.Properties.BillingInformation
	require.Equal(t, int32(12), *b.TotalTransactions)
	require.Equal(t, int32(1), *b.CompletedTransactions)
	require.InDelta(t, 43.25, *b.BillingCurrencyTotalPaidAmount.Amount, 0)
	require.InDelta(t, 475.75, *b.BillingCurrencyRemainingCommitmentAmount.Amount, 0)
	require.InDelta(t, 43.25, *quote.Properties.BillingRefundAmount.Amount, 0)
}

func TestAQuoteThatNoLongerHoldsIsNotExecuted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 3)
	agent := clients(t, w.admin)
	quote, err := agent.NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 1), nil)
	require.NoError(t, err)
	session := *quote.Properties.SessionID
	content, err := base64.RawURLEncoding.DecodeString(session)
	require.NoError(t, err)
	changed := func(old, with string) string {
		require.Contains(t, string(content), old)
		return base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(content), old, with, 1)))
	}
	year := time.Now().UTC().Format("2006-")
	for name, c := range map[string]struct {
		session  string
		quantity int32
		status   int
		code     string
	}{
		"of other amounts":        {changed("519.00", "518.00"), 1, 409, "OperationCannotBePerformedInCurrentState"},
		"of last year":            {changed(`"at":"`+year, `"at":"2001-`), 1, 409, "OperationCannotBePerformedInCurrentState"},
		"for another quantity":    {session, 2, 400, "InvalidRequestContent"},
		"for another reservation": {changed(reservation, uuid.NewString()), 1, 400, "InvalidRequestContent"},
		"of an exchange":          {changed(`"quoted"`, `"to":[{"sku":"x"}],"quoted"`), 1, 400, "InvalidRequestContent"},
		"that is none":            {"10000000-aaaa-bbbb-cccc-200000000000", 1, 400, "InvalidRequestContent"},
		"that is missing":         {"", 1, 400, "InvalidRequestContent"},
	} {
		_, err := done(agent.NewReturnClient().BeginPost(t.Context(), order, returnRequest(order, reservation, c.quantity, c.session), nil))
		refused(t, err, c.status, c.code)
		t.Log(name)
	}
	left, err := agent.NewReservationClient().Get(t.Context(), order, reservation, nil)
	require.NoError(t, err)
	require.Equal(t, int32(3), *left.Properties.Quantity, "nothing was returned")
}

func TestRefundsKeepToTheirRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.price("Standard_E64s_v5", domain.OneYear, domain.Upfront, "30000.00")
	wants := w.wants(2)
	wants.SKU.Name = new("Standard_E64s_v5")
	order := uuid.NewString()
	agent := clients(t, w.admin)
	bought, err := done(agent.NewReservationOrderClient().BeginPurchase(t.Context(), order, wants, nil))
	require.NoError(t, err)
	path := *bought.Properties.Reservations[0].ID
	reservation := path[strings.LastIndex(path, "/")+1:]
	for quantity, code := range map[int32]string{2: "RefundLimitExceeded", 3: "InvalidRefundQuantity", 0: "InvalidRefundQuantity", -1: "InvalidRefundQuantity"} {
		_, err := agent.NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, quantity), nil)
		refused(t, err, http.StatusBadRequest, code)
	}

	unpriced := w.must(w.admin, domain.ReportCustomerPurchase{
		CustomerID: w.customer, UserID: w.buyer.User, UserPrincipalName: w.buyer.UPN, PurchasedAt: time.Now().Add(-time.Hour),
		Wanted: domain.Wanted{
			SubscriptionID: w.subscription, Quantity: 1, Scope: domain.Scope{Type: domain.Shared},
			Offer: domain.Offer{SKU: "Standard_F2s_v2", Region: "eastus", Term: domain.OneYear, BillingPlan: domain.Upfront},
		},
	}).CommandID
	_, err = agent.NewCalculateRefundClient().Post(t.Context(), unpriced.Order(w.admin.Actor.Tenant).String(), quoteRequest(unpriced.Order(w.admin.Actor.Tenant).String(), unpriced.Reservation(w.admin.Actor.Tenant, 0).String(), 1), nil)
	refused(t, err, http.StatusBadRequest, "SelfServiceRefundNotSupported")
}
