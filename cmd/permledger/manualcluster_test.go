package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	broker "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"permledger/cmd/permledger/docs"
	"permledger/eventstore/embedded"
)

// The passwords of the manual's configuration, for the tests.
var clusterPasswords = map[string]string{
	"PERMLEDGER_PASSWORD": "p", "OPERATOR_PASSWORD": "o", "READER_PASSWORD": "r", "ADMIN_PASSWORD": "a",
}

// manualServer runs a server with the configuration that the manual gives, apart from its addresses, its
// directory and the other servers.
func manualServer(t *testing.T) (address string) {
	t.Helper()
	page, err := docs.Find("cluster")
	require.NoError(t, err)
	_, text, found := strings.Cut(page.Text, "```nats\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	require.Contains(t, text, "sync_interval: always")
	dir := t.TempDir()
	alone := regexp.MustCompile(`(?s)\ncluster \{.*?\n\}\n`)
	for old, with := range map[string]string{`"0.0.0.0:4222"`: `"127.0.0.1:-1"`, `"/var/lib/nats"`: fmt.Sprintf("%q", dir), alone.FindString(text): "\n"} {
		require.Contains(t, text, old)
		text = strings.Replace(text, old, with, 1)
	}
	for name, password := range clusterPasswords {
		require.Contains(t, text, "$"+name)
		text = strings.ReplaceAll(text, "$"+name, password)
	}
	config := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	opts, err := broker.ProcessConfigFile(config)
	require.NoError(t, err)
	opts.NoSigs, opts.NoLog = true, true
	s, err := broker.NewServer(opts)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(time.Minute))
	return strings.TrimPrefix(s.ClientURL(), "nats://")
}

// as connects as a user of the manual's configuration.
func as(t *testing.T, user, address string) *nats.Conn {
	t.Helper()
	password := map[string]string{"permledger": "p", "operator": "o", "reader": "r", "admin": "a"}[user]
	conn, err := nats.Connect("nats://"+user+":"+password+"@"+address, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

// messages says how many messages are in the log.
func messages(t *testing.T, address string) string {
	t.Helper()
	m, err := as(t, "operator", address).Request("$JS.API.STREAM.INFO.PERMLEDGER", nil, patience)
	require.NoError(t, err)
	return regexp.MustCompile(`"last_seq":\d+`).FindString(string(m.Data))
}

// TestTheManualsConfigurationKeepsOthersOutOfTheLog runs the ledger on a server with exactly that configuration,
// and lets everybody else try to write into its log, also by having an answer delivered there.
func TestTheManualsConfigurationKeepsOthersOutOfTheLog(t *testing.T) {
	t.Parallel()
	address := manualServer(t)
	dir := t.TempDir()
	flags := []string{"--nats", "nats://permledger:p@" + address, "--nats-sync-always"}
	s := relaunched(t, program, dir, append(flags, "--init")...)
	m := newMarket(t, dir, 1, 1)
	m.register(s)
	own, err := embedded.Connect(t.Context(), "nats://permledger:p@"+address, embedded.ConnectOptions{SyncAlways: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = own.Close() })
	require.Empty(t, own.Exposures(t.Context(), "PERMLEDGER", "permledger.commits"), "a node finds nothing to warn of")
	before := messages(t, address)

	_, err = nats.Connect("nats://" + address)
	require.ErrorIs(t, err, nats.ErrAuthorization, "nobody gets in without a password")
	const log = "permledger.commits"
	for _, user := range []string{"reader", "admin"} {
		conn := as(t, user, address)
		require.NoError(t, conn.Publish(log, []byte("x")))
		for _, request := range []string{"STREAM.INFO.PERMLEDGER", "STREAM.MSG.GET.PERMLEDGER", "DIRECT.GET.PERMLEDGER", "INFO", "STREAM.NAMES"} {
			require.NoError(t, conn.PublishRequest("$JS.API."+request, log, []byte(`{"seq":1}`)))
			require.NoError(t, conn.PublishRequest("LEDGER.API."+request, log, []byte(`{"seq":1}`)))
		}
		for _, request := range []string{"STREAM.DELETE.PERMLEDGER", "STREAM.PURGE.PERMLEDGER", "STREAM.UPDATE.PERMLEDGER", "STREAM.CREATE.OTHER", "CONSUMER.CREATE.PERMLEDGER.x"} {
			// Silence, or that there is no JetStream for this account.
			if m, err := conn.Request("$JS.API."+request, nil, 200*time.Millisecond); err == nil {
				require.Contains(t, string(m.Data), `"err_code":10039`, "%s: %s", user, request)
			}
		}
		require.NoError(t, conn.Flush())
	}
	node := as(t, "permledger", address)
	for _, request := range []string{"STREAM.DELETE.PERMLEDGER", "STREAM.PURGE.PERMLEDGER", "STREAM.MSG.DELETE.PERMLEDGER", "STREAM.UPDATE.PERMLEDGER", "STREAM.RESTORE.PERMLEDGER"} {
		_, err := node.Request("$JS.API."+request, nil, 200*time.Millisecond)
		require.Error(t, err, "the ledger's own user: %s", request)
	}
	require.Equal(t, before, messages(t, address), "nothing has come into the log")
	s.stop()

	reading := []string{"--nats", "nats://reader:r@" + address, "--nats-api-prefix", "LEDGER.API", "--nats-sync-always", "--join", ledgerID(t, dir)}
	auditor := t.TempDir()
	succeeds(t, auditor, append([]string{"verify"}, reading...)...)
	succeeds(t, auditor, append([]string{"export", filepath.Join(auditor, "log.jsonl")}, reading...)...)
}

// TestARequestCouldDeliverIntoTheLog shows that the test above can fail, and why readers have an account of
// their own.
func TestARequestCouldDeliverIntoTheLog(t *testing.T) {
	t.Parallel()
	address := manualServer(t)
	s := relaunched(t, program, t.TempDir(), "--nats", "nats://permledger:p@"+address, "--nats-sync-always", "--init")
	s.stop()
	before := messages(t, address)
	conn := as(t, "operator", address)
	require.NoError(t, conn.PublishRequest("$JS.API.STREAM.INFO.PERMLEDGER", "permledger.commits", nil))
	require.Eventually(t, func() bool { return messages(t, address) != before }, patience, 50*time.Millisecond)
}
