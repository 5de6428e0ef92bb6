package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// granted is a permission turned on long ago, and off since.
type granted struct {
	party  int
	id     string
	answer string
}

// veteran is a ledger of several runs whose old commands are known, and in which every permission is off.
type veteran struct {
	dir, early string // as it is, killed in its last run, and a copy of an earlier run
	market     *market
	grants     []granted
	position   uint64
}

// runs is how often a veteran was stopped and started; each run leaves a file of command ids.
const runs = 3

func newVeteran(t *testing.T) *veteran {
	t.Helper()
	v := &veteran{dir: filepath.Join(t.TempDir(), "ledger")}
	s := serve(t, v.dir, "--init")
	v.market = newMarket(t, v.dir, 4, 2)
	v.market.register(s)
	admin := v.market.tokens[""]
	for run := range runs {
		of := make([][]granted, len(v.market.parties))
		var all sync.WaitGroup
		for p := range v.market.parties {
			all.Go(func() {
				for range 25 {
					id := uuid.NewString()
					for _, d := range []deed{{kind: revoke, party: p, id: uuid.NewString()}, {kind: grant, party: p, id: id}} {
						a, err := exchange(t.Context(), s.url+"/api/commands/"+verb[d.kind], http.MethodPost, admin, d.id, v.market.body(d))
						if err != nil || a.status != http.StatusOK {
							t.Errorf("%s: %d %s, %v", verb[d.kind], a.status, a.body, err)
							return
						}
						if d.kind == grant {
							of[p] = append(of[p], granted{p, id, string(a.body)})
						}
					}
				}
				s.accepted(admin, "RevokePurchasePermission", v.market.body(deed{kind: revoke, party: p}))
			})
		}
		all.Wait()
		for _, list := range of {
			v.grants = append(v.grants, list...)
		}
		v.position = newest(t, s)
		if run == runs-1 {
			s.kill()
			break
		}
		s.stop()
		if run == 0 {
			v.early = copied(t, v.dir)
		}
		s = serve(t, v.dir)
	}
	return v
}

// ids is where the command ids of a data directory lie.
func ids(dir string) string { return filepath.Join(dir, "commandids") }

// rotIDs does something to the files of command ids, in place, and says what.
func (v *veteran) rotIDs(t *testing.T, random *rand.Rand, dir string) string {
	t.Helper()
	list := files(t, ids(dir))
	name := list[random.IntN(len(list))]
	path := filepath.Join(ids(dir), name)
	flip := func(bits int) string {
		alter(t, path, func(b []byte) []byte {
			for range bits {
				n := random.IntN(8 * len(b))
				b[n/8] ^= 1 << (n % 8)
			}
			return b
		})
		return fmt.Sprintf("%d bits flipped in %s", bits, name)
	}
	switch random.IntN(7) {
	case 0, 1:
		return flip(1)
	case 2:
		return flip(400)
	case 3:
		size := 0
		alter(t, path, func(b []byte) []byte {
			size = random.IntN(len(b))
			return b[:size]
		})
		return fmt.Sprintf("%s cut to %d bytes", name, size)
	case 4:
		require.NoError(t, os.Remove(path))
		return name + " deleted"
	case 5:
		other := list[random.IntN(len(list))]
		a, err := os.ReadFile(path)
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(ids(dir), other))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(ids(dir), other), a, 0o600))
		return name + " swapped with " + other
	default:
		for _, name := range files(t, ids(dir)) {
			old, err := os.ReadFile(filepath.Join(ids(v.early), name))
			if err != nil {
				old = nil // it was not there
			}
			require.NoError(t, os.WriteFile(filepath.Join(ids(dir), name), old, 0o600))
		}
		return "stale copies of all files"
	}
}

