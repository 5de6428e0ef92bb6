package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// natsServer builds the NATS server that this program is made with, once for all tests.
var natsServer = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(filepath.Dir(program), "nats-server")
	build := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the NATS server: %w\n%s", err, out)
	}
	return binary, nil
})

// external runs a NATS server as a process of its own, synced before it acknowledges, until the test ends.
func external(t *testing.T) (url string) {
	t.Helper()
	binary, err := natsServer()
	require.NoError(t, err)
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	config := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "listen: %q\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", address, dir), 0o600))
	cmd := exec.Command(binary, "-c", config)
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Server is ready") {
				ready <- true
			}
		}
		close(ready)
	}()
	select {
	case ok := <-ready:
		require.True(t, ok, "the NATS server ended")
	case <-time.After(patience):
		t.Fatal("the NATS server is not ready")
	}
	return "nats://" + address
}

// shareKey gives a directory the development key of another, so that both nodes take the same tokens.
func shareKey(t *testing.T, from, to string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(from, "dev-token-key.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(to, "dev-token-key.pem"), key, 0o600))
}

// ledgerID reads which ledger a data directory belongs to.
func ledgerID(t *testing.T, dir string) string {
	t.Helper()
	marks, err := eventstore.ReadMarks(dir)
	require.NoError(t, err)
	return marks.Ledger.String()
}

// race lets clients act on two nodes of one ledger while one of them is paused and one is killed.
func race(t *testing.T, binary string, random *rand.Rand, size int64) trial {
	t.Helper()
	flags := []string{"--nats", external(t), "--nats-sync-always"}
	dirs := []string{t.TempDir(), t.TempDir()}
	m := newMarket(t, dirs[0], 3, 10)
	shareKey(t, dirs[0], dirs[1])
	nodes := []*server{relaunched(t, binary, dirs[0], append(flags, "--init")...), nil}
	m.register(nodes[0])
	nodes[1] = relaunched(t, binary, dirs[1], append(flags, "--join", ledgerID(t, dirs[0]))...)
	targets := []*target{aim(nodes[0]), aim(nodes[1])}
	c := m.enter(random, 8, targets...)

	c.reach(t, size/4)
	paused := random.IntN(2)
	require.NoError(t, nodes[paused].cmd.Process.Signal(syscall.SIGSTOP))
	// Sooner or later every client waits for the paused node; until then the other one goes on.
	seen := int64(-1)
	for deadline := time.Now().Add(2 * time.Second); seen != c.done.Load() && time.Now().Before(deadline); {
		seen = c.done.Load()
		time.Sleep(50 * time.Millisecond) // that nobody comes through any more can not be signalled
	}
	require.NoError(t, nodes[paused].cmd.Process.Signal(syscall.SIGCONT))
	c.reach(t, size/2)
	killed := random.IntN(2)
	nodes[killed].kill()
	c.reach(t, c.done.Load()+size/10)
	nodes[killed] = relaunched(t, binary, dirs[killed], flags...)
	targets[killed].set(nodes[killed])
	c.reach(t, size)

	r := trial{deeds: c.leave(t, nodes[0])}
	for i := range r.deeds {
		if r.deeds[i].accepted() {
			r.acknowledged++
		}
	}
	for _, n := range nodes {
		n.stop()
	}
	r.findings, r.accepted, r.refused = audit(t, exported(t, dirs[0], flags...), m, r.deeds)
	r.order = linearizable(m, decided(r.deeds))
	head, models := verified(t, dirs[0], flags...)
	otherHead, otherModels := verified(t, dirs[1], flags...)
	require.Equal(t, head, otherHead)
	require.Equal(t, models, otherModels, "both nodes' read models hold the same")
	return r
}

// decided leaves out questions about the present: a node answers them from what it has taken in so far.
func decided(deeds []deed) (commands []deed) {
	for _, d := range deeds {
		if d.kind != check {
			commands = append(commands, d)
		}
	}
	return commands
}

func TestG3TwoProcessesOnOneLogDecideAsOne(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	count := newTally(t)
	for range rounds(2, 20) {
		r := race(t, program, random, 1200)
		count.add(r.acknowledged, r.findings)
		require.Empty(t, r.findings)
		require.Equal(t, porcupine.Ok, r.order)
		require.NotZero(t, r.accepted)
	}
}

// TestG3ANodeThatDoesNotDecideAgainIsCaught breaks what follows a conflict: a purchase keeps what was
// decided before the other node's records were known.
func TestG3ANodeThatDoesNotDecideAgainIsCaught(t *testing.T) {
	t.Parallel()
	binary := brokenProgram(t,
		change{"eventstore/group.go", "const chunkItems = 16\n", "const chunkItems = 16\n\nvar decided sync.Map // events by request\n"},
		change{"eventstore/group.go", "\t\tif it.events, it.err = w.decider.Decide(r.Command, it.first, g.at); it.err != nil {\n", `
		it.events, it.err = w.decider.Decide(r.Command, it.first, g.at)
		if len(it.events) == 1 {
			before, _ := decided.LoadOrStore(r, it.events)
			it.events = before.([]E)
		}
		if it.err != nil {
`})
	r := race(t, binary, seeded(t), 2000)
	require.Contains(t, kinds(r.findings), wrong, "a decision on an old state")
}
