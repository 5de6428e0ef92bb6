package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"permledger/domain"
)

const (
	devKeyFile  = "dev-token-key.pem"
	devIssuer   = "permledger-dev"
	devAudience = "permledger"
	// DevTokenLife is how long a development token is valid unless asked otherwise.
	DevTokenLife = 8 * time.Hour
)

// Dev accepts and makes development tokens, signed with a key that lives in the data directory. Whoever
// can read that file can be anybody, so it is served on loopback only; see RequireLoopback.
type Dev struct {
	key ed25519.PrivateKey
	now func() time.Time
}

// OpenDev reads the key of a data directory and makes one where there is none. A key file that others
// than its owner can read is refused.
func OpenDev(dir string) (*Dev, error) {
	path := filepath.Join(dir, devKeyFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = createKey(dir, path)
	}
	if err != nil {
		return nil, fmt.Errorf("development key: %w", err)
	}
	return &Dev{key: key, now: time.Now}, nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others than its owner: chmod 600 it, or remove it to get a new one", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key: remove it to get a new one", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s holds no Ed25519 key: remove it to get a new one", path)
	}
	return key, nil
}

// createKey writes a new key beside its place and links it there, so that a reader never sees half a key
// and of two makers the first wins.
func createKey(dir, path string) (ed25519.PrivateKey, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, devKeyFile+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readKey(path)
}

// Token says for whom a development token is made.
type Token struct {
	Tenant domain.TenantID // the partner of an agent, the customer of a customer's user
	User   domain.UserID   // required unless AppOnly
	UPN    string
	Roles  domain.Roles
	App    string // client application id
	// AppOnly makes the token of an application without a signed-in user.
	AppOnly bool
	// Life is how long it is valid; DevTokenLife when 0.
	Life time.Duration
}

// Mint makes a token that Authenticate accepts from now on.
func (d *Dev) Mint(t Token) (string, error) {
	if t.AppOnly != t.User.IsZero() {
		return "", errors.New("a token is either of a user, with an object id, or of an application alone, without one")
	}
	if t.Life == 0 {
		t.Life = DevTokenLife
	}
	now := d.now()
	c := claims{
		Issuer: devIssuer, Audience: audience{devAudience}, Expires: at(now.Add(t.Life)), NotBefore: at(now), IssuedAt: at(now),
		Tenant: t.Tenant.String(), UPN: t.UPN, Roles: t.Roles.Names(), App: t.App,
	}
	if t.AppOnly {
		c.Type = appOnly
	} else {
		c.User = t.User.String()
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: d.key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	return token, nil
}

// Authenticate implements Authenticator.
func (d *Dev) Authenticate(_ context.Context, token string) (Principal, error) {
	if err := precheck(token, []string{string(jose.EdDSA)}); err != nil {
		return Principal{}, err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Principal{}, refuse("The token is not a signed JWT in compact form.")
	}
	payload, err := signed.Verify(d.key.Public())
	if err != nil {
		return Principal{}, refuse("The token is not signed with this server's development key. Make one with: permledger token.")
	}
	p, err := expectation{issuer: devIssuer, audience: devAudience, now: d.now()}.principal(payload)
	p.MayBecomePartner = true
	return p, err
}
