package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// readiness is what /readyz says about the disk.
type readiness struct {
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons"`
	Warnings []string `json:"warnings"`
	Scrub    struct {
		Rounds           uint64
		Ended            *time.Time
		Findings, Unread []string
	} `json:"scrub"`
}

func (s *server) readiness() readiness {
	s.t.Helper()
	var r readiness
	require.NoError(s.t, json.Unmarshal(s.get("/readyz", "").body, &r))
	return r
}

// scrubbedUntil waits until health says something of a server's disk.
func scrubbedUntil(t *testing.T, s *server, holds func(readiness) bool) readiness {
	t.Helper()
	var r readiness
	require.Eventually(t, func() bool {
		r = s.readiness()
		return holds(r)
	}, 2*time.Minute, 20*time.Millisecond)
	return r
}

// rotting is a server under which bits are flipped.
type rotting struct {
	binary, dir string
	market      *market
	server      *server
	orders      int // purchases that are in the ledger
}

const scrubEverySecond = "--scrub-period=1s"

// newRotting makes a ledger of some purchases, each of about a kilobyte and a half, and serves it.
func newRotting(t *testing.T, binary string, purchases int) *rotting {
	t.Helper()
	r := &rotting{binary: binary, dir: filepath.Join(t.TempDir(), "ledger")}
	r.server = relaunched(t, binary, r.dir, scrubEverySecond, "--init")
	r.market = newMarket(t, r.dir, 1, 2)
	r.market.register(r.server)
	var all sync.WaitGroup
	for client := range 32 {
		all.Go(func() {
			for i := client; i < purchases; i += 32 {
				if a, err := r.buy(t, r.server); err != nil || a.status != http.StatusOK {
					t.Errorf("%s: %v", a.body, err)
					return
				}
			}
		})
	}
	all.Wait()
	r.orders = purchases
	r.server.stop() // which writes a snapshot
	r.server = relaunched(t, binary, r.dir, scrubEverySecond)
	return r
}

func (r *rotting) buy(t *testing.T, s *server) (answer, error) {
	body := r.market.body(deed{kind: purchase})
	body["reason"] = strings.Repeat("because ", 60)
	return exchange(t.Context(), s.url+"/api/commands/PurchaseReservation", http.MethodPost, r.market.tokens[r.market.parties[0].users[0]], uuid.NewString(), body)
}

// proofs lists the files that decisions or proofs rest on, by kind.
func proofs(t *testing.T, dir string) map[string][]string {
	t.Helper()
	stream := filepath.Join("jetstream", "$G", "streams", "PERMLEDGER")
	kinds := make(map[string][]string)
	for kind, pattern := range map[string]string{
		"log":         filepath.Join(stream, "msgs", "*.blk"),
		"index":       filepath.Join(stream, "msgs", "index.db"),
		"settings":    filepath.Join(stream, "meta.*"),
		"archive":     filepath.Join("archive", "*.seg"),
		"snapshot":    "snapshot",
		"head.mark":   "head.mark",
		"ledger.json": "ledger.json",
	} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		for _, path := range found {
			name, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			kinds[kind] = append(kinds[kind], name)
		}
	}
	return kinds
}

// flipped turns one bit of a file over in place, as a disk would. It gives what tells whether the file still
// is what this made of it, and what turns it back.
func flipped(t *testing.T, path string, random *rand.Rand) (what string, still func() bool, back func()) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	at, bit := random.IntN(len(b)), random.IntN(8)
	change := func() {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		b[at] ^= 1 << bit
		_, err = f.WriteAt(b[at:at+1], int64(at))
		require.NoError(t, errors.Join(err, f.Close()))
	}
	change()
	still = func() bool {
		now, err := os.ReadFile(path)
		return err == nil && bytes.HasPrefix(now, b)
	}
	return fmt.Sprintf("bit %d of byte %d of %d in %s", bit, at, len(b), filepath.Base(path)), still, change
}

