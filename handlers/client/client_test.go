package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/client"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inProcess is a client of a new ledger in this process.
func inProcess(t *testing.T) *client.Client {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Found: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	key, err := auth.OpenDev(dir)
	require.NoError(t, err)
	token, err := key.Mint(auth.Token{Tenant: domain.TenantID{UUID: uuid.New()}, User: domain.UserID{UUID: uuid.New()}, Roles: domain.AdminAgent})
	require.NoError(t, err)
	c, err := client.New("http://in-process", token, client.InProcess(handlers.New(l, key, handlers.Options{})))
	require.NoError(t, err)
	return c
}

func count[T any](t *testing.T, rows iter.Seq2[T, error]) (n int) {
	t.Helper()
	for _, err := range rows {
		require.NoError(t, err)
		n++
	}
	return n
}

func command(t *testing.T, c *client.Client, name string, body any, o client.CommandOptions) (client.Answer, error) {
	t.Helper()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	return c.Command(t.Context(), name, data, o)
}

func TestAClientWorksOnAHandlerOfItsOwnProcess(t *testing.T) {
	t.Parallel()
	c := inProcess(t)
	_, err := command(t, c, "RegisterPartner", map[string]string{"name": "Fabrikam", "country": "TW", "currency": "USD"}, client.CommandOptions{})
	require.NoError(t, err)
	var ids []domain.TenantID
	var last client.Answer
	for i := range 7 {
		id := domain.TenantID{UUID: uuid.New()}
		ids = append(ids, id)
		last, err = command(t, c, "RegisterCustomer", map[string]any{"customerId": id, "companyName": fmt.Sprint("Company ", i), "domain": "d.example"}, client.CommandOptions{})
		require.NoError(t, err)
		require.Len(t, last.Events, 1)
	}
	ctx := client.At(t.Context(), last.Position)
	var seen []domain.TenantID
	for row, err := range c.Customers(ctx, url.Values{"limit": {"3"}}) {
		require.NoError(t, err)
		seen = append(seen, row.CustomerID)
	}
	require.ElementsMatch(t, ids, seen)
	for row, err := range c.Rows(ctx, "/api/customers", nil) {
		require.NoError(t, err)
		require.True(t, json.Valid(row))
		break // the caller may stop at any time
	}
	var positions []uint64
	for e, err := range c.Events(ctx, 0, url.Values{"limit": {"2"}}) {
		require.NoError(t, err)
		positions = append(positions, e.Position)
	}
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7, 8}, positions)

	v, err := c.Check(ctx, ids[0], domain.AzureReservedInstances, domain.UserID{UUID: uuid.New()}, domain.SubscriptionID{UUID: uuid.New()})
	require.NoError(t, err)
	require.False(t, v.Allowed)
	require.Equal(t, "S7", v.Reasons[0].Rule)
	for p, err := range c.Permissions(ctx, ids[0], nil) {
		require.NoError(t, err)
		require.False(t, p.Allowed)
	}
	require.Equal(t, 8, count(t, c.Activity(ctx, domain.TenantID{}, nil)))
	require.Equal(t, 1, count(t, c.Activity(ctx, ids[0], nil)))
	require.Zero(t, count(t, c.Subscriptions(ctx, ids[0], nil)))
	require.Zero(t, count(t, c.Prices(ctx, ids[0], nil)))
	require.Zero(t, count(t, c.Orders(ctx, ids[0], nil))+count(t, c.Orders(ctx, domain.TenantID{}, nil)))
	require.Zero(t, count(t, c.Reservations(ctx, domain.TenantID{}, url.Values{"state": {"active"}})))
	for _, err := range c.Orders(ctx, domain.TenantID{UUID: uuid.New()}, nil) {
		require.Equal(t, client.Refused, client.KindOf(err), "the iterator ends with the error")
	}
	outcome, err := c.Outcome(ctx, last.CommandID)
	require.NoError(t, err)
	require.Equal(t, "RegisterCustomer", outcome.Command)

	_, err = command(t, c, "RegisterCustomer", map[string]any{"customerId": ids[0]}, client.CommandOptions{})
	require.Equal(t, client.Refused, client.KindOf(err))
	require.ErrorContains(t, err, "companyName is required")
	dry, err := command(t, c, "GrantPurchasePermission", map[string]any{"customerId": ids[0], "product": "AzureReservedInstances"}, client.CommandOptions{DryRun: true})
	require.Equal(t, client.Refused, client.KindOf(err))
	require.NotZero(t, dry.CommandID)
	_, err = command(t, c, "RegisterCustomer", map[string]any{"customerId": ids[0], "companyName": "Other", "domain": "o.example"}, client.CommandOptions{Expected: 1})
	require.Equal(t, client.Refused, client.KindOf(err))
}

