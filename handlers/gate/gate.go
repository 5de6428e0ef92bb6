// Package gate is what a request passes on its way to any door's handler: who sends it, how often, is there
// anything to answer from, and what may they read. The doors give its refusals their own words.
package gate

import (
	"net/http"
	"time"

	"permledger/handlers/auth"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// The limits of one principal where none are given: requests a second, and how many may come at once.
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
}

// New makes the gate of a ledger. A rate or burst of 0 stands for the default.
func New(l *ledger.Ledger, authenticator auth.Authenticator, rate float64, burst int) *Gate {
	if rate == 0 {
		rate = DefaultRate
	}
	if burst == 0 {
		burst = DefaultBurst
	}
	return &Gate{ledger: l, auth: authenticator, limiter: auth.NewLimiter(rate, burst, maxPrincipals)}
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
	problem.RequestOf(r.Context()).Principal = p.Key()
	if wait, ok := g.limiter.Allow(p.Key(), time.Now()); !ok {
		return auth.Principal{}, &problem.Error{Code: problem.CodeRateLimited, Retry: wait, Detail: "You send more requests than one principal may. Wait as long as Retry-After says."}
	}
	if err := g.ledger.Fault(); err != nil {
		return auth.Principal{}, &problem.Error{Code: problem.CodeIntegrity, Cause: err, Detail: "The ledger answers nothing until it is restored. Ask the operator; /readyz says why."}
	}
	return p, nil
}
