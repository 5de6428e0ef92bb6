package webhooks

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheSigningKeyIsMadeOnceAndNobodyElsesToRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhooks", signingFile)
	key, certificate, err := (&signer{path: path}).identity()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	again, same, err := (&signer{path: path}).identity()
	require.NoError(t, err)
	require.True(t, key.Equal(again))
	require.Equal(t, certificate, same)
	parsed, err := x509.ParseCertificate(certificate)
	require.NoError(t, err)
	require.True(t, parsed.NotAfter.After(time.Now().AddDate(19, 0, 0)))

	require.NoError(t, os.Chmod(path, 0o644))
	_, _, err = (&signer{path: path}).identity()
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(path, 0o600))
	for _, content := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, _, err = (&signer{path: path}).identity()
		require.ErrorContains(t, err, "remove it to get a new one")
	}
}
