package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"permledger/domain"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// metrics are the API's figures. No label holds anything a client chose.
type metrics struct {
	commands *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	denied   *prometheus.CounterVec
}

func newMetrics(r *prometheus.Registry, l *ledger.Ledger) *metrics {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "permledger_commands_total", Help: "Commands by name and outcome: recorded, already-so, dry-run, or the code of the refusal.",
		}, []string{"command", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "permledger_command_seconds", Help: "Time from a decoded command to its answer.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"command"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "permledger_denied_attempts_total", Help: "Commands refused because of who sent them, whose customer it was, or a rule of customer purchases (L7).",
		}, []string{"code"}),
	}
	r.MustRegister(m.commands, m.seconds, m.denied, ledgerFigures{l})
	return m
}

func (m *metrics) commandDone(call ledger.Call, answer ledger.Answer, err error, took time.Duration) {
	name := call.Command.CommandName()
	m.seconds.WithLabelValues(name).Observe(took.Seconds())
	m.commands.WithLabelValues(name, outcomeOf(call, answer, err)).Inc()
	if _, refused := errors.AsType[*domain.Error](err); refused {
		if p := problem.Of(err); p.Status == http.StatusForbidden || p.Status == http.StatusNotFound {
			m.denied.WithLabelValues(string(p.Code)).Inc()
		}
	}
}

func outcomeOf(call ledger.Call, answer ledger.Answer, err error) string {
	switch {
	case err != nil:
		return string(problem.Of(err).Code)
	case call.DryRun:
		return "dry-run"
	case len(answer.Events) == 0:
		return "already-so"
	default:
		return "recorded"
	}
}

// ledgerFigures reads the ledger's own figures when they are asked for.
type ledgerFigures struct{ ledger *ledger.Ledger }

var (
	readyFigure    = figure("permledger_ready", "1 while the ledger serves.")
	positionFigure = figure("permledger_position", "Position of the newest event decided on.")
	modelsFigure   = figure("permledger_models_position", "Position of the newest event in the read models.")
	lagFigure      = figure("permledger_models_lag", "Events that the read models are behind.")
	archiveFigure  = figure("permledger_archive_position", "Position of the newest event in the archive.")
	behindFigure   = figure("permledger_archive_lag_seconds", "How long the oldest record has waited that is not archived yet.")
	queuedFigure   = figure("permledger_writer_queued", "Commands that wait for their group.")
	largestFigure  = figure("permledger_writer_largest_group", "Commands of the largest group so far.")
	writerFigure   = prometheus.NewDesc("permledger_writer_total", "What the writer has done.", []string{"what"}, nil)
)

func figure(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

// Describe implements prometheus.Collector.
func (f ledgerFigures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readyFigure, positionFigure, modelsFigure, lagFigure, archiveFigure, behindFigure, queuedFigure, largestFigure, writerFigure} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (f ledgerFigures) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	h := f.ledger.Health()
	if h.Ready {
		gauge(readyFigure, 1)
	} else {
		gauge(readyFigure, 0)
	}
	if f.ledger.Fault() != nil {
		return // there may be no writer at all
	}
	gauge(positionFigure, float64(h.Position))
	gauge(modelsFigure, float64(h.ModelsPosition))
	gauge(lagFigure, float64(h.Position-min(h.Position, h.ModelsPosition)))
	if archive, kept := f.ledger.Archive(); kept {
		gauge(archiveFigure, float64(archive.At.Position))
		gauge(behindFigure, archive.Lag.Seconds())
	}
	s := f.ledger.Writer()
	gauge(queuedFigure, float64(s.Queued))
	gauge(largestFigure, float64(s.LargestGroup))
	for what, n := range map[string]uint64{
		"groups": s.Groups, "commands": s.Commands, "events": s.Events, "refused": s.Refused, "replayed": s.Replayed,
		"dry-runs": s.DryRuns, "conflicts": s.Conflicts, "resolved": s.Resolved, "unknown": s.Unknown,
	} {
		to <- prometheus.MustNewConstMetric(writerFigure, prometheus.CounterValue, float64(n), what)
	}
}
