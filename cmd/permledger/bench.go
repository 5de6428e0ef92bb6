package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// benchCommand measures this machine. Every figure stands beside a baseline that the same process measured
// in the same rounds, on the same disk and with the same load: the ratio says what the ledger costs, and
// stays when the machine is another one.
type benchCommand struct {
	Quick      bool          `help:"Smaller and shorter, within two minutes: for a first look, not for a comparison."`
	Only       string        `help:"Measure only what matches." placeholder:"REGEX"`
	Dir        string        `help:"Where the stores are put for the time being; beside --data when absent." type:"path" placeholder:"DIR"`
	Events     int           `help:"Events of the large ledger; 1,000,000 when absent, 100,000 with --quick." placeholder:"N"`
	Rounds     int           `help:"How often everything is measured, of which the median counts; 5 when absent, 3 with --quick." placeholder:"N"`
	Limit      time.Duration `help:"How long one measurement of a round lasts; 2s when absent, 500ms with --quick." placeholder:"TIME"`
	Seed       uint64        `help:"All names, ids and choices follow from it." default:"1"`
	CPUProfile string        `name:"cpuprofile" help:"Write a CPU profile of the whole run for go tool pprof." type:"path" placeholder:"FILE"`
}

// benchEnvironment is what the figures depend on.
type benchEnvironment struct {
	Go         string  `json:"go"`
	System     string  `json:"system"`
	Cores      int     `json:"cores"`
	FileSystem string  `json:"fileSystem"`
	NATSServer string  `json:"natsServer"`
	NATSClient string  `json:"natsClient"`
	Events     int     `json:"events"`
	Seed       uint64  `json:"seed"`
	Rounds     int     `json:"rounds"`
	Limit      float64 `json:"limitSeconds"`
}

// benchReport is the result of a run.
type benchReport struct {
	Environment benchEnvironment `json:"environment"`
	Measures    []benchRow       `json:"measures"`
}

// bench is one run: its settings, its directory and the large ledger that several suites share.
type bench struct {
	*app
	dir    string // removed at the end
	env    benchEnvironment
	limit  time.Duration
	wanted *regexp.Regexp
	world  *benchWorld

	large *benchLarge // made when the first suite asks for it
}

// Run measures and prints. A measure below its target is shown as not met; it is no error.
func (c *benchCommand) Run(ctx context.Context, a *app) (err error) {
	b, err := c.bench(a)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(c.parent(a), "permledger-bench-"); err != nil {
		return fmt.Errorf("make a directory for the stores: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.env.FileSystem = fileSystemOf(b.dir)
	if b.env.FileSystem == "tmpfs" {
		a.remark("permledger: %s is in memory (tmpfs), where a sync costs nothing: give a directory on a disk with --dir", b.dir)
	}
	if c.CPUProfile != "" {
		stop, err := profile(c.CPUProfile)
		if err != nil {
			return err
		}
		defer stop()
	}
	report := benchReport{Environment: b.env}
	for _, s := range benchSuites {
		rows, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		report.Measures = append(report.Measures, rows...)
	}
	return b.show(report)
}

// parent is where the directory of the stores is made: by default beside the data directory, so that its
// file system is the one that is measured.
func (c *benchCommand) parent(a *app) string {
	if c.Dir != "" {
		return c.Dir
	}
	return filepath.Dir(a.Data)
}

func (c *benchCommand) bench(a *app) (*bench, error) {
	b := &bench{app: a, limit: c.Limit, world: &benchWorld{seed: c.Seed}, env: benchEnvironment{
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0),
		NATSServer: natsd.VERSION, NATSClient: nats.Version,
		Events: c.Events, Seed: c.Seed, Rounds: c.Rounds,
	}}
	full, quick := 1_000_000, 100_000
	rounds, limit := 5, 2*time.Second
	if c.Quick {
		full, rounds, limit = quick, 3, 500*time.Millisecond
	}
	if b.env.Events == 0 {
		b.env.Events = full
	}
	if b.env.Rounds == 0 {
		b.env.Rounds = rounds
	}
	if b.limit == 0 {
		b.limit = limit
	}
	b.env.Limit = b.limit.Seconds()
	switch {
	case b.env.Events < minBenchEvents:
		return nil, usageError("--events: at least %d are needed", minBenchEvents)
	case b.env.Rounds < 0 || b.limit < 0:
		return nil, usageError("--rounds and --limit must be positive")
	}
	var err error
	if b.wanted, err = regexp.Compile(c.Only); err != nil {
		return nil, usageError("--only: %v", err)
	}
	for _, s := range benchSuites {
		if slices.ContainsFunc(s.measures, b.selected) {
			return b, nil
		}
	}
	return nil, usageError("--only %q matches no measure", c.Only)
}

func (b *bench) selected(m benchMeasure) bool { return b.wanted.MatchString(m.name) }

// profile writes a CPU profile until stop is called.
func profile(path string) (stop func(), err error) {
	file, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("write a CPU profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		file.Close() //nolint:errcheck // a profile cut short is seen by who reads it
	}, nil
}

// benchSuites are measured one after the other. The last one writes to the large ledger.
var benchSuites = []benchSuite{appendSuite, httpSuite, readSuite, modelsSuite, stateSuite, startSuite, growthSuite}