// script is a server that answers from a list, and keeps what it was sent.
type script struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter)
	keys    []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	next := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	next(w)
}

func refuse(status int, code domain.Code, retryAfter string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Content-Type", problem.ContentType)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(problem.Document{Code: code, Status: status, Detail: "detail", RequestID: "r"})
	}
}

func done(w http.ResponseWriter) {
	_, _ = w.Write([]byte(`{"position":7,"commandId":"0431a72c-7d8a-4393-b25e-ef63f5efb415","events":[]}`))
}

func scripted(t *testing.T, answers ...func(http.ResponseWriter)) (*client.Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	c, err := client.New("http://scripted", "token", client.InProcess(s))
	require.NoError(t, err)
	return c, s
}

func TestAnUnknownOutcomeIsResolvedWithTheSameId(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, refuse(503, problem.CodeOutcomeUnknown, "0"), refuse(503, problem.CodeUnavailable, ""), done)
	a, err := c.Command(t.Context(), "RegisterPartner", nil, client.CommandOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 7, a.Position)
	require.Len(t, s.keys, 3)
	require.NotEmpty(t, s.keys[0])
	require.Equal(t, s.keys[0], s.keys[1])
	require.Equal(t, s.keys[0], s.keys[2])
}

func TestAClientGivesUpAfterABoundedNumberOfAttempts(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, refuse(503, problem.CodeUnavailable, ""))
	id := uuid.New()
	a, err := c.Command(t.Context(), "RegisterPartner", nil, client.CommandOptions{ID: id})
	require.Equal(t, client.Unavailable, client.KindOf(err))
	require.Equal(t, id, a.CommandID, "so that the caller can ask later")
	require.Len(t, s.keys, 5)

	c, s = scripted(t, refuse(503, problem.CodeUnavailable, "3600"))
	_, err = c.Command(t.Context(), "RegisterPartner", nil, client.CommandOptions{})
	require.Equal(t, client.Unavailable, client.KindOf(err))
	require.Len(t, s.keys, 1, "nobody waits an hour")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, s = scripted(t, refuse(429, problem.CodeRateLimited, "1"))
	_, err = c.Command(ctx, "RegisterPartner", nil, client.CommandOptions{})
	require.Error(t, err)
	require.LessOrEqual(t, len(s.keys), 1)
}

func TestErrorsAreSortedByWhatACallerCanDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   domain.Code
		kind   client.Kind
	}{
		{401, problem.CodeUnauthenticated, client.Unauthorised},
		{403, domain.CodeOwnerMissing, client.Refused},
		{404, domain.CodeNotFound, client.Refused},
		{409, domain.CodeNoEligible, client.Refused},
		{412, domain.CodeChanged, client.Refused},
		{422, domain.CodeInvalid, client.Refused},
		{500, problem.CodeInternal, client.Failed},
		{503, problem.CodeIntegrity, client.Integrity},
	} {
		cl, s := scripted(t, refuse(c.status, c.code, ""))
		_, err := cl.Get(t.Context(), "/api/customers", nil, &struct{}{})
		require.Equal(t, c.kind, client.KindOf(err), c.code)
		require.Len(t, s.keys, 1, "%s is not sent again", c.code)
		var answered *client.Error
		require.ErrorAs(t, err, &answered)
		require.Equal(t, c.code, answered.Code)
		require.Equal(t, c.status, answered.Status)
	}
	require.Equal(t, client.Failed, client.KindOf(errors.New("x")))
}

func TestAnAnswerThatIsNoProblemIsStillAnError(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, func(w http.ResponseWriter) { http.Error(w, "<html>", http.StatusBadGateway) })
	_, err := c.Get(t.Context(), "/api/customers", nil, &struct{}{})
	require.ErrorContains(t, err, "502 Bad Gateway")
	require.NotContains(t, err.Error(), "<html>")
	c, _ = scripted(t, func(w http.ResponseWriter) {
		http.Redirect(w, &http.Request{}, "http://elsewhere.example", http.StatusFound)
	})
	_, err = c.Get(t.Context(), "/api/customers", nil, &struct{}{})
	require.Error(t, err, "the token is for this server alone")
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(s.URL, "", transport)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Command(ctx, "RegisterPartner", nil, client.CommandOptions{})
	require.Equal(t, client.Unavailable, client.KindOf(err))
	for _, base := range []string{"", "localhost:8080", "ftp://x", "http://"} {
		_, err := client.New(base, "", nil)
		require.Error(t, err, base)
	}
}
