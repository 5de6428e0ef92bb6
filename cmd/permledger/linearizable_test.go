package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// standing is what decides about a customer's purchases.
type standing struct {
	on, active bool
	owners     uint32 // a bit for each user
}

// expected is the code of the first rule against a purchase; empty when it is allowed.
func (s standing) expected(user int) string {
	switch {
	case !s.on:
		return "purchase-permission-off"
	case !s.active:
		return "billing-subscription-inactive"
	case s.owners&(1<<user) == 0:
		return "owner-role-missing"
	default:
		return ""
	}
}

// step says whether a deed may have had its answer in a standing, and what follows from it. A deed without
// an answer may have had any; one that never happened happens after everything else.
func (s standing) step(d *deed) (bool, standing) {
	want, next := "", s
	switch d.kind {
	case purchase, check:
		want = s.expected(d.user)
	case grant:
		if !s.on && !s.active {
			want = "no-eligible-subscription"
		} else {
			next.on = true
		}
	case revoke:
		next.on = false
	case suspend:
		next.active = false
	case resume:
		next.active = true
	case assign:
		next.owners |= 1 << d.user
	case remove:
		next.owners &^= 1 << d.user
	}
	return !d.known || d.code == want, next
}

// linearizable asks whether the deeds can be put into one order, in accord with when each was sent and
// answered, that explains all answers.
func linearizable(m *market, deeds []deed) porcupine.CheckResult {
	worst := porcupine.Ok
	for p := range m.parties {
		var history []porcupine.Operation
		for i := range deeds {
			d := &deeds[i]
			// What changes nothing and has no answer constrains nothing.
			if d.party != p || !d.known && (d.kind == purchase || d.kind == check) {
				continue
			}
			history = append(history, porcupine.Operation{ClientId: d.client, Input: d, Call: d.called, Return: d.returned})
		}
		model := porcupine.Model{
			Init: func() any { return m.opening(p) },
			Step: func(state, input, _ any) (bool, any) {
				return state.(standing).step(input.(*deed))
			},
		}
		switch porcupine.CheckOperationsTimeout(model, history, 2*time.Minute) {
		case porcupine.Illegal:
			return porcupine.Illegal
		case porcupine.Unknown:
			worst = porcupine.Unknown
		case porcupine.Ok:
		}
	}
	return worst
}

// trial is a history and what the checkers say about it.
type trial struct {
	deeds             []deed
	acknowledged      int
	findings          []finding
	order             porcupine.CheckResult
	accepted, refused int
}

// tryout lets eight clients act on a program that is killed some times, and asks the checkers.
func tryout(t *testing.T, binary string, random *rand.Rand, size int64, kills int) trial {
	t.Helper()
	dir := t.TempDir()
	s := relaunched(t, binary, dir, "--init")
	m := newMarket(t, dir, 3, 10)
	m.register(s)
	aimed := aim(s)
	c := m.enter(random, 8, aimed)
	for k := range kills {
		part := size / int64(kills+1)
		c.reach(t, part*int64(k)+1+random.Int64N(part))
		s.kill()
		s = relaunched(t, binary, dir)
		aimed.set(s)
	}
	c.reach(t, size)
	r := trial{deeds: c.leave(t, s)}
	s.stop()
	for i := range r.deeds {
		if r.deeds[i].accepted() {
			r.acknowledged++
		}
	}
	r.findings, r.accepted, r.refused = audit(t, exported(t, dir), m, r.deeds)
	r.order = linearizable(m, r.deeds)
	return r
}

func TestG3EveryHistoryWithKillsIsLinearizableAndEveryDecisionHolds(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	var deeds, open, accepted, refused int
	for range rounds(2, 40) {
		r := tryout(t, program, random, 1500, 3)
		count.add(r.acknowledged, r.findings)
		require.Empty(t, r.findings)
		require.Equal(t, porcupine.Ok, r.order)
		require.NotZero(t, r.accepted)
		require.NotZero(t, r.refused)
		deeds, accepted, refused = deeds+len(r.deeds), accepted+r.accepted, refused+r.refused
		for i := range r.deeds {
			if !r.deeds[i].known {
				open++
			}
		}
	}
	t.Logf("%d requests, %d without an answer; %d purchases accepted and %d refused on record, all decided alike", deeds, open, accepted, refused)
}

// TestG3AProgramThatForgetsThePermissionIsCaught breaks the decision: now and then a customer whose
// permission is off may buy.
func TestG3AProgramThatForgetsThePermissionIsCaught(t *testing.T) {
	t.Parallel()
	binary := brokenProgram(t,
		change{"domain/check.go", "package domain\n", "package domain\n\nimport \"sync/atomic\"\n\nvar looks atomic.Uint64\n"},
		change{"domain/check.go", "if !c.permissions[p.index()] {", "if !c.permissions[p.index()] && looks.Add(1)%10 != 0 {"})
	r := tryout(t, binary, seeded(t), 1500, 1)
	require.Contains(t, kinds(r.findings), wrong, "the second implementation disagrees")
	require.Equal(t, porcupine.Illegal, r.order, "no order explains the answers")
}

// TestG1AProgramThatLosesAnAppendIsCaught breaks the store: an append in so many is acknowledged, but not
// stored.
func TestG1AProgramThatLosesAnAppendIsCaught(t *testing.T) {
	t.Parallel()
	every := "100"
	if torture {
		every = "1000"
	}
	binary := brokenProgram(t,
		change{"eventstore/flight.go", "// landing is how", "var launches int\n\n// landing is how"},
		change{"eventstore/flight.go", "\tw.flight, w.forming = g, nil\n", `
	if launches++; launches%` + every + ` == 0 && g.count > 0 {
		w.forming = nil
		w.decider.Discard()
		w.answer(g, nil)
		w.release(g)
		return
	}
	w.flight, w.forming = g, nil
`})
	size := int64(1500)
	if torture {
		size = 15_000
	}
	r := tryout(t, binary, seeded(t), size, 1)
	require.Contains(t, kinds(r.findings), lost)
}

func kinds(findings []finding) (list []string) {
	for _, f := range findings {
		list = append(list, f.kind)
	}
	return list
}
