// Package auth says who sends a request: it turns a bearer token into a Principal.
//
// There are two authenticators. Dev accepts tokens signed with a key in the data directory and is served
// on loopback only; OIDC accepts those of one configured issuer. Both apply the same checks to the
// token's shape and claims.
package auth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"permledger/domain"
	"permledger/handlers/problem"
)

// Principal is who sends a request, until the token expires.
type Principal struct {
	Actor   domain.Actor
	Expires time.Time
	// MayBecomePartner says that the tenant may register as a partner of this ledger.
	MayBecomePartner bool
}

// Key names the principal for limits: one user, or one application without a user, of one tenant.
func (p Principal) Key() string {
	if p.Actor.User.IsZero() {
		return p.Actor.Tenant.String() + "/" + p.Actor.App
	}
	return p.Actor.Tenant.String() + "/" + p.Actor.User.String()
}

// Authenticator checks a bearer token.
type Authenticator interface {
	// Authenticate gives the principal of a token. A token that is not valid is a problem of code
	// "unauthenticated".
	Authenticate(ctx context.Context, token string) (Principal, error)
}

// Bearer gives the token of a request's Authorization header.
func Bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", refuse("Send a token: Authorization: Bearer <JWT>.")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", refuse("Send exactly one Authorization header of the form: Bearer <JWT>.")
	}
	return token, nil
}

// refuse makes the error for a token that is not valid. The detail must not repeat anything of it.
func refuse(detail string) error { return problem.Refuse(problem.CodeUnauthenticated, detail) }
