package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// TestG1NothingAcknowledgedIsMissingAfterKill9 kills the server under load and while it starts, and what
// works on a copy of its data at any moment.
func TestG1NothingAcknowledgedIsMissingAfterKill9(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	dir := filepath.Join(t.TempDir(), "ledger")
	s, _, buyer := prepared(t, dir)
	known := &acknowledged{answers: make(map[string][]byte)}
	counted := 0
	for round := range rounds(20, 200) {
		running := known.load(s, buyer, 8)
		target := known.count() + 1 + random.IntN(60)
		require.Eventually(t, func() bool { return known.count() >= target }, time.Minute, time.Millisecond)
		s.kill()
		running.Wait()
		switch random.IntN(4) {
		case 0:
			interrupted(t, dir, random, "serve", "--listen", "127.0.0.1:0")
		case 1:
			killedOnACopy(t, dir, random)
		}
		s = relaunched(t, program, dir)
		if round%5 == 4 {
			require.Empty(t, known.missing(s, buyer), "round %d", round)
		}
		count.add(known.count()-counted, nil)
		counted = known.count()
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
}

// interrupted runs the program and kills it at a random moment, mostly before it has done anything.
func interrupted(t *testing.T, dir string, random *rand.Rand, args ...string) {
	t.Helper()
	killedAfter(t, time.Duration(random.Int64N(int64(300*time.Millisecond))), dir, args...)
}

// killedAfter runs the program and kills it unless it has ended by then.
func killedAfter(t *testing.T, d time.Duration, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"--data", dir}, args...)...)
	cmd.Env = environment()
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed or not, how it ended says nothing here
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(d):
		_ = cmd.Process.Kill()
		<-ended
	}
}

// killedOnACopy kills a replay and an export of a copy; the copy stays the same sound ledger.
func killedOnACopy(t *testing.T, dir string, random *rand.Rand) {
	t.Helper()
	at := copied(t, dir)
	whole := exported(t, at)
	interrupted(t, at, random, "replay")
	half := filepath.Join(t.TempDir(), "half.jsonl")
	interrupted(t, at, random, "export", half)
	verified(t, at)
	want, err := os.ReadFile(whole)
	require.NoError(t, err)
	if got, err := os.ReadFile(half); err == nil {
		require.True(t, bytes.HasPrefix(want, got), "a file that was not finished holds the beginning")
	}
	interrupted(t, at, random, "replay")
	succeeds(t, at, "-q", "replay")
	again, err := os.ReadFile(exported(t, at))
	require.NoError(t, err)
	require.Equal(t, string(want), string(again))
	require.NoError(t, os.RemoveAll(at))
}

func TestTheKillCheckerCanFail(t *testing.T) {
	t.Parallel()
	s, _, buyer := prepared(t, t.TempDir())
	known := &acknowledged{answers: map[string][]byte{uuid.NewString(): []byte(`{"position":1}`)}}
	require.Len(t, known.missing(s, buyer), 1, "an acknowledged command that was not recorded")
}
