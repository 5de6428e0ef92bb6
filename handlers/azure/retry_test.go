package azure_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/reservations/armreservations/v3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/handlers/body"
)

// losing loses the answer to the first request that changes something.
type losing struct {
	inner http.RoundTripper
	lost  atomic.Bool
}

// Do implements policy.Transporter.
func (l *losing) Do(r *http.Request) (*http.Response, error) {
	answer, err := l.inner.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet || l.lost.Swap(true) {
		return answer, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return nil, errors.Join(errors.New("the connection was cut"), err, answer.Body.Close())
}

// unlucky makes Azure's own clients for somebody who loses an answer.
func unlucky(t *testing.T, p person) (*armreservations.ClientFactory, *losing) {
	t.Helper()
	options, cut := at(server.URL), &losing{inner: transport}
	options.Transport, options.Retry.RetryDelay = cut, time.Millisecond
	factory, err := armreservations.NewClientFactory(bearer(p.token), options)
	require.NoError(t, err)
	return factory, cut
}

func TestWhatAClientSendsAgainByItselfHappensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant()
	order, reservation := w.buy(w.admin, 9)
	for name, try := range map[string]func(*armreservations.ClientFactory) error{
		"a purchase": func(f *armreservations.ClientFactory) error {
			_, err := done(f.NewReservationOrderClient().BeginPurchase(t.Context(), uuid.NewString(), w.wants(1), nil))
			return err
		},
		"a return": func(f *armreservations.ClientFactory) error {
			quote, err := clients(t, w.admin).NewCalculateRefundClient().Post(t.Context(), order, quoteRequest(order, reservation, 1), nil)
			require.NoError(t, err)
			_, err = done(f.NewReturnClient().BeginPost(t.Context(), order, returnRequest(order, reservation, 1, *quote.Properties.SessionID), nil))
			return err
		},
		"an exchange": func(f *armreservations.ClientFactory) error {
			quote, err := done(clients(t, w.admin).NewCalculateExchangeClient().BeginPost(t.Context(), w.exchangeFor(order, reservation, 1), nil))
			require.NoError(t, err)
			_, err = done(f.NewExchangeClient().BeginPost(t.Context(), session(quote.Properties.SessionID), nil))
			return err
		},
		"a split": func(f *armreservations.ClientFactory) error {
			whole, half := w.buy(w.admin, 2)
			_, err := done(f.NewReservationClient().BeginSplit(t.Context(), whole, armreservations.SplitRequest{Properties: &armreservations.SplitProperties{
				ReservationID: new(reservationPath(whole, half)), Quantities: []*int32{new(int32(1)), new(int32(1))},
			}}, nil))
			return err
		},
	} {
		client, cut := unlucky(t, w.admin)
		before, _ := w.recorded()
		require.NoError(t, try(client), name)
		require.True(t, cut.lost.Load(), name)
		after, _ := w.recorded()
		if name == "a split" {
			before++ // the purchase of what is split
		}
		require.Equal(t, before+1, after, name)
	}
}

func TestABodyOfUnknownLengthIsReadToItsLimitOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for size, status := range map[int]int{body.Max: http.StatusOK, body.Max + 1: http.StatusRequestEntityTooLarge} {
		body := w.purchaseText() + strings.Repeat(" ", size-len(w.purchaseText()))
		a := send(t, shared, http.MethodPut, "/providers/Microsoft.Capacity/reservationOrders/"+uuid.NewString()+version, w.admin.token, io.MultiReader(strings.NewReader(body)))
		require.Equal(t, status, a.status, "%s", a.body)
	}
}
