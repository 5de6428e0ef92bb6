package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// The units of most figures.
const (
	perCommand = "commands/s"
	perEvent   = "events/s"
)

// benchTarget is what a measure must reach: a bound of the ratio, or of the figure itself. The zero value
// asks for nothing.
type benchTarget struct {
	bound    float64
	atMost   bool // else at least
	absolute bool // of the figure, not of its ratio to the baseline
}

func ratioAtLeast(bound float64) benchTarget { return benchTarget{bound: bound} }
func ratioAtMost(bound float64) benchTarget  { return benchTarget{bound: bound, atMost: true} }
func figureAtMost(bound float64) benchTarget {
	return benchTarget{bound: bound, atMost: true, absolute: true}
}

func figureAtLeast(bound float64) benchTarget { return benchTarget{bound: bound, absolute: true} }

// met reports whether a measure reaches the target. What could not be measured does not.
func (t benchTarget) met(figure, ratio float64) bool {
	value := ratio
	if t.absolute {
		value = figure
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return false
	}
	if t.atMost {
		return value <= t.bound
	}
	return value >= t.bound
}

// text is the target for people.
func (t benchTarget) text(unit string) string {
	sign := "≥ "
	if t.atMost {
		sign = "≤ "
	}
	bound := strconv.FormatFloat(significant(t.bound), 'f', -1, 64)
	if t.absolute {
		return sign + bound + " " + unit
	}
	return sign + bound + " ×"
}

// benchRow is a measure with its figures. Ratio is figure ÷ baseline. Where no target is set, Target and
// Met are absent.
type benchRow struct {
	Name           string  `json:"name"`
	Unit           string  `json:"unit"`
	Figure         float64 `json:"figure"`
	Baseline       string  `json:"baseline"`
	BaselineFigure float64 `json:"baselineFigure"`
	Ratio          float64 `json:"ratio"`
	Target         string  `json:"target,omitempty"`
	Met            *bool   `json:"met,omitempty"`
}

// row puts the measure together. The target is judged on the figures as they are, before they are rounded.
func (m benchMeasure) row(figure, baseline float64) benchRow {
	r := benchRow{
		Name: m.name, Unit: m.unit, Figure: significant(figure), Baseline: m.baselineName, BaselineFigure: significant(baseline),
	}
	ratio := math.NaN()
	if baseline > 0 {
		ratio = figure / baseline
		r.Ratio = significant(ratio)
	}
	if m.target != (benchTarget{}) {
		met := m.target.met(figure, ratio)
		r.Target, r.Met = m.target.text(m.unit), &met
	}
	return r
}

// significant rounds to four digits; the rest would be noise.
func significant(v float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 3, 64), 64)
	if err != nil || math.IsNaN(rounded) || math.IsInf(rounded, 0) {
		return 0
	}
	return rounded
}

// show prints the report: as JSON all of it, else its measures, with the environment as a remark.
func (b *bench) show(report benchReport) error {
	if b.Output == "json" {
		return b.writeOne(report, nil)
	}
	e := report.Environment
	b.remark("%s %s, %d cores, %s, nats-server %s, nats.go %s; %d events, seed %d, median of %d rounds",
		e.Go, e.System, e.Cores, e.FileSystem, e.NATSServer, e.NATSClient, e.Events, e.Seed, e.Rounds)
	return b.write(func(yield func(json.RawMessage, error) bool) {
		for _, m := range report.Measures {
			row, err := json.Marshal(m.shown())
			if !yield(row, err) {
				return
			}
		}
	}, []column{
		{"Measure", "name"},
		{"Figure", "figure"},
		{"Unit", "unit"},
		{"Baseline", "baseline"},
		{"Its figure", "baselineFigure"},
		{"Ratio", "ratio"},
		{"Target", "target"},
		{"Met", "met"},
	})
}

// shown is the row for people: the verdict in words.
func (r benchRow) shown() map[string]any {
	verdict := ""
	if r.Met != nil && *r.Met {
		verdict = "met"
	} else if r.Met != nil {
		verdict = "not met"
	}
	return map[string]any{
		"name": r.Name, "unit": r.Unit, "figure": r.Figure, "baseline": r.Baseline, "baselineFigure": r.BaselineFigure,
		"ratio": fmt.Sprintf("%.3g", r.Ratio), "target": r.Target, "met": verdict,
	}
}
