package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"permledger/handlers/ledger"
)

// ledgerFigures reads the ledger's own figures when they are asked for.
type ledgerFigures struct{ ledger *ledger.Ledger }

var (
	readyFigure    = figure("permledger_ready", "1 while the ledger serves.")
	positionFigure = figure("permledger_position", "Position of the newest event decided on.")
	modelsFigure   = figure("permledger_models_position", "Position of the newest event in the read models.")
	lagFigure      = figure("permledger_models_lag", "Events that the read models are behind.")
	archiveFigure  = figure("permledger_archive_position", "Position of the newest event in the archive.")
	behindFigure   = figure("permledger_archive_lag_seconds", "How long the oldest record has waited that is not archived yet.")
	clockFigure    = figure("permledger_clock_doubted", "1 while nothing is recorded because the clock cannot be right.")
	roundsFigure   = prometheus.NewDesc("permledger_scrub_rounds_total", "Complete scrub rounds since the start.", nil, nil)
	scrubbedFigure = figure("permledger_scrub_last_round_timestamp_seconds", "When the last complete scrub round ended; absent before the first.")
	progressFigure = figure("permledger_scrub_progress", "Fraction of the current scrub round that is done; 1 between rounds.")
	findingsFigure = figure("permledger_scrub_findings", "Places on the disk that do not hold what was written.")
	unreadFigure   = figure("permledger_scrub_unread", "Parts that could not be read when last checked.")
	queuedFigure   = figure("permledger_writer_queued", "Commands that wait for their group.")
	largestFigure  = figure("permledger_writer_largest_group", "Commands of the largest group so far.")
	writerFigure   = prometheus.NewDesc("permledger_writer_total", "What the writer has done.", []string{"what"}, nil)
)

func figure(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

func truth(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (f ledgerFigures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readyFigure, positionFigure, modelsFigure, lagFigure, archiveFigure, behindFigure, clockFigure, roundsFigure, scrubbedFigure, progressFigure, findingsFigure, unreadFigure, queuedFigure, largestFigure, writerFigure} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (f ledgerFigures) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	h := f.ledger.Health()
	gauge(readyFigure, truth(h.Ready))
	if s := h.Scrub; s != nil {
		to <- prometheus.MustNewConstMetric(roundsFigure, prometheus.CounterValue, float64(s.Rounds))
		if s.Ended != nil {
			gauge(scrubbedFigure, float64(s.Ended.UnixMilli())/1000)
		}
		gauge(progressFigure, s.Progress)
		gauge(findingsFigure, float64(len(s.Findings)))
		gauge(unreadFigure, float64(len(s.Unread)))
	}
	if f.ledger.Fault() != nil {
		return // there may be no writer at all
	}
	gauge(positionFigure, float64(h.Position))
	gauge(modelsFigure, float64(h.ModelsPosition))
	gauge(clockFigure, truth(h.ClockDoubted))
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
