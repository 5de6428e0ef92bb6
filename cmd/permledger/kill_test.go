package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// acknowledged collects what the server said it has recorded: command id and answer.
type acknowledged struct {
	mu      sync.Mutex
	answers map[string][]byte
}

// load sends purchases from several clients until the server is gone.
func (a *acknowledged) load(s *server, token string, clients int) *sync.WaitGroup {
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for {
				id := uuid.NewString()
				got, err := s.request(context.Background(), http.MethodPost, "/api/commands/PurchaseReservation", token, id, wanted(1))
				if err != nil {
					return
				}
				if got.status == http.StatusOK {
					a.mu.Lock()
					a.answers[id] = got.body
					a.mu.Unlock()
				}
			}
		})
	}
	return &running
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.answers)
}

// missing lists acknowledged commands that a server does not know, or answers differently.
func (a *acknowledged) missing(s *server, token string) []string {
	var lost []string
	for id, body := range a.answers {
		got, err := s.request(context.Background(), http.MethodPost, "/api/commands/PurchaseReservation", token, id, wanted(1))
		if err != nil || got.status != http.StatusOK || string(got.body) != string(body) {
			lost = append(lost, id)
		}
	}
	return lost
}

// TestG1NothingAcknowledgedIsMissingAfterKill9 kills the server under load, twenty times.
func TestG1NothingAcknowledgedIsMissingAfterKill9(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PERMLEDGER_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("PERMLEDGER_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	s, _, buyer := prepared(t, dir)
	known := &acknowledged{answers: make(map[string][]byte)}
	const rounds = 20
	for round := range rounds {
		running := known.load(s, buyer, 8)
		target := known.count() + 1 + random.IntN(60)
		require.Eventually(t, func() bool { return known.count() >= target }, time.Minute, time.Millisecond)
		s.kill()
		running.Wait()
		s = serve(t, dir)
		if round%5 == 4 {
			require.Empty(t, known.missing(s, buyer), "round %d", round)
		}
	}
	require.Empty(t, known.missing(s, buyer))
	s.stop()
	var report struct {
		Events uint64 `json:"events"`
		Models string `json:"models"`
	}
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, "-o", "json", "verify", "--models")), &report))
	require.NotEmpty(t, report.Models, "the read models equal a rebuild")
	require.GreaterOrEqual(t, report.Events, uint64(known.count()))
	t.Logf("%d rounds, %d acknowledged, 0 lost", rounds, known.count())
}

func TestTheKillCheckerCanFail(t *testing.T) {
	t.Parallel()
	s, _, buyer := prepared(t, t.TempDir())
	known := &acknowledged{answers: map[string][]byte{uuid.NewString(): []byte(`{"position":1}`)}}
	require.Len(t, known.missing(s, buyer), 1, "an acknowledged command that was not recorded")
}
