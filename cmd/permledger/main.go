// Command permledger is the ledger: server, command line and manual in one binary. Each subcommand has
// a file of its name.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line; every flag can be given as PERMLEDGER_<NAME> in the environment.
type cli struct {
	Data   string `help:"Data directory." default:"./permledger-data" type:"path" placeholder:"DIR"`
	Server string `help:"Talk to the server at this address instead of opening the data directory." placeholder:"URL"`
	Token  string `help:"Bearer token; better given as PERMLEDGER_TOKEN." placeholder:"JWT"`
	Output string `short:"o" help:"Form of results: ${enum}." enum:"table,json,jsonl,csv" default:"table"`
	Quiet  bool   `short:"q" help:"No progress and no remarks."`

	Init      initCommand  `cmd:"" help:"Found a new ledger in an empty data directory or cluster."`
	Serve     serveCommand `cmd:"" help:"Serve the ledger over HTTP."`
	Demo      demoCommand  `cmd:"" help:"Serve a fresh ledger with a day's worth of data."`
	MakeToken tokenCommand `cmd:"" name:"token" help:"Make a development token."`

	Command  commandCommand  `cmd:"" help:"Send any command by its name."`
	Grant    grantCommand    `cmd:"" help:"Allow a customer to buy a product itself."`
	Revoke   revokeCommand   `cmd:"" help:"Stop a customer from buying a product itself."`
	Purchase purchaseCommand `cmd:"" help:"Buy a reservation."`

	Permissions  permissionsCommand  `cmd:"" help:"Who may buy what."`
	Orders       ordersCommand       `cmd:"" help:"Order history: the customers' purchases beside the partner's."`
	Reservations reservationsCommand `cmd:"" help:"Reservations, their state and what they reach."`
	Activity     activityCommand     `cmd:"" help:"Activity log, denied attempts included."`
	Check        checkCommand        `cmd:"" help:"Would a purchase be allowed now, and if not, which rules say no?"`

	Replay replayCommand `cmd:"" help:"Build the read models again from the log, or as of a position or time."`
	Verify verifyCommand `cmd:"" help:"Check sequence, positions and hash chain of the whole log."`
	Export exportCommand `cmd:"" help:"Write the stored records as JSON Lines."`
	Import importCommand `cmd:"" help:"Fill an empty ledger from an export."`
	Prices pricesCommand `cmd:"" help:"Price lists."`

	Bench benchCommand `cmd:"" help:"Measure this machine, every figure beside its baseline."`

	Backup  backupCommand  `cmd:"" help:"Write the whole ledger into one checked file, also while it is served."`
	Restore restoreCommand `cmd:"" help:"Make a ledger in an empty data directory from a backup."`
	Repair  repairCommand  `cmd:"" help:"Restore a damaged log or archive from the other one; with --nats, remove foreign messages from a cluster's log."`

	Docs docsCommand `cmd:"" help:"Read the manual."`
}

// app is what a subcommand works with.
type app struct {
	*cli
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run parses the command line, does what it says and gives the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("permledger"),
		kong.Description("Who allowed which customer to buy, what was bought, and the proof."),
		kong.DefaultEnvars("PERMLEDGER"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(stderr, "permledger:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited { // --help has been answered
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "permledger: %v\nTry: permledger --help\n", err)
		return exitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(&app{cli: &c, stdin: stdin, stdout: stdout, stderr: stderr})
	if err != nil {
		fmt.Fprintln(stderr, "permledger:", err)
	}
	return exitCode(err)
}

// remark tells the operator something that is no result.
func (a *app) remark(format string, args ...any) {
	if !a.Quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}
