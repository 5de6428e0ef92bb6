package gate

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"permledger/domain"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// Execute has the ledger judge a command, as ledger.Execute does, and counts the outcome. It is the way of every
// door's commands.
func (g *Gate) Execute(ctx context.Context, call ledger.Call) (ledger.Answer, error) {
	started := time.Now()
	err := call.ID.CheckSent()
	var answer ledger.Answer
	if err == nil {
		answer, err = g.ledger.Execute(ctx, call)
	}
	g.figures.commandDone(call, answer, err, time.Since(started))
	return answer, err
}

// figures are what there is to see of commands. No label holds anything a client chose.
type figures struct {
	commands *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	denied   *prometheus.CounterVec
}

func newFigures(r *prometheus.Registry) *figures {
	f := &figures{
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
	r.MustRegister(f.commands, f.seconds, f.denied)
	return f
}

func (f *figures) commandDone(call ledger.Call, answer ledger.Answer, err error, took time.Duration) {
	name := call.Command.CommandName()
	f.seconds.WithLabelValues(name).Observe(took.Seconds())
	f.commands.WithLabelValues(name, outcomeOf(call, answer, err)).Inc()
	if _, refused := errors.AsType[*domain.Error](err); refused {
		if p := problem.Of(err); p.Status == http.StatusForbidden || p.Status == http.StatusNotFound {
			f.denied.WithLabelValues(string(p.Code)).Inc()
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
