package webhooks

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/partnercenter/wire"
	"permledger/handlers/problem"
)

// TestState is what became of a test event.
type TestState struct {
	Status   string       `json:"status"` // inProgress, completed or failed
	Callback string       `json:"callbackUrl"`
	Results  []TestResult `json:"results"`
}

// TestResult is one attempt to deliver a test event.
type TestResult struct {
	ResponseCode    string `json:"responseCode"` // name of the status of the answer; empty where there was none
	ResponseMessage string `json:"responseMessage"`
	SystemError     bool   `json:"systemError"` // the attempt failed on this side
	At              string `json:"dateTimeUtc"`
}

// tests remembers the newest test events of each partner, until the server stops.
type tests struct {
	now func() time.Time

	mu sync.Mutex
	by map[domain.TenantID][]test // oldest first; guarded by mu
}

type test struct {
	id    uuid.UUID
	at    time.Time
	state TestState
}

func newTests(now func() time.Time) *tests {
	return &tests{now: now, by: make(map[domain.TenantID][]test)}
}

// begin notes a new test event, unless the partner has sent as many as it may in a minute.
func (t *tests) begin(partner domain.TenantID, callback string) (uuid.UUID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list, now := t.by[partner], t.now()
	if n := len(list); n >= testsAMinute && now.Sub(list[n-testsAMinute].at) < time.Minute {
		return uuid.Nil, &problem.Error{Code: problem.CodeRateLimited, Retry: time.Minute - now.Sub(list[n-testsAMinute].at), Detail: "Too many test events."}
	}
	id := uuid.New()
	list = append(list, test{id: id, at: now, state: TestState{Status: "inProgress", Callback: callback, Results: []TestResult{}}})
	t.by[partner] = list[max(0, len(list)-maxTests):]
	return id, nil
}

func (t *tests) end(partner domain.TenantID, id uuid.UUID, status string, result TestResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.by[partner] {
		if one := &t.by[partner][i]; one.id == id {
			one.state.Status, one.state.Results = status, []TestResult{result}
		}
	}
}

// Test sends a partner's webhook a test event, once, and gives the id under which its state is remembered. A partner
// that has sent as many as it may is refused as too many requests.
func (w *Webhooks) Test(ctx context.Context, partner domain.TenantID, hook domain.Webhook) (uuid.UUID, error) {
	id, err := w.tests.begin(partner, hook.URL)
	if err != nil {
		return uuid.Nil, err
	}
	status, result := w.attempt(ctx, hook, id)
	w.tests.end(partner, id, status, result)
	return id, nil
}

// Tested gives the state of a partner's test event, while it is remembered.
func (w *Webhooks) Tested(partner domain.TenantID, id uuid.UUID) (state TestState, known bool) {
	w.tests.mu.Lock()
	defer w.tests.mu.Unlock()
	list := w.tests.by[partner]
	i := slices.IndexFunc(list, func(one test) bool { return one.id == id })
	if i < 0 {
		return TestState{}, false
	}
	return list[i].state, true
}

func (w *Webhooks) attempt(ctx context.Context, hook domain.Webhook, id uuid.UUID) (string, TestResult) {
	now := w.options.clock.now().UTC()
	code, err := w.sender.send(ctx, hook.URL, notice{
		id: id, event: domain.TestCreated, at: now, correlation: id.String(),
		resource: w.options.PublicURL + wire.TestEventsPath + id.String(),
	})
	result := TestResult{At: now.Format("2006-01-02T15:04:05.0000000"), SystemError: err != nil}
	if err != nil {
		result.ResponseMessage = wordsFor(err)
		return "failed", result
	}
	result.ResponseCode = strings.NewReplacer(" ", "", "-", "", "'", "").Replace(http.StatusText(code))
	if code/100 != 2 {
		return "failed", result
	}
	return "completed", result
}

// wordsFor says why there was no answer, without telling what the network around this server looks like.
func wordsFor(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errOutOfReach):
		return errOutOfReach.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + attemptTimeout.String()
	default:
		return "no connection"
	}
}
