package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// jetStream connects to a server as the nats command does.
func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

// TestForeignBytesInTheLogOfACluster publishes into the log as anybody could where the servers let them, and
// follows the manual: how far it is sound, what is kept, and how it is put right while a node runs.
func TestForeignBytesInTheLogOfACluster(t *testing.T) {
	t.Parallel()
	url := external(t)
	flags := []string{"--nats", url, "--nats-sync-always", "--nats-confirm", "300ms"}
	dir := t.TempDir()
	s := serve(t, dir, append(flags, "--init")...)
	m := newMarket(t, dir, 2, 2)
	m.register(s)
	admin := m.tokens[""]
	joining := append(flags, "--join", ledgerID(t, dir)) // for what looks at it from elsewhere
	whole := exported(t, t.TempDir(), joining...)
	js := jetStream(t, url)
	_, err := js.Publish(t.Context(), "permledger.commits", []byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.get("/readyz", "").status == 503 }, patience, 50*time.Millisecond)

	aside := t.TempDir()
	r := invoke(t, aside, append([]string{"verify"}, joining...)...)
	require.Equal(t, exitIntegrity, r.code, r.stderr)
	require.Contains(t, r.stderr, "records are sound, up to position")
	require.Contains(t, r.stderr, `was not written by permledger: 1 byte, "x"`)

	path := filepath.Join(aside, "part.jsonl")
	r = invoke(t, aside, append([]string{"export", path}, joining...)...)
	require.Equal(t, exitIntegrity, r.code, r.stderr)
	require.NoFileExists(t, path, "not without being asked for a part")
	r = invoke(t, aside, append([]string{"export", "--until-damage", path}, joining...)...)
	require.Equal(t, exitIntegrity, r.code, r.stderr)
	part, err := os.ReadFile(path)
	require.NoError(t, err)
	all, err := os.ReadFile(whole)
	require.NoError(t, err)
	require.Equal(t, string(all), string(part), "every record before the damage")
	backup := filepath.Join(aside, "part.backup")
	r = invoke(t, aside, append([]string{"backup", "--until-damage", backup}, joining...)...)
	require.Equal(t, exitIntegrity, r.code, r.stderr)
	require.Contains(t, r.stderr, "was not written by permledger")
	restored := filepath.Join(aside, "restored")
	succeeds(t, restored, "restore", backup)
	again, err := os.ReadFile(exported(t, restored))
	require.NoError(t, err)
	require.Equal(t, string(all), string(again), "a backup of the sound part is a backup")

	mender := t.TempDir()
	r = invoke(t, mender, append([]string{"repair", "--dry-run"}, flags...)...)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stderr, `1 byte, "x"`)
	require.Equal(t, 503, s.get("/readyz", "").status)
	r = invoke(t, mender, append([]string{"-o", "json", "repair"}, flags...)...)
	require.Zero(t, r.code, r.stderr)
	var cleaned struct{ Kept string }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &cleaned))
	evidence, err := os.ReadFile(filepath.Join(mender, cleaned.Kept, "foreign.jsonl"))
	require.NoError(t, err)
	require.Contains(t, string(evidence), `"data":"eA=="`)

	require.Eventually(t, func() bool { return s.get("/readyz", "").status == 200 }, patience, 50*time.Millisecond, "the node goes on without a restart")
	s.accepted(admin, "RegisterCustomer", map[string]any{"customerId": "7f1cfc9f-7b4c-4f3a-9f4e-0d6c3d5d2b11", "companyName": "Later", "domain": "later.example"})
	s.stop()
	verified(t, dir, flags...)
	after, err := os.ReadFile(exported(t, t.TempDir(), joining...))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(after, all), "no record was dropped")
	require.Greater(t, len(after), len(all))
}

// unsettled takes the stream from under a node for a while, shorter than it needs to be called damage, and
// looks for answers that call it damage.
func unsettled(t *testing.T, binary string) (findings []finding) {
	t.Helper()
	url := external(t)
	dir := t.TempDir()
	s := relaunched(t, binary, dir, "--nats", url, "--nats-sync-always", "--init", "--nats-confirm", "1h")
	m := newMarket(t, dir, 1, 1)
	m.register(s)
	admin := m.tokens[""]
	js := jetStream(t, url)
	stream, err := js.Stream(t.Context(), "PERMLEDGER")
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	other := config
	other.Subjects = []string{"elsewhere"}
	_, err = js.UpdateStream(t.Context(), other)
	require.NoError(t, err)
	grant := map[string]any{"customerId": m.parties[0].customer, "product": "AzureReservedInstances", "reason": "they asked for it"}
	look := func() (settled bool) {
		health := s.get("/readyz", "")
		command := s.send(admin, "GrantPurchasePermission", grant)
		for _, a := range []answer{health, command} {
			if strings.Contains(string(a.body), "integrity failure") && !strings.Contains(string(a.body), "unconfirmed: ") || strings.Contains(string(a.body), `"integrity`) {
				findings = append(findings, finding{wrong, string(a.body)})
			}
		}
		if command.status == 503 {
			require.NotEmpty(t, command.header.Get("Retry-After"))
		}
		return health.status == 200 && command.status == 200
	}
	require.Eventually(t, func() bool {
		look()
		body := string(s.get("/readyz", "").body)
		return strings.Contains(body, "unconfirmed: ") || len(findings) > 0
	}, patience, 50*time.Millisecond)
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	require.Eventually(t, look, patience, 50*time.Millisecond, "it ends by itself")
	s.stop()
	return findings
}

func TestG11ADoubtIsNotCalledDamageAndEndsByItself(t *testing.T) {
	t.Parallel()
	require.Empty(t, unsettled(t, program))
}

// TestG11ADoubtThatIsBelievedAtOnceIsCaught breaks the confirmation.
func TestG11ADoubtThatIsBelievedAtOnceIsCaught(t *testing.T) {
	t.Parallel()
	binary := brokenProgram(t, change{"eventstore/doubt.go", "\tif l.opts.Shared {\n\t\tl.failure = &DoubtError{Since: time.Now(), Finding: finding}\n", "\tif l.opts.Shared {\n"})
	require.Contains(t, kinds(unsettled(t, binary)), wrong)
}

func TestNATSThatIsDownIsWaitedForAndThenAnError(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	began := time.Now()
	r := invoke(t, t.TempDir(), "serve", "--listen", "127.0.0.1:0", "--nats", "nats://node:secret@"+address, "--nats-sync-always")
	require.Equal(t, exitUnavailable, r.code, r.stderr)
	require.GreaterOrEqual(t, time.Since(began), 29*time.Second)
	require.Contains(t, r.stderr, "waiting for NATS")
	require.Contains(t, r.stderr, address)
	require.NotContains(t, r.stderr, "secret")
}

func TestOtherReplicasThanAskedForAreRefused(t *testing.T) {
	t.Parallel()
	flags := []string{"--nats", external(t), "--nats-sync-always"}
	dir := t.TempDir()
	serve(t, dir, append(flags, "--init")...).stop()
	r := invoke(t, dir, append([]string{"serve", "--listen", "127.0.0.1:0", "--replicas", "3"}, flags...)...)
	require.Equal(t, exitUsage, r.code, r.stderr)
	require.Contains(t, r.stderr, "nats stream edit PERMLEDGER --replicas 3")
	serve(t, dir, append(flags, "--replicas", "1")...).stop()
}