// again sends every old grant again, and looks it up. Nothing but its first answer, or a refusal that asks to
// wait, is right. It gives how many had to wait.
func (v *veteran) again(t *testing.T, s *server) (waiting int, findings []finding) {
	t.Helper()
	admin := v.market.tokens[""]
	for _, g := range v.grants {
		a, err := s.request(t.Context(), http.MethodPost, "/api/commands/GrantPurchasePermission", admin, g.id, v.market.body(deed{kind: grant, party: g.party}))
		require.NoError(t, err)
		looked, err := s.request(t.Context(), http.MethodGet, "/api/commands/"+g.id, admin, "", nil)
		require.NoError(t, err)
		if a.status == http.StatusServiceUnavailable || looked.status == http.StatusServiceUnavailable {
			waiting++
		}
		if a.status == http.StatusOK && string(a.body) != g.answer {
			findings = append(findings, finding{duplicated, fmt.Sprintf("%s was first answered %s, now %s", g.id, g.answer, a.body)})
		}
		if a.status != http.StatusOK && a.status != http.StatusServiceUnavailable || looked.status != http.StatusOK && looked.status != http.StatusServiceUnavailable {
			findings = append(findings, finding{wrong, fmt.Sprintf("%s: %d %s; looked up: %d %s", g.id, a.status, a.body, looked.status, looked.body)})
		}
	}
	if at := newest(t, s); at != v.position {
		findings = append(findings, finding{duplicated, fmt.Sprintf("the log went on to position %d from %d", at, v.position)})
	}
	if r := s.get("/api/customers", admin); r.status != http.StatusOK {
		findings = append(findings, finding{wrong, fmt.Sprintf("the ledger answers %d %s", r.status, r.body)})
	}
	return waiting, findings
}

// newest is the position of the newest event that a server has decided on, which the read models may not
// have taken in yet.
func newest(t *testing.T, s *server) uint64 {
	t.Helper()
	var health struct{ Position uint64 }
	require.NoError(t, json.Unmarshal(s.get("/readyz", "").body, &health))
	return health.Position
}

// round rots a copy at rest or under a server, and looks for what follows. Whoever is told to wait must be
// answered in the end.
func (v *veteran) round(t *testing.T, random *rand.Rand, binary string) (what string, findings []finding) {
	t.Helper()
	dir := copied(t, v.dir)
	defer os.RemoveAll(dir) //nolint:errcheck // removed with the test's own directory at the latest
	var s *server
	var err error
	if random.IntN(2) == 0 {
		s = relaunched(t, binary, dir)
		what = "under a server: " + v.rotIDs(t, random, dir)
	} else {
		what = "at rest: " + v.rotIDs(t, random, dir)
		if s, err = launch(t, binary, dir, patience); err != nil {
			return what, []finding{{wrong, "it does not start: " + err.Error()}}
		}
	}
	defer s.kill()
	deadline := time.Now().Add(2 * time.Minute)
	for waiting := 1; waiting > 0 && len(findings) == 0; {
		waiting, findings = v.again(t, s)
		if waiting > 0 && time.Now().After(deadline) {
			findings = append(findings, finding{wrong, fmt.Sprintf("%d commands are told to wait for ever", waiting)})
		}
	}
	if len(findings) > 0 || random.IntN(3) > 0 {
		return what, findings
	}
	s.kill()
	s = relaunched(t, binary, dir)
	defer s.kill()
	if waiting, found := v.again(t, s); waiting > 0 || len(found) > 0 {
		findings = append(found, finding{wrong, fmt.Sprintf("after another kill %d commands are told to wait", waiting)})
	}
	return what, findings
}

// TestG4RotAmongTheCommandIDsRepeatsNothing damages the files that say which commands were carried out, and
// sends old ones again: a permission that was turned off must stay off.
func TestG4RotAmongTheCommandIDsRepeatsNothing(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	v := newVeteran(t)
	var bad []string
	for range rounds(6, 200) {
		what, findings := v.round(t, random, program)
		t.Logf("%s: %v", what, findings)
		for _, f := range findings {
			bad = append(bad, what+": "+f.text)
		}
		count.add(len(v.grants), findings)
	}
	require.Empty(t, bad)
}

// TestG4TheSearchForRepeatedCommandsSeesAProgramThatBelievesItsFiles runs the campaign with a program that does
// not compare the checksums of blocks.
func TestG4TheSearchForRepeatedCommandsSeesAProgramThatBelievesItsFiles(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	broken := brokenProgram(t, change{
		"eventstore/dedup/format.go", "{ return b.stored() == b.sum(bound, n) }", "{ return n >= 0 || b.stored() == b.sum(bound, n) }",
	})
	v := newVeteran(t)
	for range 60 {
		what, findings := v.round(t, random, broken)
		for _, f := range findings {
			if f.kind == duplicated {
				t.Logf("%s: %s", what, f.text)
				return
			}
		}
	}
	t.Fatal("a program that believes damaged files repeats nothing in 60 rounds")
}
