package webhooks

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"permledger/domain"
)

// outcome is what became of an attempt or of a notice.
type outcome string

const (
	outcomeDelivered outcome = "delivered"
	outcomeFailed    outcome = "failed"   // and is tried again
	outcomeGivenUp   outcome = "given-up" // too old
	outcomeGone      outcome = "gone"     // not sent: the receiver has answered 410
)

// figures are what there is to see of deliveries.
type figures struct {
	now     func() time.Time
	counted *prometheus.CounterVec

	mu      sync.Mutex
	waiting map[domain.TenantID]time.Time // what each partner is being told, by its recorded time; guarded by mu
}

func newFigures(r *prometheus.Registry, now func() time.Time) *figures {
	f := &figures{now: now, waiting: make(map[domain.TenantID]time.Time), counted: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "permledger_webhook_deliveries_total", Help: "Webhooks by event and outcome: delivered, failed (and tried again), given-up, gone.",
	}, []string{"event", "outcome"})}
	r.MustRegister(f.counted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "permledger_webhook_lag_seconds", Help: "Age of the oldest webhook that waits to be received.",
	}, func() float64 { return f.lag().Seconds() }))
	return f
}

// standing shows whether it is this node's turn.
func (f *figures) standing(r *prometheus.Registry, here func() bool) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "permledger_webhook_delivers", Help: "1 on the node that delivers webhooks.",
	}, func() float64 {
		if here() {
			return 1
		}
		return 0
	}))
}

func (f *figures) count(n notice, o outcome) {
	f.counted.WithLabelValues(string(n.event), string(o)).Inc()
}

func (f *figures) waits(partner domain.TenantID, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[partner] = since
}

func (f *figures) waitsNoMore(partner domain.TenantID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, partner)
}

// lag is the age of the oldest notice that waits; 0 when none does.
func (f *figures) lag() (oldest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, since := range f.waiting {
		oldest = max(oldest, f.now().Sub(since))
	}
	return oldest
}
