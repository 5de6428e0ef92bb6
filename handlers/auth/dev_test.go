package auth

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/problem"
)

var (
	partner = domain.TenantID{UUID: uuid.MustParse("11111111-1111-4111-8111-111111111111")}
	user    = domain.UserID{UUID: uuid.MustParse("22222222-2222-4222-8222-222222222222")}
	noon    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func dev(t *testing.T) *Dev {
	t.Helper()
	d, err := OpenDev(t.TempDir())
	require.NoError(t, err)
	d.now = func() time.Time { return noon }
	return d
}

func agent() Token {
	return Token{Tenant: partner, User: user, UPN: "mei@fabrikam.example", Roles: domain.AdminAgent | domain.Auditor, App: "cli"}
}

func requireRefused(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, problem.Of(err).Status, err)
}

func TestAMintedTokenSaysWhoSendsARequest(t *testing.T) {
	t.Parallel()
	d := dev(t)
	token, err := d.Mint(agent())
	require.NoError(t, err)
	p, err := d.Authenticate(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, Principal{
		Actor:   domain.Actor{Tenant: partner, User: user, UPN: "mei@fabrikam.example", Roles: domain.AdminAgent | domain.Auditor, App: "cli"},
		Expires: noon.Add(8 * time.Hour), MayBecomePartner: true,
	}, p)
	require.Equal(t, partner.String()+"/"+user.String(), p.Key())
}

func TestAnApplicationAloneHasNoUser(t *testing.T) {
	t.Parallel()
	d := dev(t)
	token, err := d.Mint(Token{Tenant: partner, Roles: domain.AdminAgent, App: "nightly", AppOnly: true})
	require.NoError(t, err)
	p, err := d.Authenticate(t.Context(), token)
	require.NoError(t, err)
	require.True(t, p.Actor.User.IsZero())
	require.Equal(t, partner.String()+"/nightly", p.Key())

	_, err = d.Mint(Token{Tenant: partner, Roles: domain.AdminAgent})
	require.Error(t, err, "neither a user nor an application alone")
}

func TestATokenExpiresAfterTheLeeway(t *testing.T) {
	t.Parallel()
	d := dev(t)
	token, err := d.Mint(agent())
	require.NoError(t, err)
	for at, ok := range map[time.Time]bool{
		noon.Add(-leeway):                      true,
		noon.Add(-leeway - time.Second):        false,
		noon.Add(8*time.Hour + 59*time.Second): true,
		noon.Add(8*time.Hour + 1*time.Minute):  false,
		noon.Add(1000 * time.Hour):             false,
	} {
		late := *d
		late.now = func() time.Time { return at }
		_, err := late.Authenticate(t.Context(), token)
		require.Equal(t, ok, err == nil, "%s: %v", at, err)
	}
}

func TestTheKeyOfAnotherDirectoryIsNotAccepted(t *testing.T) {
	t.Parallel()
	token, err := dev(t).Mint(agent())
	require.NoError(t, err)
	_, err = dev(t).Authenticate(t.Context(), token)
	requireRefused(t, err)
}

func TestTheKeyIsMadeOnceAndKeptFromOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	var makers sync.WaitGroup
	keys := make([]*Dev, 8)
	for i := range keys {
		makers.Go(func() {
			d, err := OpenDev(dir)
			if err == nil {
				keys[i] = d
			}
		})
	}
	makers.Wait()
	for _, d := range keys {
		require.NotNil(t, d)
		require.Equal(t, keys[0].key, d.key)
	}
	path := filepath.Join(dir, devKeyFile)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = OpenDev(dir)
		require.ErrorContains(t, err, "can be read by others")
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, []byte("no key"), 0o600))
	_, err = OpenDev(dir)
	require.ErrorContains(t, err, "holds no key")
}

