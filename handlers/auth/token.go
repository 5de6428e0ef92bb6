package auth

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/problem"
)

const (
	// MaxTokenBytes is the longest token that is looked at.
	MaxTokenBytes = 8 << 10
	// leeway is how far the issuer's clock may be off.
	leeway = 60 * time.Second
	// maxName bounds a user principal name and an application id, which the log records.
	maxName = 256
)

// Algorithms are the signature algorithms that an issuer may use.
func Algorithms() []string {
	return []string{string(jose.EdDSA), string(jose.ES256), string(jose.RS256)}
}

// header is the part of a token's protected header that is judged. Key references in it (jku, x5u, jwk)
// are not read at all: keys come from the configured issuer.
type header struct {
	Algorithm string         `json:"alg"`
	Critical  jsontext.Value `json:"crit"`
}

// precheck refuses what need not be verified: too long, not a signed compact token, another algorithm,
// an extension that must be understood.
func precheck(token string, algorithms []string) error {
	if len(token) > MaxTokenBytes {
		return refuse("The token is longer than 8 KiB.")
	}
	head, _, _ := strings.Cut(token, ".")
	if strings.Count(token, ".") != 2 {
		return refuse("The token is not a signed JWT in compact form.")
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return refuse("The token is not a signed JWT in compact form.")
	}
	var h header
	if err := json.Unmarshal(raw, &h); err != nil {
		return refuse("The token's header is not valid.")
	}
	switch {
	case !slices.Contains(algorithms, h.Algorithm):
		return refuse("The token is not signed with an accepted algorithm: use " + strings.Join(algorithms, ", ") + ".")
	case len(h.Critical) > 0:
		return refuse("The token needs an extension (crit) that is not supported.")
	default:
		return nil
	}
}

// claims are the claims that the ledger reads.
type claims struct {
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	Expires   *instant `json:"exp"`
	NotBefore *instant `json:"nbf"`
	IssuedAt  *instant `json:"iat,omitempty"`
	Tenant    string   `json:"tid"`
	User      string   `json:"oid,omitempty"`
	UPN       string   `json:"upn,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	App       string   `json:"azp,omitempty"`
	Type      string   `json:"idtyp,omitempty"`
}

// appOnly is the value of idtyp in the token of an application without a signed-in user.
const appOnly = "app"

// instant is a claim that holds seconds since 1970, whole or not.
type instant float64

// MarshalJSON writes whole seconds, in the plain digits that every reader of tokens understands.
func (i instant) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(i), 10), nil }

func at(t time.Time) *instant {
	i := instant(t.Unix())
	return &i
}

func (i instant) time() time.Time { return time.UnixMilli(int64(float64(i) * 1000)).UTC() }

// audience is one recipient or a list of them.
type audience []string

// UnmarshalJSON reads both forms of the claim.
func (a *audience) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var one string
		err := json.Unmarshal(data, &one)
		*a = audience{one}
		return err
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// expectation is what the claims of a verified token are compared with.
type expectation struct {
	issuer   string
	audience string
	now      time.Time
}

// principal reads the payload of a token whose signature has been verified.
func (e expectation) principal(payload []byte) (Principal, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Principal{}, refuse("The token's claims are not valid.")
	}
	if err := e.check(c); err != nil {
		return Principal{}, err
	}
	actor, err := c.actor()
	return Principal{Actor: actor, Expires: c.Expires.time()}, err
}

func (e expectation) check(c claims) error {
	switch {
	case c.Issuer != e.issuer:
		return refuse("The token comes from another issuer (iss).")
	case !slices.Contains(c.Audience, e.audience):
		return problem.Refuse(problem.CodeWrongAudience, "The token is meant for another recipient (aud).")
	case c.Expires == nil || c.NotBefore == nil:
		return refuse("The token has no validity period: the claims nbf and exp are required.")
	case !e.now.Before(c.Expires.time().Add(leeway)):
		return refuse("The token has expired. Get a new one.")
	case e.now.Add(leeway).Before(c.NotBefore.time()):
		return refuse("The token is not valid yet (nbf).")
	default:
		return nil
	}
}

// actor reads who the token is about. The subject is tenant and object id; roles count by their exact
// names, and others are ignored.
func (c claims) actor() (domain.Actor, error) {
	tenant, err := domain.ParseTenantID(c.Tenant)
	if err != nil {
		return domain.Actor{}, refuse("The token's tenant (tid) is not a GUID.")
	}
	a := domain.Actor{Tenant: tenant, UPN: c.UPN, App: c.App}
	if !short(c.UPN) || !short(c.App) {
		return domain.Actor{}, refuse("The token's upn or azp is too long or holds control characters.")
	}
	if c.User != "" && c.Type != appOnly {
		if a.User, err = domain.ParseUserID(c.User); err != nil {
			return domain.Actor{}, refuse("The token's user (oid) is not a GUID.")
		}
	}
	for _, name := range c.Roles {
		if role, err := domain.ParseRole(name); err == nil {
			a.Roles |= role
		}
	}
	return a, nil
}

func short(s string) bool {
	return utf8.RuneCountInString(s) <= maxName && !strings.ContainsFunc(s, unicode.IsControl)
}
