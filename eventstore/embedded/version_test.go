package embedded

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionsAreComparedByNumbers(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2.15.2": true, "2.15.10": true, "2.16.0-beta.1": true, "3.0.0": true, "v2.15.2": true,
		"2.15.1": false, "2.9.99": false, "1.99.99": false, "": false,
	} {
		require.Equal(t, want, atLeast(version, MinVersion), version)
	}
}
