package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// beginning is a way in which a ledger comes into a directory.
type beginning struct {
	name    string
	args    []string
	cluster bool
	head    string        // that the ledger then has; empty where it is a new one
	takes   time.Duration // when nobody kills it, 0 until it is known
	events  int
}

// beginnings are all the ways, of the same ledger where it is not a new one.
func beginnings(t *testing.T) []beginning {
	t.Helper()
	whole := filled(t)
	file, export := backup(t, whole, filepath.Join(t.TempDir(), "whole.backup")).File, exported(t, whole)
	head := headOf(t, whole)
	return []beginning{
		{name: "init", args: []string{"init"}},
		{name: "restore", args: []string{"restore", file}, head: head, events: 50},
		{name: "import", args: []string{"import", export}, head: head, events: 50},
		{name: "init on a cluster", args: []string{"init"}, cluster: true},
		{name: "import on a cluster", args: []string{"import", export}, cluster: true, head: head, events: 50},
	}
}

// flags name a new cluster where the beginning wants one.
func (b *beginning) flags(t *testing.T) []string {
	t.Helper()
	if !b.cluster {
		return nil
	}
	return []string{"--nats", external(t), "--nats-sync-always"}
}

// refusedToServe is what a directory without a complete ledger is told.
var refusedToServe = regexp.MustCompile(`permledger init|run the same command again|run permledger import again`)

// disturb kills a beginning once or twice, at any moment of it, and asks a program to serve what is there after
// each kill: it refuses, or serves the complete ledger. Then the same command finishes.
func (b *beginning) disturb(t *testing.T, binary string, random *rand.Rand) (findings []finding) {
	t.Helper()
	dir, flags := filepath.Join(t.TempDir(), "ledger"), b.flags(t)
	args := append(append([]string{"-q"}, b.args...), flags...)
	if b.takes == 0 {
		started := time.Now()
		succeeds(t, filepath.Join(t.TempDir(), "new"), append(b.args, b.flags(t)...)...)
		b.takes = time.Since(started)
	}
	for range 1 + random.IntN(2) {
		killedAfter(t, time.Duration(random.Int64N(int64(b.takes))), dir, args...)
		s, err := launch(t, binary, dir, patience, flags...)
		if err != nil {
			require.Equal(t, exitUsage, s.cmd.ProcessState.ExitCode(), s.logs.String())
			require.Regexp(t, refusedToServe, s.logs.String())
			continue
		}
		s.stop()
		head, _ := verified(t, dir, flags...)
		if b.head != "" && head != b.head {
			return []finding{{lost, fmt.Sprintf("%s was killed, and another ledger served", b.name)}}
		}
		return nil
	}
	succeeds(t, dir, args...)
	s := relaunched(t, program, dir, flags...)
	s.stop()
	head, _ := verified(t, dir, flags...)
	if b.head != "" && head != b.head {
		findings = append(findings, finding{lost, fmt.Sprintf("%s was killed, and what finished it made another ledger", b.name)})
	}
	return findings
}

// TestG1AKilledBeginningIsNeverServedAsAnEmptyLedger: everything a restore or an import brings was acknowledged
// once.
func TestG1AKilledBeginningIsNeverServedAsAnEmptyLedger(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	list := beginnings(t)
	for round := range rounds(len(list), 40*len(list)) {
		b := &list[round%len(list)]
		findings := b.disturb(t, program, random)
		count.add(b.events, findings)
		require.Empty(t, findings)
	}
}

// TestG1AProgramThatFoundsWhateverIsEmptyIsCaught lets every directory in and a ledger begin in it.
func TestG1AProgramThatFoundsWhateverIsEmptyIsCaught(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	binary := brokenProgram(t,
		change{"handlers/ledger/found.go", "\tif c.External.URL != \"\" {\n\t\treturn nil // what", "\tif true {\n\t\treturn nil // what"},
		change{"handlers/ledger/store.go", "Found: c.Found, ", "Found: true, "})
	restore := &beginnings(t)[1]
	for range 50 {
		if findings := restore.disturb(t, binary, random); len(findings) > 0 {
			require.Equal(t, []string{lost}, kinds(findings))
			return
		}
	}
	t.Fatal("a program that founds where a restore was killed was not caught")
}

// TestANodeNamesTheLedgerItJoins starts nodes with an empty directory on a cluster that holds a ledger, and on
// one that has lost it.
func TestANodeNamesTheLedgerItJoins(t *testing.T) {
	t.Parallel()
	url := external(t)
	flags := []string{"--nats", url, "--nats-sync-always", "--nats-confirm", "1s"} // nobody elects anybody here
	first := t.TempDir()
	none := filepath.Join(t.TempDir(), "none")
	refusedWith := func(words string, args ...string) {
		t.Helper()
		s, err := launch(t, program, none, patience, append(flags, args...)...)
		require.Error(t, err)
		require.Equal(t, exitUsage, s.cmd.ProcessState.ExitCode(), s.logs.String())
		require.Contains(t, s.logs.String(), words)
		if len(args) == 0 {
			require.NoDirExists(t, none)
		}
	}
	refusedWith("permledger init")
	succeeds(t, first, append([]string{"init"}, flags...)...)
	s := relaunched(t, program, first, flags...)
	ledger := ledgerID(t, first)
	refusedWith("add --join " + ledger)
	for _, look := range [][]string{{"verify"}, {"export"}, {"replay"}, {"backup", filepath.Join(t.TempDir(), "x")}} {
		r := invoke(t, none, append(look, flags...)...)
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, "--join "+ledger)
		require.NoDirExists(t, none)
	}
	refusedWith("with --join "+ledger+" and without --init", "--init")
	refusedWith("holds ledger "+ledger+", not 7b2ad2b2-4a57-4cf3-a8a6-0a3a4f0f7d10", "--join", "7b2ad2b2-4a57-4cf3-a8a6-0a3a4f0f7d10")
	require.Equal(t, exitUsage, invoke(t, none, append([]string{"init"}, flags...)...).code)
	require.NoFileExists(t, filepath.Join(none, "ledger.json"))

	node := t.TempDir()
	relaunched(t, program, node, append(flags, "--join", ledger)...).stop()
	require.Equal(t, ledger, ledgerID(t, node))
	relaunched(t, program, node, flags...).stop() // it has an identity now
	s.stop()

	conn, err := nats.Connect(url)
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "PERMLEDGER"))
	require.NoError(t, os.RemoveAll(none))
	refusedWith("there is no ledger")
	refusedWith("ledger "+ledger+" cannot be joined", "--join", ledger)
	r := invoke(t, node, append([]string{"verify"}, flags...)...)
	require.Equal(t, exitIntegrity, r.code, "a node knows what it lost: %s", r.stderr)
	r = invoke(t, node, append([]string{"init"}, flags...)...)
	require.NotZero(t, r.code, "nor does it found another one")
	_, err = js.Stream(t.Context(), "PERMLEDGER")
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound, "nobody made a stream")
}
