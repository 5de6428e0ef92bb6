package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/problem"
)

// issuer is a real OIDC issuer as far as a relying party can see: discovery, keys, rotation.
type issuer struct {
	*httptest.Server
	client  *http.Transport
	fetched atomic.Int64

	mu   sync.Mutex
	keys []jose.JSONWebKey // guarded by mu
	down bool              // guarded by mu
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{client: &http.Transport{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "ES256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.fetched.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		public := jose.JSONWebKeySet{}
		for _, k := range i.keys {
			public.Keys = append(public.Keys, k.Public())
		}
		_ = json.NewEncoder(w).Encode(public)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		i.client.CloseIdleConnections()
		i.Close()
	})
	return i
}

func (i *issuer) rotate(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *issuer) fail(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *issuer) authenticator(t *testing.T) *OIDC {
	t.Helper()
	o, err := NewOIDC(t.Context(), OIDCConfig{Issuer: i.URL, Audience: "permledger", Partners: []domain.TenantID{partner}, Transport: i.client})
	require.NoError(t, err)
	o.now = func() time.Time { return noon }
	return o
}

func key(t *testing.T, algorithm jose.SignatureAlgorithm, id string) jose.JSONWebKey {
	t.Helper()
	var private any
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	require.NoError(t, err)
	return jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(algorithm), Use: "sig"}
}

func (i *issuer) claims() map[string]any {
	return map[string]any{
		"iss": i.URL, "aud": "permledger", "exp": noon.Add(time.Hour).Unix(), "nbf": noon.Unix(), "iat": noon.Unix(),
		"tid": partner.String(), "oid": user.String(), "upn": "mei@fabrikam.example", "roles": []string{"SalesAgent"}, "azp": "portal",
	}
}

func sign(t *testing.T, k jose.JSONWebKey, algorithm jose.SignatureAlgorithm, c map[string]any, options *jose.SignerOptions) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: k}, options)
	require.NoError(t, err)
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	require.NoError(t, err)
	return token
}

func TestTokensOfTheIssuerAreAcceptedWithEachAlgorithm(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	for _, algorithm := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA} {
		k := key(t, algorithm, "key-"+string(algorithm))
		i.rotate(k)
		p, err := i.authenticator(t).Authenticate(t.Context(), sign(t, k, algorithm, i.claims(), nil))
		require.NoError(t, err, algorithm)
		require.Equal(t, domain.Actor{Tenant: partner, User: user, UPN: "mei@fabrikam.example", Roles: domain.SalesAgent, App: "portal"}, p.Actor)
		require.True(t, p.MayBecomePartner)
	}
}

func TestKeysRotateWithoutARestart(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	old, renewed := key(t, jose.ES256, "old"), key(t, jose.RS256, "new")
	i.rotate(old)
	o := i.authenticator(t)
	_, err := o.Authenticate(t.Context(), sign(t, old, jose.ES256, i.claims(), nil))
	require.NoError(t, err)

	i.rotate(renewed)
	_, err = o.Authenticate(t.Context(), sign(t, renewed, jose.RS256, i.claims(), nil))
	require.NoError(t, err, "an unknown key is looked up")
	withdrawn := sign(t, old, jose.ES256, i.claims(), nil)
	require.Eventually(t, func() bool { // the key set takes over what it fetched just after it has answered
		_, err := o.Authenticate(t.Context(), withdrawn)
		return err != nil
	}, 5*time.Second, time.Millisecond)
}

func TestMadeUpKeysDoNotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	good := key(t, jose.ES256, "good")
	i.rotate(good)
	o := i.authenticator(t)
	_, err := o.Authenticate(t.Context(), sign(t, good, jose.ES256, i.claims(), nil))
	require.NoError(t, err)
	forged := sign(t, key(t, jose.ES256, "unknown"), jose.ES256, i.claims(), nil)
	for range 50 {
		_, err := o.Authenticate(t.Context(), forged)
		require.Error(t, err)
	}
	require.LessOrEqual(t, i.fetched.Load(), int64(keyFetchBurst))
	_, err = o.Authenticate(t.Context(), sign(t, good, jose.ES256, i.claims(), nil))
	require.NoError(t, err, "known keys go on working")
}

func TestAnIssuerThatIsDownIsNotABadToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	k := key(t, jose.ES256, "k")
	i.rotate(k)
	o := i.authenticator(t)
	i.fail(true)
	_, err := o.Authenticate(t.Context(), sign(t, k, jose.ES256, i.claims(), nil))
	require.Equal(t, problem.CodeIssuerUnavailable, problem.Of(err).Code)
	i.fail(false)
	_, err = o.Authenticate(t.Context(), sign(t, k, jose.ES256, i.claims(), nil))
	require.NoError(t, err)
}

