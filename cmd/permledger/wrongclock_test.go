package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// faultyClock is the clock of a program that runs: a file says how far it is off.
type faultyClock struct{ path string }

func (c faultyClock) set(t *testing.T, off time.Duration) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.path+".new", []byte(off.String()), 0o600))
	require.NoError(t, os.Rename(c.path+".new", c.path))
}

// program builds the program with this clock, and with further changes.
func (c faultyClock) program(t *testing.T, changes ...change) string {
	t.Helper()
	reading := fmt.Sprintf(`		opts.Now = func() time.Time {
			b, err := os.ReadFile(%q)
			if err != nil {
				panic(err)
			}
			off, err := time.ParseDuration(string(b))
			if err != nil {
				panic(err)
			}
			return time.Now().Add(off)
		}
`, c.path)
	const file = "eventstore/clock.go"
	return brokenProgram(t, append([]change{
		{file, "\t\topts.Now = time.Now\n", reading},
		{file, "\t\"fmt\"\n", "\t\"fmt\"\n\t\"os\"\n"},
	}, changes...)...)
}

// clockRun is a ledger whose clock goes wrong now and then, and what was asked of it.
type clockRun struct {
	clock  faultyClock
	binary string
	dir    string
	market *market
	server *server

	recorded map[string][2]time.Time // by command id: the true time before it was sent and after its answer
	refused  map[string]bool         // commands that were not to be recorded
	findings []finding
}

func newClockRun(t *testing.T, clock faultyClock, binary string) *clockRun {
	t.Helper()
	r := &clockRun{
		clock: clock, binary: binary, dir: filepath.Join(t.TempDir(), "ledger"),
		recorded: make(map[string][2]time.Time), refused: make(map[string]bool),
	}
	clock.set(t, 0)
	r.server = relaunched(t, r.binary, r.dir, "--init")
	r.market = newMarket(t, r.dir, 1, 2)
	r.market.register(r.server)
	return r
}

func (r *clockRun) found(format string, args ...any) {
	r.findings = append(r.findings, finding{wrong, fmt.Sprintf(format, args...)})
}

// commands sends a few commands, all of which must be taken, or none.
func (r *clockRun) commands(t *testing.T, random *rand.Rand, taken bool) {
	t.Helper()
	for range 1 + random.IntN(5) {
		id, before := uuid.NewString(), time.Now()
		a, err := r.server.request(t.Context(), http.MethodPost, "/api/commands/PurchaseReservation", r.market.tokens[r.market.parties[0].users[0]], id, r.market.body(deed{kind: purchase}))
		require.NoError(t, err)
		switch {
		case a.status == http.StatusOK:
			r.recorded[id] = [2]time.Time{before, time.Now()}
			if !taken {
				r.found("a command was taken although the clock is wrong: %s", a.body)
			}
		case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
			r.refused[id] = true
			if taken {
				r.found("a command was refused although the clock is right: %s", a.body)
			}
		default:
			r.found("%d %s", a.status, a.body)
		}
	}
}

// health looks whether the ledger says what it must of its clock, and whether it is read.
func (r *clockRun) health(t *testing.T, doubted bool) {
	t.Helper()
	var h struct {
		Ready        bool `json:"ready"`
		ClockDoubted bool `json:"clockDoubted"`
	}
	a := r.server.get("/readyz", "")
	require.NoError(t, json.Unmarshal(a.body, &h))
	if h.ClockDoubted != doubted || doubted == h.Ready {
		r.found("the clock is doubted: %t, and health says %s", doubted, a.body)
	}
	if a := r.server.get("/api/orders", r.market.tokens[""]); a.status != http.StatusOK {
		r.found("it does not answer a query: %d %s", a.status, a.body)
	}
}

const aDay = 24 * time.Hour

// wrongWhileServing and wrongAtStart are how far a clock may be off so that it cannot be right; slightly is
// what every clock may be.
var (
	wrongWhileServing = []time.Duration{2 * time.Minute, time.Hour, 20 * aDay, 400 * aDay, 20 * 365 * aDay, -time.Hour, -400 * aDay}
	wrongAtStart      = []time.Duration{31 * aDay, 400 * aDay, 20 * 365 * aDay, -time.Hour, -400 * aDay}
	slightly          = []time.Duration{0, 40 * time.Second, -10 * time.Second}
)