// flip flips one bit under the server and waits until the server says so: within the round that began after
// it at the latest. Then it looks whether the server acts on what is damaged.
func (r *rotting) flip(t *testing.T, random *rand.Rand, kind, name string) (findings []finding) {
	t.Helper()
	found := func(format string, args ...any) {
		findings = append(findings, finding{wrong, fmt.Sprintf(format, args...)})
	}
	scrubbedUntil(t, r.server, func(h readiness) bool { return h.Ready && h.Scrub.Rounds > 0 && len(h.Scrub.Findings) == 0 })
	what, still, back := flipped(t, filepath.Join(r.dir, name), random)
	before := r.server.readiness().Scrub.Rounds
	h := scrubbedUntil(t, r.server, func(h readiness) bool { return len(h.Scrub.Findings) > 0 || h.Scrub.Rounds >= before+2 })
	t.Logf("%s: %q", what, h.Scrub.Findings)
	if len(h.Scrub.Findings) == 0 {
		if kind == "index" && !still() {
			return nil // the server has written it anew, as it does every two minutes
		}
		found("%s was not reported", what)
		back()
		return findings
	}
	if !strings.Contains(strings.Join(h.Warnings, "\n"), h.Scrub.Findings[0]) || h.Ready == (kind == "log") {
		found("%s: health says %+v", what, h)
	}
	if kind != "log" && !strings.Contains(strings.Join(h.Scrub.Findings, "\n"), strings.TrimSuffix(filepath.Base(name), ".sum")) {
		found("%s: another place is named: %q", what, h.Scrub.Findings)
	}
	if m := r.server.get("/metrics", "").body; !strings.Contains(string(m), "permledger_scrub_findings ") || strings.Contains(string(m), "permledger_scrub_findings 0\n") && len(r.server.readiness().Scrub.Findings) > 0 {
		found("%s: the metrics do not say so", what)
	}
	a, err := r.buy(t, r.server)
	require.NoError(t, err)
	orders := r.server.get("/api/orders?limit=1", r.market.tokens[""])
	switch {
	case kind == "log" && (a.status != http.StatusServiceUnavailable || orders.status != http.StatusServiceUnavailable):
		found("%s: it goes on behind a damaged log: %d %d", what, a.status, orders.status)
	case kind != "log" && (a.status != http.StatusOK || orders.status != http.StatusOK):
		found("%s: it does not serve: %d %s %d", what, a.status, a.body, orders.status)
	}
	if a.status == http.StatusOK {
		r.orders++
	}
	if kind == "log" {
		r.server.kill()
		if !strings.Contains(r.server.logs.String(), "does not hold what was written") {
			found("%s: the server's log does not say so", what)
		}
	}
	if still() { // it has not been written again
		back()
	}
	if kind == "log" {
		r.server = relaunched(t, r.binary, r.dir, scrubEverySecond)
	}
	return findings
}

// TestG11RotUnderAServerIsReported flips bits in every kind of file under a ledger that serves. Beside it
// another one, with nothing but commands going on, reports nothing.
func TestG11RotUnderAServerIsReported(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	binary, purchases := program, 40
	if torture {
		// Several files of everything, a few megabytes each.
		binary = brokenProgram(t,
			change{"eventstore/archive/limits.go", "DefaultSegmentBytes = 32 << 20", "DefaultSegmentBytes = 3 << 20"},
			change{"handlers/ledger/snapshot.go", "snapshotEvents = 50_000", "snapshotEvents = 2_000"})
		purchases = 16_000
	}
	twin := newRotting(t, binary, 40)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if a, err := twin.buy(t, twin.server); err != nil || a.status != http.StatusOK {
				t.Errorf("%s: %v", a.body, err)
				return
			}
			twin.orders++
		}
	}()
	r := newRotting(t, binary, purchases)
	kinds := proofs(t, r.dir)
	names := slices.Sorted(maps.Keys(kinds))
	t.Logf("files: %v", kinds)
	if torture {
		require.Greater(t, len(kinds["log"]), 2)
		require.Greater(t, len(kinds["archive"]), 2)
		require.Contains(t, kinds, "snapshot")
	}
	for i := range rounds(len(names), 200) {
		kind := names[i%len(names)]
		kinds := proofs(t, r.dir) // more may have come, and the index may have gone
		if len(kinds[kind]) == 0 {
			continue
		}
		findings := r.flip(t, random, kind, kinds[kind][random.IntN(len(kinds[kind]))])
		count.add(1, findings)
		require.Empty(t, findings)
	}
	close(stop)
	<-stopped
	h := scrubbedUntil(t, twin.server, func(h readiness) bool { return h.Scrub.Rounds > 2 })
	require.Empty(t, h.Warnings)
	for _, one := range []*rotting{twin, r} {
		one.server.stop()
		verified(t, one.dir)
	}
	require.NotContains(t, twin.server.logs.String(), "does not hold what was written", "a false alarm")
}

// TestG11TheCheckerSeesRotThatNobodyReports is of a program that leaves the archive out.
func TestG11TheCheckerSeesRotThatNobodyReports(t *testing.T) {
	t.Parallel()
	binary := brokenProgram(t, change{"handlers/ledger/scrubparts.go", "\t\tpart{\"archive\", size(ArchiveDir(\"\")), l.checkArchive},\n", ""})
	r := newRotting(t, binary, 5)
	random := seeded(t)
	require.NotEmpty(t, r.flip(t, random, "archive", proofs(t, r.dir)["archive"][0]))
	require.Empty(t, r.flip(t, random, "ledger.json", "ledger.json"))
}
