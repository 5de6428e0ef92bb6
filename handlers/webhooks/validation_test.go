package webhooks

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
	"permledger/handlers/partnercenter/wire"
	"permledger/handlers/problem"
)

// test sends the partner's webhook a test event.
func (w *world) test() (uuid.UUID, error) {
	hook, _ := w.ledger.Book().Webhook(cast.Partner)
	return w.Test(w.t.Context(), cast.Partner, hook)
}

func TestATestEventIsSentOnceAndItsStateRemembered(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.TestCreated)
	id, err := w.test()
	require.NoError(t, err)
	d := r.next()
	require.Equal(t, "test-created", d.event())
	require.Equal(t, "test", d.body["ResourceName"])
	require.Equal(t, w.door.URL+wire.TestEventsPath+id.String(), d.body["ResourceUri"])
	require.Nil(t, d.body["AuditUri"])
	require.Equal(t, id.String(), d.header.Get("MS-CorrelationId"))
	verified(t, d)
	state, known := w.Tested(cast.Partner, id)
	require.True(t, known)
	require.Equal(t, []string{"completed", r.url, "OK"}, []string{state.Status, state.Callback, state.Results[0].ResponseCode})
	_, known = w.Tested(cast.Rival, id)
	require.False(t, known, "each partner has its own")

	r.answers(func(delivery) int { return http.StatusInternalServerError })
	id, err = w.test()
	require.NoError(t, err)
	r.next()
	state, _ = w.Tested(cast.Partner, id)
	require.Equal(t, []string{"failed", "InternalServerError"}, []string{state.Status, state.Results[0].ResponseCode})
	r.nothingMore()
}

func TestTwoTestEventsAMinuteAreSent(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.hook(r.url, domain.TestCreated)
	for range testsAMinute {
		_, err := w.test()
		require.NoError(t, err)
		r.next()
	}
	_, err := w.test()
	p := problem.Of(err)
	require.Equal(t, problem.CodeRateLimited, p.Code)
	require.Positive(t, p.Retry)
	r.nothingMore()
	w.hands.mu.Lock()
	w.hands.ahead = time.Minute
	w.hands.mu.Unlock()
	_, err = w.test()
	require.NoError(t, err)
	r.next()
}

func TestATestSaysWhyThereWasNoAnswerWithoutTellingOfTheNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Reach = Reach{} })
	w.hook("https://localhost:1/in", domain.TestCreated)
	id, err := w.test()
	require.NoError(t, err)
	state, _ := w.Tested(cast.Partner, id)
	result := state.Results[0]
	require.Equal(t, []any{"", errOutOfReach.Error(), true}, []any{result.ResponseCode, result.ResponseMessage, result.SystemError})
}

func TestANodeWithoutADirectoryDeliversNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Dir = "" })
	w.hook("https://hooks.example/in", domain.PurchaseCreated)
	require.False(t, w.Delivers())
	require.NoError(t, w.Run(t.Context()))
}