// round lets the clock go wrong once and right again.
func (r *clockRun) round(t *testing.T, random *rand.Rand) {
	t.Helper()
	one := func(list []time.Duration) time.Duration { return list[random.IntN(len(list))] }
	r.clock.set(t, one(slightly))
	r.commands(t, random, true)
	if random.IntN(2) == 0 {
		off := one(wrongAtStart)
		t.Logf("started %s off", off)
		r.server.kill()
		r.clock.set(t, off)
		r.server = relaunched(t, r.binary, r.dir)
	} else {
		off := one(wrongWhileServing)
		t.Logf("set off by %s", off)
		r.clock.set(t, off)
	}
	r.commands(t, random, false)
	r.health(t, true)
	r.clock.set(t, one(slightly))
	r.commands(t, random, true)
	r.health(t, false)
}

// judge reads every record and holds its time against the true one.
func (r *clockRun) judge(t *testing.T) {
	t.Helper()
	r.server.kill()
	r.clock.set(t, 0)
	data, err := os.ReadFile(exported(t, r.dir))
	require.NoError(t, err)
	now, seen := time.Now(), 0
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var record struct {
			Time     time.Time                   `json:"time"`
			Commands []struct{ ID, Name string } `json:"commands"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &record))
		if record.Time.After(now.Add(time.Minute)) {
			r.found("a record is of %s, now it is %s", record.Time, now)
		}
		for _, c := range record.Commands {
			sent, known := r.recorded[c.ID]
			switch {
			case r.refused[c.ID]:
				r.found("a refused command was recorded: %s", c.ID)
			case known && (record.Time.Before(sent[0].Add(-time.Minute)) || record.Time.After(sent[1].Add(time.Minute))):
				r.found("a command sent between %s and %s was recorded with %s", sent[0], sent[1], record.Time)
			}
			if known {
				seen++
			}
		}
	}
	if seen != len(r.recorded) {
		r.findings = append(r.findings, finding{lost, fmt.Sprintf("%d commands of %d are there", seen, len(r.recorded))})
	}
}

// TestG13AWrongClockStampsNothing sets the clock of a ledger wrong, by minutes to years, while it serves and
// before it starts. Meanwhile nothing is recorded; afterwards everything carries its true time.
func TestG13AWrongClockStampsNothing(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	clock := faultyClock{filepath.Join(t.TempDir(), "off")}
	binary := clock.program(t)
	r := newClockRun(t, clock, binary)
	acknowledged := 0
	for range rounds(5, 100) {
		r.round(t, random)
		count.add(len(r.recorded)-acknowledged, r.findings)
		require.Empty(t, r.findings)
		acknowledged = len(r.recorded)
	}
	r.judge(t)
	require.Empty(t, r.findings)
	operatorDecides(t, newClockRun(t, clock, binary), random)
}

// TestG13TheCheckerSeesAFutureThatWasStamped is of a program that believes its clock.
func TestG13TheCheckerSeesAFutureThatWasStamped(t *testing.T) {
	t.Parallel()
	clock := faultyClock{filepath.Join(t.TempDir(), "off")}
	r := newClockRun(t, clock, clock.program(t, change{"eventstore/clock.go", "err := c.judge(now, elapsed, last); err != nil {", "err := c.judge(now, elapsed, last); false {"}))
	r.commands(t, seeded(t), true)
	r.clock.set(t, 400*aDay)
	r.commands(t, seeded(t), true)
	r.clock.set(t, 0)
	r.commands(t, seeded(t), true)
	require.Empty(t, r.findings)
	r.judge(t)
	require.NotEmpty(t, r.findings)
}

// operatorDecides goes on with a ledger that has rested, and with one whose records are of the future.
func operatorDecides(t *testing.T, r *clockRun, random *rand.Rand) {
	t.Helper()
	r.commands(t, random, true)
	restarted := func(off time.Duration, args ...string) {
		r.server.stop()
		r.clock.set(t, off)
		r.server = relaunched(t, r.binary, r.dir, args...)
	}
	restarted(400 * aDay)
	r.commands(t, random, false)
	r.health(t, true)
	restarted(400*aDay, "--accept-clock") // it is 400 days later
	r.commands(t, random, true)
	r.health(t, false)
	restarted(400*aDay + time.Hour)
	r.commands(t, random, true)
	restarted(0)
	r.commands(t, random, false)
	restarted(0, "--accept-clock") // no, it was not
	r.commands(t, random, true)
	restarted(0, "--max-clock-lead", "12000h")
	r.commands(t, random, true)
	require.Empty(t, r.findings)
}