func TestClaimsAreJudgedStrictly(t *testing.T) {
	t.Parallel()
	d := dev(t)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: d.key}, nil)
	require.NoError(t, err)
	base := func() map[string]any {
		return map[string]any{
			"iss": devIssuer, "aud": devAudience, "exp": noon.Add(time.Hour).Unix(), "nbf": noon.Unix(),
			"tid": partner.String(), "oid": user.String(), "roles": []string{"AdminAgent"},
		}
	}
	verify := func(c map[string]any) (Principal, error) {
		token, err := jwt.Signed(signer).Claims(c).Serialize()
		require.NoError(t, err)
		return d.Authenticate(t.Context(), token)
	}
	_, err = verify(base())
	require.NoError(t, err)

	for name, change := range map[string]func(map[string]any){
		"another issuer":         func(c map[string]any) { c["iss"] = "https://evil.example" },
		"no issuer":              func(c map[string]any) { delete(c, "iss") },
		"another audience":       func(c map[string]any) { c["aud"] = []string{"other", "permledger2"} },
		"no audience":            func(c map[string]any) { delete(c, "aud") },
		"no expiry":              func(c map[string]any) { delete(c, "exp") },
		"no beginning":           func(c map[string]any) { delete(c, "nbf") },
		"expired":                func(c map[string]any) { c["exp"] = noon.Add(-2 * time.Minute).Unix() },
		"absurd expiry":          func(c map[string]any) { c["exp"] = 1e300 },
		"in the future":          func(c map[string]any) { c["nbf"] = noon.Add(2 * time.Minute).Unix() },
		"tenant is no GUID":      func(c map[string]any) { c["tid"] = "fabrikam" },
		"tenant with braces":     func(c map[string]any) { c["tid"] = "{" + partner.String() + "}" },
		"no tenant":              func(c map[string]any) { delete(c, "tid") },
		"the zero tenant":        func(c map[string]any) { c["tid"] = uuid.Nil.String() },
		"user is no GUID":        func(c map[string]any) { c["oid"] = "mei" },
		"control character":      func(c map[string]any) { c["upn"] = "mei\nadmin" },
		"endless name":           func(c map[string]any) { c["upn"] = string(make([]byte, 300)) },
		"roles are not a list":   func(c map[string]any) { c["roles"] = "AdminAgent" },
		"expiry is not a number": func(c map[string]any) { c["exp"] = "tomorrow" },
	} {
		c := base()
		change(c)
		_, err := verify(c)
		require.Error(t, err, name)
		requireRefused(t, err)
	}

	c := base()
	c["aud"] = "other"
	_, err = verify(c)
	require.Equal(t, problem.CodeWrongAudience, problem.Of(err).Code, "which some doors tell apart")

	c = base()
	c["roles"] = []string{"adminagent", "GlobalAdmin", "SalesAgent", "salesAgent"}
	c["aud"] = []string{"other", devAudience}
	c["exp"] = float64(noon.Unix()) + 0.5
	p, err := verify(c)
	require.NoError(t, err)
	require.Equal(t, domain.SalesAgent, p.Actor.Roles, "roles count by their exact names")

	c = base()
	c["idtyp"] = "app"
	p, err = verify(c)
	require.NoError(t, err)
	require.True(t, p.Actor.User.IsZero(), "the object id of an application is no user")
}

func TestDevelopmentTokensAreServedOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"127.0.0.1:8080": true, "127.9.9.9:1": true, "[::1]:8080": true,
		"0.0.0.0:8080": false, "[::]:8080": false, "192.168.1.7:8080": false, ":8080": false,
	} {
		a, err := net.ResolveTCPAddr("tcp", address)
		require.NoError(t, err)
		require.Equal(t, ok, RequireLoopback(a) == nil, address)
	}
}

func TestExactlyOneBearerTokenIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []string
		token  string
	}{
		{[]string{"Bearer abc"}, "abc"},
		{[]string{"bearer abc"}, "abc"},
		{nil, ""},
		{[]string{"Basic abc"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer abc", "Bearer def"}, ""},
	} {
		token, err := Bearer(&http.Request{Header: http.Header{"Authorization": c.values}})
		require.Equal(t, c.token, token)
		require.Equal(t, c.token == "", err != nil)
	}
}

func TestAPrincipalThatSendsTooMuchWaits(t *testing.T) {
	t.Parallel()
	l := NewLimiter(1, 2, 2)
	for range 2 {
		_, ok := l.Allow("a", noon)
		require.True(t, ok)
	}
	wait, ok := l.Allow("a", noon)
	require.False(t, ok)
	require.Equal(t, time.Second, wait)
	_, ok = l.Allow("b", noon)
	require.True(t, ok, "another principal has a bucket of its own")
	_, ok = l.Allow("a", noon.Add(time.Second))
	require.True(t, ok)
	_, ok = l.Allow("c", noon)
	require.True(t, ok)
	require.LessOrEqual(t, len(l.young)+len(l.old), 4, "only so many are remembered")
	first, second := l.bucket("a"), l.bucket("a")
	require.Same(t, first, second)
}
