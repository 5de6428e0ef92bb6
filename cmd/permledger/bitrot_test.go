package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // to change a row behind the program's back
)

// original is a ledger before anything happens to it, and what it answers.
type original struct {
	dir, early   string // as it is, and a copy from half-way
	market       *market
	position     string
	head, models string
	answers      map[string]string // by path
}

// newOriginal makes a ledger, stopped in good order or killed.
func newOriginal(t *testing.T, random *rand.Rand, killed bool) *original {
	t.Helper()
	o := &original{dir: filepath.Join(t.TempDir(), "ledger")}
	s := relaunched(t, program, o.dir, "--init")
	o.market = newMarket(t, o.dir, 2, 4)
	o.market.register(s)
	act := func() {
		for range 80 {
			d := o.market.chosen(random, 0)
			require.NoError(t, o.market.try(t.Context(), s, &d))
		}
	}
	act()
	s.stop()
	o.early = copied(t, o.dir)
	s = relaunched(t, program, o.dir)
	act()
	o.position = s.get("/api/customers", o.market.tokens[""]).header.Get("Ledger-Position")
	if killed {
		s.kill()
	} else {
		s.stop()
	}
	s = relaunched(t, program, copied(t, o.dir))
	o.answers = make(map[string]string)
	for _, path := range o.paths() {
		a, err := o.read(s, path, o.market.tokens[""])
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status, path)
		o.answers[path] = string(a.body)
	}
	s.stop()
	o.head, o.models = verified(t, copied(t, o.dir))
	return o
}

// paths is everything that is looked at after something happened.
func (o *original) paths() []string {
	list := []string{"/api/customers", "/api/orders", "/api/reservations", "/api/activity", "/api/events"}
	for _, p := range o.market.parties {
		for _, of := range []string{"", "/permissions", "/permissions/history", "/subscriptions", "/orders", "/reservations", "/prices", "/activity"} {
			list = append(list, "/api/customers/"+p.customer+of)
		}
	}
	for i := range list {
		if strings.Count(list[i], "/") != 3 { // a list, not a customer
			list[i] += "?limit=500"
		}
	}
	return list
}

func (o *original) read(s *server, path, token string) (answer, error) {
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Ledger-Min-Position", o.position)
	return sent(r)
}

// The outcomes of damage. Only silence is a failure.
const (
	harmless = "harmless" // proven: the same head, the same read models, the same answers
	refused  = "refused"  // it does not start, and says why
	reported = "reported" // it starts and is not ready, answers with an error, or verify finds it
	unseen   = "unseen"   // other answers than before; only verify --models says so
	silent   = "silent"   // other answers than before, or another log, and nobody says so
	hung     = "hung"     // it neither started nor refused in time
	crashed  = "crashed"  // it ended with a panic
)

// startLimit is how long a start with damage may take.
const startLimit = 30 * time.Second

// judge serves a damaged copy and says what came of it.
func (o *original) judge(t *testing.T, dir string) (outcome, why string) {
	t.Helper()
	s, err := launch(t, program, dir, startLimit)
	if err != nil {
		switch {
		case s.url == "" && s.cmd.ProcessState.ExitCode() < 0:
			return hung, err.Error()
		case strings.Contains(s.logs.String(), "panic:"), strings.Contains(s.logs.String(), "fatal error:"):
			return crashed, s.logs.String()
		default:
			return refused, lastLine(s.logs.String())
		}
	}
	defer s.kill()
	token := newMarket(t, dir, 0, 0).tokens[""] // the key may be a new one
	ready, err := exchange(t.Context(), s.url+"/readyz", http.MethodGet, "", "", nil)
	if err != nil {
		return crashed, err.Error()
	}
	for _, path := range o.paths() {
		a, err := o.read(s, path, token)
		switch {
		case err != nil:
			return crashed, err.Error()
		case a.status == http.StatusOK && ready.status != http.StatusOK:
			return silent, "it answers " + path + " although it is not ready: " + string(ready.body)
		case a.status == http.StatusOK && string(a.body) != o.answers[path]:
			s.kill()
			why = path + ": " + difference(o.answers[path], string(a.body))
			r := invoke(t, dir, "-q", "verify", "--models")
			if r.code == exitIntegrity {
				return unseen, why
			}
			return silent, fmt.Sprintf("%s; verify: exit %d %s%s", why, r.code, r.stdout, r.stderr)
		case strings.Contains(string(a.body), "position-not-reached"):
			return reported, "ready, but does not reach position " + o.position
		case a.status != http.StatusOK:
			why = fmt.Sprintf("%s: %d %s", path, a.status, a.body)
		}
	}
	switch {
	case ready.status != http.StatusOK:
		return reported, "not ready: " + string(ready.body)
	case why != "":
		return reported, "ready, but " + why
	}
	s.stop()
	r := invoke(t, dir, "-q", "-o", "json", "verify", "--models")
	if r.code != 0 {
		return reported, fmt.Sprintf("the answers are the same; verify: exit %d, %s", r.code, lastLine(r.stderr))
	}
	if !strings.Contains(r.stdout, o.head) || !strings.Contains(r.stdout, o.models) {
		return silent, "verify finds another ledger sound: " + r.stdout
	}
	return harmless, ""
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// difference shows where two texts part.
func difference(want, got string) string {
	i := 0
	for i < min(len(want), len(got)) && want[i] == got[i] {
		i++
	}
	from := max(0, i-60)
	return fmt.Sprintf("… %s … became … %s …", want[from:min(len(want), i+60)], got[from:min(len(got), i+60)])
}

// files lists what a directory holds, by relative path.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > 0 {
			name, relErr := filepath.Rel(dir, path)
			list, err = append(list, name), relErr
		}
		return err
	}))
	return list
}

