package azure_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/reservations/armreservations/v3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

// exchangeFor asks for one unit of a reservation to be exchanged for others of three years.
func (w *world) exchangeFor(order, reservation string, quantity int32) armreservations.CalculateExchangeRequest {
	wants := w.wants(quantity)
	wants.Properties.Term = new(armreservations.ReservationTermP3Y)
	return armreservations.CalculateExchangeRequest{Properties: &armreservations.CalculateExchangeRequestProperties{
		ReservationsToExchange: []*armreservations.ReservationToReturn{units(order, reservation, 1)},
		ReservationsToPurchase: []*armreservations.PurchaseRequest{&wants},
	}}
}

func session(id *string) armreservations.ExchangeRequest {
	return armreservations.ExchangeRequest{Properties: &armreservations.ExchangeRequestProperties{SessionID: id}}
}

func TestAnExchangeComesToWhatWasQuoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	order, reservation := w.buy(w.buyer, 2)
	agent := clients(t, w.admin)
	quote, err := done(agent.NewCalculateExchangeClient().BeginPost(t.Context(), w.exchangeFor(order, reservation, 1), nil))
	require.NoError(t, err)
	require.Equal(t, armreservations.CalculateExchangeOperationResultStatusSucceeded, *quote.Status)
	q := quote.Properties
	require.InDelta(t, 519.00, *q.RefundsTotal.Amount, 0)
	require.InDelta(t, 1400.00, *q.PurchasesTotal.Amount, 0)
	require.InDelta(t, 881.00, *q.NetPayable.Amount, 0)
	require.InDelta(t, 519.00, *q.ReservationsToExchange[0].BillingRefundAmount.Amount, 0)
	require.InDelta(t, 1400.00, *q.ReservationsToPurchase[0].BillingCurrencyTotal.Amount, 0)
	require.Equal(t, armreservations.ReservationTermP3Y, *q.ReservationsToPurchase[0].Properties.Properties.Term)

	_, err = done(clients(t, w.buyer).NewCalculateExchangeClient().BeginPost(t.Context(), w.exchangeFor(order, reservation, 1), nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")
	_, err = done(clients(t, w.buyer).NewExchangeClient().BeginPost(t.Context(), session(q.SessionID), nil))
	require.Contains(t, refused(t, err, http.StatusForbidden, "Forbidden"), "Ask Fabrikam")

	var first armreservations.ExchangeClientPostResponse
	for i := range 2 {
		exchanged, err := done(agent.NewExchangeClient().BeginPost(t.Context(), session(q.SessionID), nil))
		require.NoError(t, err, "sent again it gets the same answer")
		require.Equal(t, armreservations.ExchangeOperationResultStatusSucceeded, *exchanged.Status)
		if i == 0 {
			first = exchanged
		}
		require.Equal(t, first, exchanged)
	}
	bought := first.Properties.ReservationsToPurchase[0]
	require.Equal(t, armreservations.OperationStatusSucceeded, *bought.Status)
	require.True(t, strings.HasPrefix(*bought.ReservationID, *bought.ReservationOrderID+"/reservations/"))
	name := (*bought.ReservationOrderID)[strings.LastIndex(*bought.ReservationOrderID, "/")+1:]
	got, err := clients(t, w.buyer).NewReservationOrderClient().Get(t.Context(), name, nil)
	require.NoError(t, err)
	require.Equal(t, armreservations.ReservationTermP3Y, *got.Properties.Term)
	left, err := agent.NewReservationClient().Get(t.Context(), order, reservation, nil)
	require.NoError(t, err)
	require.Equal(t, int32(1), *left.Properties.Quantity)
	require.Len(t, w.orders(w.admin), 2, "one effect")
}

func TestAnExchangeIsCalculatedAgainWhenAPriceHasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	order, reservation := w.buy(w.admin, 1)
	agent := clients(t, w.admin)
	quote, err := done(agent.NewCalculateExchangeClient().BeginPost(t.Context(), w.exchangeFor(order, reservation, 1), nil))
	require.NoError(t, err)
	w.price("Standard_D2s_v5", domain.ThreeYears, domain.Upfront, "1500.00")
	_, err = done(agent.NewExchangeClient().BeginPost(t.Context(), session(quote.Properties.SessionID), nil))
	require.Contains(t, refused(t, err, http.StatusConflict, "OperationCannotBePerformedInCurrentState"), "Calculate again")
	require.Len(t, w.orders(w.admin), 1)

	rival := newWorld(t)
	_, err = done(clients(t, rival.admin).NewExchangeClient().BeginPost(t.Context(), session(quote.Properties.SessionID), nil))
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
}

func TestAnExchangeKeepsToItsRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.price("SQLDB_vCore", domain.ThreeYears, domain.Upfront, "9000.00")
	w.price("Standard_B1s", domain.ThreeYears, domain.Upfront, "1.00")
	order, reservation := w.buy(w.admin, 1)
	for name, c := range map[string]struct {
		change func(*armreservations.CalculateExchangeRequestProperties)
		code   string
	}{
		"another family": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToPurchase[0].SKU.Name = new("SQLDB_vCore")
		}, "BadRequest"},
		"less": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToPurchase[0].SKU.Name = new("Standard_B1s")
		}, "BadRequest"},
		"without a price": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToPurchase[0].SKU.Name = new("Standard_X1")
		}, "CalculatePriceFailed"},
		"too many units": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToExchange[0].Quantity = new(int32(2))
		}, "InvalidRefundQuantity"},
		"two reservations": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToExchange = append(p.ReservationsToExchange, p.ReservationsToExchange[0])
		}, "BadRequest"},
		"nothing given back": {func(p *armreservations.CalculateExchangeRequestProperties) { p.ReservationsToExchange = nil }, "BadRequest"},
		"nothing bought":     {func(p *armreservations.CalculateExchangeRequestProperties) { p.ReservationsToPurchase = nil }, "InvalidRequestContent"},
		"a savings plan": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.SavingsPlansToPurchase = []*armreservations.SavingsPlanPurchaseRequest{{}}
		}, "BadRequest"},
		"a term there is none": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToPurchase[0].Properties.Term = new(armreservations.ReservationTerm("P2Y"))
		}, "UnsupportedReservationTerm"},
		"with renewal": {func(p *armreservations.CalculateExchangeRequestProperties) {
			p.ReservationsToPurchase[0].Properties.Renew = new(true)
		}, "BadRequest"},
	} {
		request := w.exchangeFor(order, reservation, 1)
		c.change(request.Properties)
		_, err := done(clients(t, w.admin).NewCalculateExchangeClient().BeginPost(t.Context(), request, nil))
		t.Log(name)
		refused(t, err, http.StatusBadRequest, c.code)
	}
	_, err := done(clients(t, w.admin).NewCalculateExchangeClient().BeginPost(t.Context(), w.exchangeFor(order, uuid.NewString(), 1), nil))
	refused(t, err, http.StatusNotFound, "ResourceNotFound")
}
