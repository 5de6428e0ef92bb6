package webhooks

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"permledger/eventstore"
)

const (
	// signingFile holds the key with which bodies are signed and its certificate.
	signingFile = "signing-key.pem"
	keyBits     = 2048
	// certificateYears is how long the certificate is valid: receivers pin it, so that it must not end while
	// its key is used.
	certificateYears = 20
	// keyTimeout bounds how long the key that nodes share is asked for.
	keyTimeout = 4 * time.Second
)

// signer signs bodies with a key that is made once, when it is first needed.
type signer struct {
	path           string
	certificateURL string
	shared         func() (sharedKey, error) // gives nil where this node's key is its own

	mu          sync.Mutex
	key         *rsa.PrivateKey // guarded by mu
	certificate []byte          // DER; guarded by mu
}

// sign adds the headers by which a receiver knows who sends a body.
func (s *signer) sign(h http.Header, body []byte) error {
	key, _, err := s.identity()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return fmt.Errorf("sign a webhook: %w", err)
	}
	h.Set("Authorization", "Signature "+base64.StdEncoding.EncodeToString(signature))
	h.Set("x-ms-certificate-url", s.certificateURL)
	h.Set("x-ms-signature-algorithm", "rsa-sha256")
	return nil
}

// identity gives the key and its certificate, made where there are none.
func (s *signer) identity() (*rsa.PrivateKey, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key, s.certificate, nil
	}
	content, err := s.content()
	if err != nil {
		return nil, nil, fmt.Errorf("webhook signing key: %w", err)
	}
	key, certificate, err := parseIdentity(content, s.path)
	if err != nil {
		return nil, nil, fmt.Errorf("webhook signing key: %w", err)
	}
	s.key, s.certificate = key, certificate
	return key, certificate, nil
}

// content gives the key as it is kept. Where nodes share one, it is theirs, and the file a copy of it, from which
// it is offered again should they lose it.
func (s *signer) content() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keyTimeout)
	defer cancel()
	var shared sharedKey
	var err error
	if s.shared != nil {
		if shared, err = s.shared(); err != nil {
			return nil, err
		}
	}
	var content []byte
	if shared != nil {
		if content, err = shared.key(ctx); err != nil {
			return nil, err
		}
	}
	own, err := readIdentity(s.path)
	absent := errors.Is(err, fs.ErrNotExist)
	if content == nil && absent {
		own, err = makeIdentity()
	}
	if content == nil && err != nil || err != nil && !absent {
		return nil, err
	}
	if content == nil {
		content = own
		if shared != nil {
			if content, err = shared.offer(ctx, own); err != nil {
				return nil, err
			}
		}
	}
	if !absent {
		return content, nil
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return nil, err
	}
	return content, eventstore.ReplaceFile(s.path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func readIdentity(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others than its owner: chmod 600 it, or remove it to get a new one", path)
	}
	return os.ReadFile(path)
}

func parseIdentity(content []byte, path string) (*rsa.PrivateKey, []byte, error) {
	keyBlock, rest := pem.Decode(content)
	certificateBlock, _ := pem.Decode(rest)
	if keyBlock == nil || certificateBlock == nil {
		return nil, nil, fmt.Errorf("%s holds no key with its certificate: remove it to get a new one", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, nil, fmt.Errorf("%s holds no RSA key: remove it to get a new one", path)
	}
	return key, certificateBlock.Bytes, nil
}

// makeIdentity makes a key and its certificate, as PEM.
func makeIdentity() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	form := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "permledger webhooks", Organization: []string{"permledger"}},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(certificateYears, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...), nil
}
