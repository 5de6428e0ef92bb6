package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// program is the path of the binary under test, built once as a user would.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "permledger-program-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
		program = filepath.Join(dir, "permledger")
		build := exec.Command("go", "build", "-o", program, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the program under test: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// result is what a run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

// invoke runs the program to its end.
func invoke(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return invokeAs(t, []string{program}, dir, args...)
}

// invokeAs runs a program, by the words it begins with, to its end.
func invokeAs(t *testing.T, words []string, dir string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	words = append(append(slices.Clone(words), "--data", dir), args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited { //nolint:errorlint // as exec gives it
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeeds runs the program and gives what it printed.
func succeeds(t *testing.T, dir string, args ...string) string {
	t.Helper()
	r := invoke(t, dir, args...)
	require.Zero(t, r.code, "%v\n%s%s", args, r.stdout, r.stderr)
	return r.stdout
}

// environment is that of the test without settings of the program.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PERMLEDGER_") {
			env = append(env, e)
		}
	}
	return env
}

// server is a running permledger serve.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	logs *journal
}

// journal is what a process says, to be read while it says more.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// serve starts the program on a directory and waits until it says that it is ready.
func serve(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	return relaunched(t, program, dir, args...)
}

// kill ends the server without a word, as a power switch would end the process.
func (s *server) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// stop asks the server to end and waits for it.
func (s *server) stop() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.cmd.Wait(), s.logs.String())
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// decoded reads a JSON object.
func (a answer) decoded(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(a.body, &v), string(a.body))
	return v
}

// request sends one request; an error means that no answer came.
func (s *server) request(ctx context.Context, method, path, token, id string, body any) (answer, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		reader = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, reader)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if id != "" {
		r.Header.Set("Idempotency-Key", id)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, data}, err
}

// get reads what must be there.
func (s *server) get(path, token string) answer {
	s.t.Helper()
	a, err := s.request(s.t.Context(), http.MethodGet, path, token, "", nil)
	require.NoError(s.t, err)
	return a
}

// items reads a list that reflects everything up to a position.
func (s *server) items(path, token string, position any) []map[string]any {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Ledger-Min-Position", fmt.Sprint(position))
	response, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close() //nolint:errcheck // it was read
	var page struct {
		Items []map[string]any `json:"items"`
	}
	require.Equal(s.t, http.StatusOK, response.StatusCode)
	require.NoError(s.t, json.NewDecoder(response.Body).Decode(&page))
	return page.Items
}

// send sends a command under a new id.
func (s *server) send(token, name string, body map[string]any) answer {
	s.t.Helper()
	a, err := s.request(s.t.Context(), http.MethodPost, "/api/commands/"+name, token, uuid.NewString(), body)
	require.NoError(s.t, err)
	return a
}

// accepted sends a command that must be accepted and gives the position of its last event. Where the server cannot
// answer in time, as on a busy machine, it is sent again under its id.
func (s *server) accepted(token, name string, body map[string]any) (position uint64, events []any) {
	s.t.Helper()
	id := uuid.NewString()
	var a answer
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		var err error
		a, err = s.request(s.t.Context(), http.MethodPost, "/api/commands/"+name, token, id, body)
		require.NoError(s.t, err)
		if a.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			break
		}
	}
	require.Equal(s.t, http.StatusOK, a.status, "%s: %s", name, a.body)
	v := a.decoded(s.t)
	return uint64(v["position"].(float64)), v["events"].([]any)
}

// refused sends a command that a rule must refuse.
func (s *server) refused(token, name string, body map[string]any, status int, rule, code string) string {
	s.t.Helper()
	a := s.send(token, name, body)
	require.Equal(s.t, status, a.status, "%s: %s", name, a.body)
	require.Equal(s.t, "application/problem+json", a.header.Get("Content-Type"))
	v := a.decoded(s.t)
	require.Equal(s.t, code, v["code"], string(a.body))
	if rule != "" {
		require.Equal(s.t, rule, v["rule"], string(a.body))
	}
	return v["detail"].(string)
}

// mint makes a development token for the data directory.
func mint(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return strings.TrimSpace(succeeds(t, dir, append([]string{"token"}, args...)...))
}