func TestOnlyListedTenantsMayBecomePartners(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	k := key(t, jose.ES256, "k")
	i.rotate(k)
	c := i.claims()
	c["tid"] = "33333333-3333-4333-8333-333333333333"
	p, err := i.authenticator(t).Authenticate(t.Context(), sign(t, k, jose.ES256, c, nil))
	require.NoError(t, err)
	require.False(t, p.MayBecomePartner)
}

func TestAttacksOnTokensAreRefused(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	good, rsaKey, attacker := key(t, jose.ES256, "good"), key(t, jose.RS256, "rsa"), key(t, jose.ES256, "good")
	i.rotate(good, rsaKey)
	o := i.authenticator(t)
	c := i.claims()
	valid := sign(t, good, jose.ES256, c, nil)
	_, err := o.Authenticate(t.Context(), valid)
	require.NoError(t, err)

	part := func(v any) string {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	changed := func(name string, value any) map[string]any {
		c := i.claims()
		c[name] = value
		return c
	}
	pieces := strings.Split(valid, ".")
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Key.(crypto.Signer).Public())
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: make([]byte, 16)}, nil)
	require.NoError(t, err)
	encrypted, err := jwt.Encrypted(encrypter).Claims(c).Serialize()
	require.NoError(t, err)
	header := func(name jose.HeaderKey, value any) *jose.SignerOptions {
		return (&jose.SignerOptions{}).WithHeader(name, value)
	}

	for name, token := range map[string]string{
		"nothing":                     "",
		"no JWT":                      "abc",
		"none":                        part(map[string]any{"alg": "none"}) + "." + part(c) + ".",
		"None":                        part(map[string]any{"alg": "None"}) + "." + part(c) + ".",
		"no algorithm":                part(map[string]any{}) + "." + part(c) + "." + pieces[2],
		"algorithm twice":             base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","alg":"none"}`)) + "." + pieces[1] + "." + pieces[2],
		"HS256 with the public key":   sign(t, jose.JSONWebKey{Key: public, KeyID: "rsa"}, jose.HS256, c, nil),
		"algorithm not on the list":   sign(t, rsaKey, jose.RS512, c, nil),
		"PS256 with the RSA key":      sign(t, rsaKey, jose.PS256, c, nil),
		"another's key, same key id":  sign(t, attacker, jose.ES256, c, nil),
		"embedded key (jwk)":          sign(t, attacker, jose.ES256, c, &jose.SignerOptions{EmbedJWK: true}),
		"key address (jku)":           sign(t, attacker, jose.ES256, c, header("jku", i.URL+"/evil")),
		"certificate address (x5u)":   sign(t, attacker, jose.ES256, c, header("x5u", i.URL+"/evil")),
		"unknown critical extension":  sign(t, good, jose.ES256, c, header("crit", []string{"exp"})),
		"detached payload (b64)":      sign(t, good, jose.ES256, c, header("crit", []string{"b64"})),
		"other claims, old signature": pieces[0] + "." + part(changed("roles", []string{"AdminAgent"})) + "." + pieces[2],
		"no signature":                pieces[0] + "." + pieces[1] + ".",
		"longer than 8 KiB":           sign(t, good, jose.ES256, changed("x", strings.Repeat("a", MaxTokenBytes)), nil),
		"encrypted (JWE)":             encrypted,
		"JSON serialization":          `{"payload":"` + pieces[1] + `","protected":"` + pieces[0] + `","signature":"` + pieces[2] + `"}`,
		"another issuer":              sign(t, good, jose.ES256, changed("iss", i.URL+"/"), nil),
		"another audience":            sign(t, good, jose.ES256, changed("aud", "other"), nil),
		"expired":                     sign(t, good, jose.ES256, changed("exp", noon.Add(-61*time.Second).Unix()), nil),
		"not valid yet":               sign(t, good, jose.ES256, changed("nbf", noon.Add(61*time.Second).Unix()), nil),
		"tenant is no GUID":           sign(t, good, jose.ES256, changed("tid", "common"), nil),
	} {
		_, err := i.authenticator(t).Authenticate(t.Context(), token)
		require.Error(t, err, name)
		require.Equal(t, http.StatusUnauthorized, problem.Of(err).Status, "%s: %v", name, err)
		if token != "" {
			require.NotContains(t, err.Error(), token, name)
		}
	}

	_, err = o.Authenticate(t.Context(), sign(t, good, jose.ES256, c, header("jku", i.URL+"/evil")))
	require.NoError(t, err, "a reference to keys is ignored, not followed")
}

func TestAnIssuerWhoseKeysCouldBeReplacedIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []OIDCConfig{
		{Issuer: "http://login.example", Audience: "a"},
		{Issuer: "login.example", Audience: "a"},
		{Issuer: "https://login.example"},
		{Issuer: "https://login.example", Audience: "a", Algorithms: []string{"HS256"}},
	} {
		_, err := NewOIDC(t.Context(), c)
		require.Error(t, err)
	}
}
