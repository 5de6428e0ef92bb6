package handlers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/domain"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written is a log that tests can read while it is written.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func opened(t *testing.T) (*Handler, *auth.Dev, *written) {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Found: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	key, err := auth.OpenDev(dir)
	require.NoError(t, err)
	log := &written{}
	return New(l, key, Options{Logger: slog.New(slog.NewJSONHandler(log, nil))}), key, log
}

func token(t *testing.T, key *auth.Dev) string {
	t.Helper()
	s, err := key.Mint(auth.Token{Tenant: domain.TenantID{UUID: uuid.New()}, User: domain.UserID{UUID: uuid.New()}, Roles: domain.AdminAgent})
	require.NoError(t, err)
	return s
}

// call does a request through the edge alone.
func call(t *testing.T, h http.HandlerFunc, headers ...string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	log := &written{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	edge(h, slog.New(slog.NewJSONHandler(log, nil)), prometheus.NewRegistry()).ServeHTTP(w, r)
	return w, log.String()
}

func TestAPanicIsAnInternalErrorAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w, log := call(t, func(http.ResponseWriter, *http.Request) { panic("secret state") })
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), `"code":"internal-error"`)
	require.NotContains(t, w.Body.String(), "secret")
	require.NotContains(t, w.Body.String(), "goroutine")
	require.Contains(t, log, "secret state")
	require.Equal(t, 1, strings.Count(log, "\n"))

	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		call(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	})
}

func TestEveryAnswerHasItsIdsAndProtectiveHeaders(t *testing.T) {
	t.Parallel()
	nothing := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	w, _ := call(t, nothing)
	require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"), "what is given without a token is embedded nowhere")
	w, log := call(t, nothing, "MS-RequestId", "abc-123", "MS-CorrelationId", "ticket-7")
	for name, value := range map[string]string{
		"MS-RequestId": "abc-123", "X-Request-Id": "abc-123", "MS-CorrelationId": "ticket-7",
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
	} {
		require.Equal(t, value, w.Header().Get(name), name)
	}
	require.Contains(t, log, `"request":"abc-123"`)
	require.Contains(t, log, `"status":204`)

	for _, bad := range []string{"", "a b", "a\nb", strings.Repeat("x", 129), "<script>"} {
		w, _ := call(t, nothing, "X-Request-Id", bad, "Correlation-Id", bad)
		_, err := uuid.Parse(w.Header().Get("X-Request-Id"))
		require.NoError(t, err, "an id is made instead of %q", bad)
		require.Empty(t, w.Header().Get("MS-CorrelationId"))
	}
}

func TestUnknownAddressesAndMethodsAreProblems(t *testing.T) {
	t.Parallel()
	h, _, _ := opened(t)
	for _, c := range []struct {
		method, path string
		status       int
		code         domain.Code
	}{
		{http.MethodGet, "/nowhere", 404, problem.CodeNoSuchRoute},
		{http.MethodPost, "/api/commands/DropEverything", 401, problem.CodeUnauthenticated},
		{http.MethodDelete, "/api/customers", 405, problem.CodeMethodNotAllowed},
		{http.MethodGet, "/api/commands", 404, problem.CodeNoSuchRoute},
		{http.MethodOptions, "/api/customers", 405, problem.CodeMethodNotAllowed},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
		require.Equal(t, c.status, w.Code, c.path)
		require.Contains(t, w.Body.String(), `"code":"`+string(c.code)+`"`)
		require.Equal(t, problem.ContentType, w.Header().Get("Content-Type"))
		if c.status == 405 {
			require.Contains(t, w.Header().Get("Allow"), "GET")
		}
	}
}

// running serves a handler on a port of its own until stop is called.
func running(t *testing.T, h *Handler) (address string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, auth.RequireLoopback(listener.Addr()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, listener, h, slog.New(slog.DiscardHandler)) }()
	var once sync.Once
	var ended error
	stop = func() error {
		once.Do(func() {
			cancel()
			ended = <-done
		})
		return ended
	}
	t.Cleanup(func() { _ = stop() })
	return "http://" + listener.Addr().String(), stop
}

func TestStoppingFinishesCommandsAndEndsStreams(t *testing.T) {
	t.Parallel()
	h, key, _ := opened(t)
	arrived, inner := make(chan struct{}, 1), h.serve
	h.serve = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/RegisterCustomer") {
			arrived <- struct{}{}
		}
		inner.ServeHTTP(w, r)
	})
	server, stop := running(t, h)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport}
	admin := token(t, key)
	post := func(name, body string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/api/commands/"+name, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		r.Header.Set("Content-Type", "application/json")
		return c.Do(r)
	}
	w, err := post("RegisterPartner", `{"name":"Fabrikam","country":"TW","currency":"USD"}`)
	require.NoError(t, err)
	require.NoError(t, w.Body.Close())
	require.Equal(t, 200, w.StatusCode)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+"/api/events/stream", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+admin)
	stream, err := c.Do(r)
	require.NoError(t, err)
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
	}

	// A command whose body is still on its way when the server is told to stop.
	body, send := io.Pipe()
	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/api/commands/RegisterCustomer", body)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+admin)
	r.Header.Set("Content-Type", "application/json")
	answered := make(chan int, 1)
	go func() {
		w, err := c.Do(r)
		if err != nil {
			answered <- 0
			return
		}
		_ = w.Body.Close()
		answered <- w.StatusCode
	}()
	_, err = io.WriteString(send, `{"customerId":"`+uuid.NewString()+`",`)
	require.NoError(t, err)
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	rest, err := io.ReadAll(stream.Body)
	require.NoError(t, err, "the stream ends properly")
	require.Contains(t, string(rest), "the server is stopping")
	_, err = io.WriteString(send, `"companyName":"Contoso","domain":"contoso.example"}`)
	require.NoError(t, err)
	require.NoError(t, send.Close())
	require.Equal(t, 200, <-answered)
	require.NoError(t, <-stopped)
}

func TestLargeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	h, _, _ := opened(t)
	server, _ := running(t, h)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+"/livez", nil)
	require.NoError(t, err)
	r.Header.Set("X-Large", strings.Repeat("x", 32<<10))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w, err := (&http.Client{Transport: transport}).Do(r)
	require.NoError(t, err)
	require.NoError(t, w.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, w.StatusCode)
}

func TestAFailingListenerIsAnError(t *testing.T) {
	t.Parallel()
	h, _, _ := opened(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.Error(t, Serve(t.Context(), listener, h, slog.New(slog.DiscardHandler)))
}

func TestRefusalsAreNoErrorsInTheLogAndTokensNeverAre(t *testing.T) {
	t.Parallel()
	h, key, log := opened(t)
	secret := token(t, key)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/customers?text=x", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 403, w.Code)
	require.Contains(t, log.String(), `"level":"INFO"`)
	require.Contains(t, log.String(), `"code":"tenant-not-registered"`)
	require.NotContains(t, log.String(), secret)
	require.NotContains(t, log.String(), "ERROR")
}

func TestAnErrorBehindTheEdgeIsLoggedWithItsCause(t *testing.T) {
	t.Parallel()
	w, log := call(t, func(w http.ResponseWriter, r *http.Request) { problem.Write(w, r, errors.New("disk on fire")) })
	require.Equal(t, 500, w.Code)
	require.Equal(t, 1, strings.Count(log, "disk on fire"))
	require.Contains(t, log, `"level":"ERROR"`)
}
