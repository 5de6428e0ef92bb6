package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchMeasuresEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stores := filepath.Join(dir, "stores")
	require.NoError(t, os.Mkdir(stores, 0o700))
	profile := filepath.Join(dir, "cpu.prof")
	out := succeeds(t, filepath.Join(dir, "data"), "-o", "json", "bench", "--dir", stores,
		"--events", "2000", "--rounds", "1", "--limit", "200ms", "--cpuprofile", profile)
	var report benchReport
	require.NoError(t, json.Unmarshal([]byte(out), &report), out)

	var want []string
	for _, s := range benchSuites {
		for _, m := range s.measures {
			want = append(want, m.name+" / "+m.baselineName)
		}
	}
	var got []string
	for _, m := range report.Measures {
		got = append(got, m.Name+" / "+m.Baseline)
		require.NotEmpty(t, m.Unit, m.Name)
		if m.Unit != "events" { // nothing may lag at all
			require.Positive(t, m.Figure, m.Name)
			require.Positive(t, m.Ratio, m.Name)
		}
		require.Positive(t, m.BaselineFigure, m.Name)
		require.Equal(t, m.Target == "", m.Met == nil, m.Name)
	}
	require.Equal(t, want, got)
	require.Equal(t, 2000, report.Environment.Events)
	require.Equal(t, 1, report.Environment.Rounds)
	require.Positive(t, report.Environment.Seed)
	for _, text := range []string{report.Environment.Go, report.Environment.FileSystem, report.Environment.NATSServer, report.Environment.NATSClient} {
		require.NotEmpty(t, text)
	}
	info, err := os.Stat(profile)
	require.NoError(t, err)
	require.Positive(t, info.Size())
	left, err := os.ReadDir(stores)
	require.NoError(t, err)
	require.Empty(t, left, "the stores are removed")
	require.NoDirExists(t, filepath.Join(dir, "data"), "a ledger is neither needed nor made")
}

func TestBenchMeasuresWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shown := succeeds(t, filepath.Join(dir, "data"), "bench", "--only", "^permission check in process$", "--events", "1000", "--rounds", "2", "--limit", "20ms")
	require.Contains(t, shown, "map lookup of the same key")
	require.Regexp(t, `≤ 20 × +(not )?met`, shown)
	require.NotContains(t, shown, "durable commands")

	for _, args := range [][]string{{"--only", "("}, {"--only", "no such measure"}, {"--events", "10"}, {"--rounds", "-1"}} {
		require.Equal(t, exitUsage, invoke(t, dir, append([]string{"bench"}, args...)...).code, args)
	}
}

func TestAMeasureBelowItsTargetIsNotMet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		target           benchTarget
		figure, baseline float64
		met              bool
	}{
		{"as many as asked for", ratioAtLeast(0.5), 50, 100, true},
		{"a little less", ratioAtLeast(0.5), 49.999, 100, false},
		{"as slow as allowed", ratioAtMost(6), 6, 1, true},
		{"a little slower", ratioAtMost(6), 6.001, 1, false},
		{"as large as allowed, whatever the baseline", figureAtMost(250), 250, 1, true},
		{"a little larger", figureAtMost(250), 250.1, 1000, false},
		{"as fast as asked for, whatever the baseline", figureAtLeast(8333), 8333, 1e9, true},
		{"a little slower than that", figureAtLeast(8333), 8332, 1, false},
		{"a baseline that was not measured", ratioAtLeast(0.5), 50, 0, false},
		{"a bound that nothing is compared with", ratioAtMost(6), 50, 0, false},
		{"a figure that is none", ratioAtMost(6), math.NaN(), 1, false},
	} {
		row := benchMeasure{name: c.name, unit: "x", target: c.target}.row(c.figure, c.baseline)
		require.NotNil(t, row.Met, c.name)
		require.Equal(t, c.met, *row.Met, c.name)
		require.NotEmpty(t, row.Target, c.name)
		if !c.met {
			require.Equal(t, "not met", row.shown()["met"], c.name)
		}
	}
	row := benchMeasure{name: "for information", unit: "x"}.row(1, 2)
	require.Nil(t, row.Met)
	require.InDelta(t, 0.5, row.Ratio, 0)
	require.Empty(t, row.shown()["met"])
}

func TestTheMedianIsTheMiddle(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
	require.Zero(t, median(nil))
}
