package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/handlers/gate"
)

func TestEveryRouteHasAnEntryInTheAccessTableAndTheOtherWayRound(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	a := New(mux, nil, nil, Options{})
	for pattern := range accessTable {
		method, path, _ := strings.Cut(pattern, " ")
		r := httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path), nil)
		_, got := mux.Handler(r)
		require.Equal(t, pattern, got, "the access table names a route that is not there")
	}
	for path, item := range a.huma.OpenAPI().Paths {
		if item.Get != nil {
			require.Contains(t, accessTable, "GET "+path)
		}
		if item.Post != nil {
			require.Contains(t, accessTable, "POST "+path)
		}
	}
}

func TestARouteWithoutAnEntryCannotBeRegistered(t *testing.T) {
	t.Parallel()
	a := New(http.NewServeMux(), nil, nil, Options{})
	require.PanicsWithValue(t, "api: the access table has no entry for GET /api/secrets", func() {
		a.HandleFunc("GET /api/secrets", func(http.ResponseWriter, *http.Request) {})
	})
}

func TestTheZeroAccessLetsNobodyIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, gate.Access{}, accessTable["GET /not/there"])
	require.False(t, gate.Access{}.Open)
	require.False(t, gate.Access{}.Command)
	require.Zero(t, gate.Access{}.Agents)
	require.Equal(t, gate.Never, gate.Access{}.Customer)
}
