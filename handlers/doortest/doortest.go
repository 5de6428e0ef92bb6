// Package doortest is what the tests of the doors share: a ledger that is served to all tests of a package, and
// tokens for the people in it.
package doortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/domain"
	"permledger/handlers"
	"permledger/handlers/auth"
	"permledger/handlers/ledger"
)

// Ledger serves all tests of a package; each works in the book of a partner of its own.
type Ledger struct {
	*handlers.Handler
	Book   *ledger.Ledger
	Tokens *auth.Dev
	Dir    string
}

// Run opens a ledger, runs a package's tests on it and gives their exit code. Use is told of the ledger before the
// first test, and done is called after the last one. What is left running or cannot be closed fails the tests.
func Run(m *testing.M, options func(dir string) handlers.Options, use func(*Ledger) (done func())) int {
	l, err := open(options)
	if err != nil {
		panic(err)
	}
	done := use(l)
	code := m.Run()
	done()
	l.Stop()
	if err := errors.Join(l.Book.Close(), os.RemoveAll(l.Dir), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, "after the tests:", err)
		code = max(code, 1)
	}
	return code
}

func open(options func(dir string) handlers.Options) (*Ledger, error) {
	dir, err := os.MkdirTemp("", "permledger-door-*")
	if err != nil {
		return nil, err
	}
	l := &Ledger{Dir: dir}
	if l.Tokens, err = auth.OpenDev(dir); err != nil {
		return nil, err
	}
	if l.Book, err = ledger.Open(context.Background(), ledger.Config{Dir: dir, Found: true}); err != nil {
		return nil, err
	}
	l.Handler = handlers.New(l.Book, l.Tokens, options(dir))
	return l, nil
}

// Defaults are the options of a door that needs none.
func Defaults(string) handlers.Options { return handlers.Options{} }

// App is the application through which everybody acts.
const App = "test-app"

// Mint makes the token of a user of a tenant, or of the application alone where none is named.
func (l *Ledger) Mint(t *testing.T, tenant, user string, roles domain.Roles) string {
	t.Helper()
	request := auth.Token{Tenant: domain.TenantID{UUID: uuid.MustParse(tenant)}, Roles: roles, App: App}
	if user == "" {
		request.AppOnly = true
	} else {
		request.User = domain.UserID{UUID: uuid.MustParse(user)}
		request.UPN = user[:8] + "@example.com"
	}
	token, err := l.Tokens.Mint(request)
	require.NoError(t, err)
	return token
}

// Send does a request on a handler itself and reads the answer to its end. Headers are given as name, value pairs; a
// body is JSON.
func Send(t *testing.T, h http.Handler, method, path, token, body string, headers ...string) (status int, header http.Header, content []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code, rec.Result().Header, bytes.Clone(rec.Body.Bytes())
}
