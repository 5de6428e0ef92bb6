package main

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestL3FiftyTimesTheSameCommandHasOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, admin, buyer := prepared(t, dir)
	id := uuid.NewString()
	const senders = 50
	first := fiftyAnswers(t, s, buyer, id, senders)
	require.Len(t, s.items("/api/customers/"+contoso+"/orders", admin, first.header.Get("Ledger-Position")), 1)

	s.kill()
	s = serve(t, dir)
	again := fiftyAnswers(t, s, buyer, id, senders)
	require.Equal(t, string(first.body), string(again.body), "after a restart too")
	require.Len(t, s.items("/api/customers/"+contoso+"/orders", admin, again.header.Get("Ledger-Position")), 1)

	other, err := s.request(t.Context(), http.MethodPost, "/api/commands/PurchaseReservation", buyer, id, wanted(2))
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, other.status, "other content under the same id: %s", other.body)
	require.Equal(t, "L3", other.decoded(t)["rule"])
	looked := s.get("/api/commands/"+id, buyer)
	require.Equal(t, http.StatusOK, looked.status)
	require.Equal(t, id, looked.decoded(t)["commandId"])
}

// fiftyAnswers sends the same command in parallel; all answers must be the same to the byte.
func fiftyAnswers(t *testing.T, s *server, token, id string, n int) answer {
	t.Helper()
	answers := make([]answer, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			answers[i], errs[i] = s.request(t.Context(), http.MethodPost, "/api/commands/PurchaseReservation", token, id, wanted(1))
		})
	}
	all.Wait()
	for i := range n {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusOK, answers[i].status, string(answers[i].body))
		require.Equal(t, string(answers[0].body), string(answers[i].body))
	}
	return answers[0]
}

func TestADryRunDecidesWithoutWriting(t *testing.T) {
	t.Parallel()
	s, admin, buyer := prepared(t, t.TempDir())
	before := s.get("/api/customers", admin).header.Get("Ledger-Position")
	would, err := s.request(t.Context(), http.MethodPost, "/api/commands/PurchaseReservation?dryRun=true", buyer, uuid.NewString(), wanted(1))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, would.status)
	require.Len(t, would.decoded(t)["events"], 1)
	require.Empty(t, s.items("/api/orders", admin, before))
	position, _ := s.accepted(admin, "RevokePurchasePermission", permission)
	refused, err := s.request(t.Context(), http.MethodPost, "/api/commands/PurchaseReservation?dryRun=true", buyer, uuid.NewString(), wanted(1))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, refused.status)
	after, _ := s.accepted(admin, "GrantPurchasePermission", permission)
	require.Equal(t, position+1, after, "neither dry run took a position")
}

func TestG7ACommandWithoutEventsIsPartOfTheReadModelsToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, admin, _ := prepared(t, dir)
	for range 5 {
		_, events := s.accepted(admin, "GrantPurchasePermission", permission)
		require.Empty(t, events, "already so")
		s.kill()
		succeeds(t, dir, "verify", "--models")
		s = serve(t, dir)
	}
}
