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
	"permledger/handlers/gate"
	"permledger/handlers/problem"
)

// test is a test event that a partner had sent, and what became of it.
type test struct {
	ID       uuid.UUID       `json:"correlationId"`
	Partner  domain.TenantID `json:"partnerId"`
	Status   string          `json:"status"` // completed or failed
	Callback string          `json:"callbackUrl"`
	Results  []testResult    `json:"results"`

	at time.Time
}

// testResult is one attempt to deliver a test event.
type testResult struct {
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
	list = append(list, test{ID: id, Partner: partner, Status: "inProgress", Callback: callback, Results: []testResult{}, at: now})
	t.by[partner] = list[max(0, len(list)-maxTests):]
	return id, nil
}

func (t *tests) end(partner domain.TenantID, id uuid.UUID, status string, result testResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.by[partner] {
		if one := &t.by[partner][i]; one.ID == id {
			one.Status, one.Results = status, []testResult{result}
		}
	}
}

func (t *tests) find(partner domain.TenantID, id string) (test, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.by[partner], func(one test) bool { return strings.EqualFold(one.ID.String(), id) })
	if i < 0 {
		return test{}, false
	}
	return t.by[partner][i], true
}

// test sends a test event, once, and answers with the id under which its state can be asked for.
func (w *Webhooks) test(r *http.Request, v gate.View) (any, error) {
	hook, err := w.hookOf(v)
	switch {
	case err != nil:
		return nil, err
	case !w.delivers():
		return nil, notHere()
	case !hook.Wants(domain.TestCreated):
		return nil, problem.Refuse(problem.CodeInvalidRequest, "The webhook is not registered for test-created. Register it for that event first.")
	}
	id, err := w.tests.begin(v.Actor.Tenant, hook.URL)
	if err != nil {
		return nil, err
	}
	status, result := w.attempt(r.Context(), hook, id)
	w.tests.end(v.Actor.Tenant, id, status, result)
	return map[string]uuid.UUID{"correlationId": id}, nil
}

func (w *Webhooks) attempt(ctx context.Context, hook domain.Webhook, id uuid.UUID) (string, testResult) {
	now := w.options.clock.now().UTC()
	code, err := w.sender.send(ctx, hook.URL, notice{
		id: id, event: domain.TestCreated, at: now, correlation: id.String(),
		resource: w.options.PublicURL + "/webhooks/v1/registration/validationEvents/" + id.String(),
	})
	result := testResult{At: now.Format("2006-01-02T15:04:05.0000000"), SystemError: err != nil}
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

func (w *Webhooks) tested(r *http.Request, v gate.View) (any, error) {
	one, known := w.tests.find(v.Actor.Tenant, r.PathValue("id"))
	if !known {
		return nil, problem.Refuse(domain.CodeNotFound, "No test event is known by this id. They are remembered for a while, by the server that sent them.")
	}
	return one, nil
}
