package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/cmd/permledger/docs"
)

// TestTheQuickStartRunsAsWritten pastes every block of the page into one shell.
func TestTheQuickStartRunsAsWritten(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here to paste the commands into")
	}
	page, err := docs.Find("quick-start")
	require.NoError(t, err)
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page.Text, -1) {
		script.WriteString(block[1])
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, bash, "-c", script.String())
	shell.Dir = dir
	shell.Env = append(environment(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, shown := range []string{"PurchasePermissionGranted", "purchase-permission-off", "ReservationReturned", "Create Customer Purchase Permissions", "Ask Fabrikam"} {
		require.Contains(t, string(out), shown)
	}
	require.FileExists(t, filepath.Join(dir, "ledger.jsonl"))
}
