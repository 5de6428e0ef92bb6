// Package gate is what a request passes on its way to any door's handler: who sends it, how often, is there
// anything to answer from, and what may they read. Commands go through it to the ledger, where they are counted. The
// doors give its refusals their own words.
package gate

import (
	"cmp"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"permledger/handlers/auth"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// The limits of one principal where Options give none: requests a second, and how many may come at once.
const (
	DefaultRate  = 50_000
	DefaultBurst = 100_000
)

// maxPrincipals is how many principals' buckets are remembered.
const maxPrincipals = 10_000

// Gate is shared by all doors of a ledger, so that a principal has one allowance.
type Gate struct {
	ledger  *ledger.Ledger
	auth    auth.Authenticator
	limiter *auth.Limiter
	figures *figures
}

// Options tune a gate. Zero values stand for the defaults.
type Options struct {
	Rate    float64              // requests a second of one principal
	Burst   int                  // how many of them may come at once
	Metrics *prometheus.Registry // takes the figures; a registry of its own when nil
}

// New makes the gate of a ledger.
func New(l *ledger.Ledger, authenticator auth.Authenticator, o Options) *Gate {
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	limiter := auth.NewLimiter(cmp.Or(o.Rate, DefaultRate), cmp.Or(o.Burst, DefaultBurst), maxPrincipals)
	return &Gate{ledger: l, auth: authenticator, limiter: limiter, figures: newFigures(o.Metrics)}
}

// Admit asks who sends a request, how often, and whether there is anything to answer from.
func (g *Gate) Admit(r *http.Request) (auth.Principal, error) {
	token, err := auth.Bearer(r)
	if err != nil {
		return auth.Principal{}, err
	}
	p, err := g.auth.Authenticate(r.Context(), token)
	if err != nil {
		return auth.Principal{}, err
	}
	key := p.Key()
	problem.RequestOf(r.Context()).Principal = key
	if wait, ok := g.limiter.Allow(key, time.Now()); !ok {
		return auth.Principal{}, &problem.Error{Code: problem.CodeRateLimited, Retry: wait, Detail: "You send more requests than one principal may. Wait as long as Retry-After says."}
	}
	if err := g.ledger.Fault(); err != nil {
		return auth.Principal{}, &problem.Error{Code: problem.CodeIntegrity, Cause: err, Detail: "The ledger answers nothing until it is restored. Ask the operator; /readyz says why."}
	}
	return p, nil
}
