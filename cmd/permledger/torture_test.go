package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The campaigns break the program on purpose and look for what it should not have lost, done twice or
// told wrongly. Each has a short form for every run of the tests and a long one for make torture.

// torture says whether the long forms run.
var torture = os.Getenv("PERMLEDGER_TORTURE") == "1"

// rounds is how often a campaign repeats what it does.
func rounds(short, long int) int {
	if torture {
		return long
	}
	return short
}

// seeded gives the randomness of a campaign; PERMLEDGER_SEED repeats it.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PERMLEDGER_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("PERMLEDGER_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// late notes an answer that came later than promised. Beside other tests that may be the machine: an ordinary
// run says so and goes on, make torture fails.
func late(t *testing.T, format string, args ...any) {
	t.Helper()
	if torture {
		t.Errorf(format, args...)
		return
	}
	t.Logf("late: "+format, args...)
}

// tally counts what a campaign did and found. It is printed when the test ends, and added to the file
// that make torture shows at the end.
type tally struct {
	mu                                                 sync.Mutex
	rounds, acknowledged, lost, duplicated, undetected int // guarded by mu
}

func newTally(t *testing.T) *tally {
	t.Helper()
	c := &tally{}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		line := fmt.Sprintf("%-72s %7d %12d %6d %10d %10d", t.Name(), c.rounds, c.acknowledged, c.lost, c.duplicated, c.undetected)
		t.Logf("campaign, rounds, acknowledged, lost, duplicated, undetected\n%s", line)
		path := os.Getenv("PERMLEDGER_TORTURE_SUMMARY")
		if path == "" {
			return
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		_, err = fmt.Fprintln(f, line)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// add counts a round and what the checkers found in it.
func (c *tally) add(acknowledged int, findings []finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds++
	c.acknowledged += acknowledged
	for _, f := range findings {
		switch f.kind {
		case lost:
			c.lost++
		case duplicated:
			c.duplicated++
		case wrong:
			c.undetected++
		}
	}
}

// more counts rounds whose findings come with those of another.
func (c *tally) more(rounds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds += rounds
}

// change is a piece of a source file, written as it must be found there, and what stands for it in a
// program that is broken on purpose.
type change struct{ file, old, new string }

// brokenProgram builds the program with some of its sources changed. The sources on disk stay as they are.
func brokenProgram(t *testing.T, changes ...change) string {
	t.Helper()
	dir := t.TempDir()
	replaced := make(map[string]string)
	for i, c := range changes {
		path, err := filepath.Abs(filepath.Join("..", "..", c.file))
		require.NoError(t, err)
		from := path
		if earlier, again := replaced[path]; again {
			from = earlier
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), c.old), "%s must hold once what is to be broken: %s", c.file, c.old)
		to := filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(path)))
		require.NoError(t, os.WriteFile(to, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600))
		replaced[path] = to
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, overlay, 0o600))
	binary := filepath.Join(dir, "permledger")
	build := exec.Command("go", "build", "-overlay", list, "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// launch starts a program as serve does, but gives an error when it ends, or says nothing in time. The
// server then holds its process all the same.
func launch(t *testing.T, binary, dir string, patience time.Duration, args ...string) (*server, error) {
	t.Helper()
	return launchAs(t, []string{binary}, dir, patience, args...)
}

// launchAs is launch for a program by the words it begins with.
func launchAs(t *testing.T, words []string, dir string, patience time.Duration, args ...string) (*server, error) {
	t.Helper()
	s := &server{t: t, logs: new(journal)}
	words = append(append(slices.Clone(words), "--data", dir, "serve", "--listen", "127.0.0.1:0"), args...)
	s.cmd = exec.Command(words[0], words[1:]...)
	s.cmd.Env = environment()
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.kill)
	first := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case line := <-first:
		url, found := strings.CutPrefix(strings.TrimSpace(line), "ready ")
		if !found {
			_ = s.cmd.Wait()
			return s, fmt.Errorf("exit %d: %s", s.cmd.ProcessState.ExitCode(), s.logs)
		}
		s.url = url
		return s, nil
	case <-time.After(patience):
		s.kill()
		return s, fmt.Errorf("not ready after %s: %s", patience, s.logs)
	}
}

// patience is how long a start may take here, where the processors are shared.
const patience = time.Minute

// relaunched is launch where the program must serve.
func relaunched(t *testing.T, binary, dir string, args ...string) *server {
	t.Helper()
	s, err := launch(t, binary, dir, patience, args...)
	require.NoError(t, err)
	return s
}

// wire keeps a connection for every client, as many clients' own would.
var wire = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

// exchange sends one request to a server; an error means that no answer came.
func exchange(ctx context.Context, url, method, token, id string, body any) (answer, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		reader = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if id != "" {
		r.Header.Set("Idempotency-Key", id)
	}
	return sent(r)
}

// sent sends a request and reads its answer to the end.
func sent(r *http.Request) (answer, error) {
	response, err := wire.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, data}, err
}

// target is the server that clients talk to now.
type target struct {
	mu      sync.Mutex
	server  *server
	changed chan struct{} // closed when server changes
}

func aim(s *server) *target { return &target{server: s, changed: make(chan struct{})} }

func (g *target) now() (*server, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.server, g.changed
}

func (g *target) set(s *server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.server = s
	close(g.changed)
	g.changed = make(chan struct{})
}

// unmounted unmounts a directory when the test ends, also when its process is killed: a process of its own
// waits for the end of a pipe.
func unmounted(t *testing.T, mount string) {
	t.Helper()
	waiting := exec.Command("sh", "-c", `cat >/dev/null; umount --lazy "$0" 2>/dev/null; true`, mount)
	waiting.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what interrupts the test does not interrupt it
	pipe, err := waiting.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, waiting.Start())
	t.Cleanup(func() {
		require.NoError(t, pipe.Close())
		require.NoError(t, waiting.Wait())
	})
}

// exported writes an export of a directory that nobody serves, and gives its path.
func exported(t *testing.T, dir string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "export.jsonl")
	succeeds(t, dir, append([]string{"-q", "export", path}, args...)...)
	return path
}

// verified checks a directory that nobody serves and gives the hashes of its head and its read models.
func verified(t *testing.T, dir string, args ...string) (head, models string) {
	t.Helper()
	var report struct {
		Head   struct{ Hash string } `json:"head"`
		Models string                `json:"models"`
	}
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, append([]string{"-q", "-o", "json", "verify", "--models"}, args...)...)), &report))
	require.NotEmpty(t, report.Models)
	return report.Head.Hash, report.Models
}
