package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"permledger/domain"
	"permledger/handlers/problem"
)

const (
	// keyFetchEvery and keyFetchBurst bound how often the issuer is asked for its keys: a token with an
	// unknown key asks for them, and anybody can make up such tokens.
	keyFetchEvery = 5 * time.Second
	keyFetchBurst = 6
	// issuerTimeout bounds one request to the issuer, issuerBytes its answer.
	issuerTimeout = 10 * time.Second
	issuerBytes   = 1 << 20
)

// OIDCConfig names the issuer whose tokens are accepted.
type OIDCConfig struct {
	Issuer     string // exactly as in the tokens' iss; https, or http on loopback
	Audience   string // required in aud
	Algorithms []string
	// Partners lists the tenants that may become partners of this ledger; none when empty.
	Partners []domain.TenantID
	// Transport carries the requests to the issuer; http.DefaultTransport when nil.
	Transport http.RoundTripper
}

// OIDC accepts the tokens of one issuer, whose keys it gets by discovery and again when they rotate.
type OIDC struct {
	config OIDCConfig
	keys   *oidc.RemoteKeySet
	now    func() time.Time
}

// NewOIDC asks the issuer where its keys are.
func NewOIDC(ctx context.Context, config OIDCConfig) (*OIDC, error) {
	if config.Audience == "" {
		return nil, errors.New("an OIDC audience is required: tokens meant for others must not be accepted")
	}
	if len(config.Algorithms) == 0 {
		config.Algorithms = Algorithms()
	}
	for _, a := range config.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return nil, fmt.Errorf("algorithm %q is not accepted: use EdDSA, ES256 or RS256", a)
		}
	}
	if err := secure(config.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if config.Transport == nil {
		config.Transport = http.DefaultTransport
	}
	client := &http.Client{Timeout: issuerTimeout, Transport: &throttled{
		next: config.Transport, limit: rate.NewLimiter(rate.Every(keyFetchEvery), keyFetchBurst),
	}}
	ctx = oidc.ClientContext(ctx, client)
	provider, err := oidc.NewProvider(ctx, config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the issuer %s: %w", config.Issuer, err)
	}
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&found); err != nil {
		return nil, fmt.Errorf("read the issuer's configuration: %w", err)
	}
	if err := secure(found.Keys); err != nil {
		return nil, fmt.Errorf("the issuer's keys: %w", err)
	}
	return &OIDC{config: config, keys: oidc.NewRemoteKeySet(ctx, found.Keys), now: time.Now}, nil
}

// Authenticate implements Authenticator.
func (o *OIDC) Authenticate(ctx context.Context, token string) (Principal, error) {
	if err := precheck(token, o.config.Algorithms); err != nil {
		return Principal{}, err
	}
	payload, err := o.keys.VerifySignature(ctx, token)
	switch {
	case err != nil && errors.Unwrap(err) != nil: // only a failure to get the keys has a cause
		return Principal{}, &problem.Error{
			Code: problem.CodeIssuerUnavailable, Cause: err,
			Detail: "The token's key could not be fetched from its issuer. Try again.",
		}
	case err != nil:
		return Principal{}, refuse("The token is not signed by the configured issuer.")
	}
	p, err := expectation{issuer: o.config.Issuer, audience: o.config.Audience, now: o.now()}.principal(payload)
	p.MayBecomePartner = slices.Contains(o.config.Partners, p.Actor.Tenant)
	return p, err
}

// secure refuses an address from which keys could be replaced on the way.
func secure(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%q is not a URL", address)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopbackHost(u.Hostname()):
		return nil
	default:
		return fmt.Errorf("%q must be https", address)
	}
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// throttled lets only so many requests through to the issuer and bounds their answers.
type throttled struct {
	next  http.RoundTripper
	limit *rate.Limiter
}

var errThrottled = errors.New("the issuer was asked too often lately")

// RoundTrip implements http.RoundTripper.
func (t *throttled) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.limit.Allow() {
		return nil, errThrottled
	}
	response, err := t.next.RoundTrip(r)
	if err == nil {
		response.Body = bounded{io.LimitReader(response.Body, issuerBytes), response.Body}
	}
	return response, err
}

type bounded struct {
	io.Reader
	io.Closer
}
