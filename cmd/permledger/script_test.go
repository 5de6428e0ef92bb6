package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCommandLine runs testdata/script: each file is a story on the command line, with its own directory.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(program)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("PERMLEDGER_DATA", filepath.Join(env.WorkDir, "ledger"))
			env.Setenv("PARTNER", fabrikam)
			env.Setenv("CUSTOMER", contoso)
			env.Setenv("PROD", prod)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"mint":  mintInScript,
		},
	})
}

// exits runs the program and holds its exit code: exits 3 permledger grant …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE permledger ARGUMENTS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	if got := exitStatus(err); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// mintInScript makes a token and puts it into the environment: mint NAME ARGUMENTS…
func mintInScript(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("permledger", append([]string{"token", "--partner", fabrikam}, args[1:]...)...))
	ts.Setenv(args[0], firstLine(ts.ReadFile("stdout")))
}

func exitStatus(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return strconv.Itoa(exit.ExitCode())
	}
	return "0"
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
