package api_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
)

// listening is an open stream over a real connection.
type listening struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// listen opens a stream. Headers are given as name, value pairs.
func listen(t *testing.T, server, token, query string, headers ...string) *listening {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/api/events/stream"+query, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r) //nolint:bodyclose // close does
	require.NoError(t, err)
	l := &listening{t: t, answer: answer, lines: bufio.NewScanner(answer.Body), cancel: cancel}
	l.lines.Buffer(nil, 1<<20)
	t.Cleanup(l.close)
	return l
}

func (l *listening) close() {
	l.cancel()
	_ = l.answer.Body.Close()
}

// next gives the next event's position and type, or what the comment says that ends the stream.
func (l *listening) next() (position uint64, kind, comment string) {
	for l.lines.Scan() {
		line := l.lines.Text()
		switch name, value, _ := strings.Cut(line, ": "); {
		case name == "id":
			position, _ = strconv.ParseUint(value, 10, 64)
		case name == "event":
			kind = value
		case name == "" && value != "" && !strings.HasPrefix(value, "events after"):
			return 0, "", value
		case line == "" && position != 0:
			return position, kind, ""
		}
	}
	return 0, "", "end"
}

func serve(t *testing.T, o handlers.Options) (*httptest.Server, *handlers.Handler) {
	t.Helper()
	h := handlers.New(book, tokens, o)
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Stop()
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return s, h
}

func TestAStreamResumesWithoutGapOrDuplicate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, _ := serve(t, handlers.Options{})
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 40 {
			w.command(w.admin, "RegisterCustomer", `{"customerId":"`+uuid.NewString()+`","companyName":"C","domain":"d.example"}`)
		}
	}()
	var got []uint64
	last := ""
	for len(got) < 45 {
		l := listen(t, server.URL, w.auditor, "?after=0", "Last-Event-ID", last)
		require.Equal(t, http.StatusOK, l.answer.StatusCode)
		require.Equal(t, "text/event-stream", l.answer.Header.Get("Content-Type"))
		for range 7 { // then the client loses its connection
			position, kind, comment := l.next()
			require.Empty(t, comment)
			require.NotEmpty(t, kind)
			got = append(got, position)
			last = strconv.FormatUint(position, 10)
			if len(got) == 45 {
				break
			}
		}
		l.close()
	}
	<-written
	var want []uint64
	for _, e := range w.list(w.auditor, "/api/events?limit=500").Items {
		want = append(want, uint64(e["position"].(float64)))
	}
	require.Equal(t, want, got)
}

func TestAStreamShowsThatItIsAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, _ := serve(t, handlers.Options{Heartbeat: time.Millisecond})
	l := listen(t, server.URL, w.auditor, "?after="+strconv.FormatUint(book.Book().Head()+1000, 10))
	for beats := 0; beats < 3; {
		require.True(t, l.lines.Scan())
		if l.lines.Text() == ": " {
			beats++
		}
	}
}

func TestAPrincipalHasSoManyStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, _ := serve(t, handlers.Options{Streams: 2})
	first, second := listen(t, server.URL, w.auditor, ""), listen(t, server.URL, w.auditor, "")
	require.Equal(t, 200, first.answer.StatusCode)
	require.Equal(t, 200, second.answer.StatusCode)
	third := listen(t, server.URL, w.auditor, "")
	require.Equal(t, 429, third.answer.StatusCode)
	require.NotEmpty(t, third.answer.Header.Get("Retry-After"))
	require.Equal(t, 200, listen(t, server.URL, w.sales, "").answer.StatusCode)
	first.close()
	require.Eventually(t, func() bool { return listen(t, server.URL, w.auditor, "").answer.StatusCode == http.StatusOK }, 5*time.Second, 10*time.Millisecond)
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server, h := serve(t, handlers.Options{})
	l := listen(t, server.URL, w.auditor, "?after="+strconv.FormatUint(book.Book().Head()+1000, 10))
	h.Stop()
	_, _, comment := l.next()
	require.Equal(t, "the server is stopping", comment)
	late := listen(t, server.URL, w.auditor, "")
	require.Equal(t, http.StatusServiceUnavailable, late.answer.StatusCode)
	require.NotEmpty(t, late.answer.Header.Get("Retry-After"))
}

// expiring is an authenticator whose principals expire soon.
type expiring struct{ auth.Authenticator }

func (e expiring) Authenticate(ctx context.Context, token string) (auth.Principal, error) {
	p, err := e.Authenticator.Authenticate(ctx, token)
	p.Expires = time.Now().Add(50 * time.Millisecond)
	return p, err
}

func TestAStreamEndsWhenItsTokenExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := httptest.NewServer(handlers.New(book, expiring{tokens}, handlers.Options{}))
	t.Cleanup(server.Close)
	l := listen(t, server.URL, w.auditor, "?after="+strconv.FormatUint(book.Book().Head()+1000, 10))
	_, _, comment := l.next()
	require.Equal(t, "the token has expired", comment)
}

// stuck is a connection whose client takes nothing after the headers.
type stuck struct {
	http.ResponseWriter
	writes int
}

func (s *stuck) SetWriteDeadline(time.Time) error { return nil }
func (s *stuck) Flush()                           {}
func (s *stuck) Write(p []byte) (int, error) {
	if s.writes++; s.writes > 1 {
		return 0, errors.New("write deadline exceeded")
	}
	return len(p), nil
}

func TestAClientThatTakesNothingIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/events/stream", nil)
	r.Header.Set("Authorization", "Bearer "+w.auditor)
	conn := &stuck{ResponseWriter: httptest.NewRecorder()}
	shared.ServeHTTP(conn, r) // returns
	require.LessOrEqual(t, conn.writes, 3)
}

func TestAStreamIsAskedForCorrectly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, query := range []string{"?after=x", "?customer=abc", "?since=1"} {
		require.Equal(t, 422, w.get(w.auditor, "/api/events/stream"+query).status, query)
	}
	require.Equal(t, 422, w.get(w.auditor, "/api/events/stream", "Last-Event-ID", "x").status)
	require.Equal(t, domain.CodeRoleNotAllowed, w.get(w.helpdesk, "/api/events/stream").problem(t).Code)
	require.Equal(t, 403, w.get(w.buyer, "/api/events/stream").status)
}