// rot does one thing to one file, or directory, of a copy and says what.
func (o *original) rot(t *testing.T, random *rand.Rand, dir string) string {
	t.Helper()
	list := files(t, dir)
	name := list[random.IntN(len(list))]
	path := filepath.Join(dir, name)
	switch n := random.IntN(100); {
	case n < 50:
		var bit int
		alter(t, path, func(b []byte) []byte {
			bit = random.IntN(8 * len(b))
			b[bit/8] ^= 1 << (bit % 8)
			return b
		})
		return fmt.Sprintf("bit %d of byte %d flipped in %s", bit%8, bit/8, name)
	case n < 65:
		var size, of int
		alter(t, path, func(b []byte) []byte {
			size, of = random.IntN(len(b)), len(b)
			return b[:size]
		})
		return fmt.Sprintf("%s cut to %d of %d bytes", name, size, of)
	case n < 75:
		require.NoError(t, os.Remove(path))
		return name + " deleted"
	case n < 85:
		other := list[random.IntN(len(list))]
		a, err := os.ReadFile(path)
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(dir, other))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, other), a, 0o600))
		return name + " swapped with " + other
	case n < 95:
		old, err := os.ReadFile(filepath.Join(o.early, name))
		if err != nil {
			old = nil // it was not there
		}
		require.NoError(t, os.WriteFile(path, old, 0o600))
		return "stale copy of " + name
	default:
		name := []string{"jetstream", "readmodels"}[random.IntN(2)]
		o.turnBack(t, dir, name)
		return "stale copy of all of " + name
	}
}

// turnBack puts a directory's content from half-way in the place of the newest.
func (o *original) turnBack(t *testing.T, dir, name string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
	require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(copied(t, o.early), name))))
}

func TestG11WhateverRotsInTheDataDirectoryIsHarmlessOrReported(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	originals := []*original{newOriginal(t, random, false), newOriginal(t, random, true)}
	outcomes := make(map[string]int)
	var bad []string
	for range rounds(25, 500) {
		o := originals[random.IntN(2)]
		dir := copied(t, o.dir)
		what := o.rot(t, random, dir)
		outcome, why := o.judge(t, dir)
		require.NoError(t, os.RemoveAll(dir))
		outcomes[outcome]++
		t.Logf("%s: %s %s", outcome, what, why)
		var findings []finding
		switch {
		case outcome == unseen, outcome == silent, outcome == hung, outcome == crashed:
			bad = append(bad, what+": "+outcome+": "+why)
			findings = []finding{{wrong, why}}
		}
		count.add(0, findings)
	}
	t.Logf("outcomes: %v", outcomes)
	require.Empty(t, bad)
}

func TestG11TheJudgeOfDamageSeesARowThatWasChanged(t *testing.T) {
	t.Parallel()
	o := newOriginal(t, seeded(t), false)
	dir := copied(t, o.dir)
	outcome, why := o.judge(t, dir)
	require.Equal(t, harmless, outcome, why)
	found, err := filepath.Glob(filepath.Join(dir, "readmodels", "*.db"))
	require.NoError(t, err)
	db, err := sql.Open("sqlite", found[0])
	require.NoError(t, err)
	_, err = db.ExecContext(context.Background(), "UPDATE permissions SET allowed = 1 - allowed")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	reseal(t, found[0])
	outcome, why = o.judge(t, dir)
	require.NotEqual(t, harmless, outcome, why)
}

// reseal vouches for a database that was changed, as only somebody who means harm would.
func reseal(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	require.NoError(t, os.WriteFile(path+".seal", hex.AppendEncode(nil, sum[:]), 0o600))
}

// TestG10TheJudgeOfDamageSeesAWholeDirectoryTurnedBack shows what no program can see by itself, and that
// the judge does: everything on disk is an older, sound ledger.
func TestG10TheJudgeOfDamageSeesAWholeDirectoryTurnedBack(t *testing.T) {
	t.Parallel()
	o := newOriginal(t, seeded(t), false)
	r := invoke(t, copied(t, o.early), "-q", "verify")
	require.Zero(t, r.code, r.stderr)
	outcome, _ := o.judge(t, copied(t, o.early))
	require.NotEqual(t, harmless, outcome)
}
