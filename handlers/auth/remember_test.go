package auth

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counting counts how often a token is really verified.
type counting struct {
	asked   int
	expires time.Time
	fail    bool
}

func (c *counting) Authenticate(context.Context, string) (Principal, error) {
	c.asked++
	if c.fail {
		return Principal{}, refuse("no")
	}
	return Principal{Expires: c.expires}, nil
}

func TestAValidTokenIsVerifiedOnceAMinute(t *testing.T) {
	t.Parallel()
	next := &counting{expires: noon.Add(90 * time.Second)}
	m := Remember(next).(*memory)
	for _, c := range []struct {
		after time.Duration
		asked int
	}{
		{0, 1},
		{59 * time.Second, 1},
		{60 * time.Second, 2},
		{89 * time.Second, 2},
		{90 * time.Second, 3}, // expired: the authenticator judges again
		{91 * time.Second, 4},
	} {
		m.now = func() time.Time { return noon.Add(c.after) }
		_, err := m.Authenticate(t.Context(), "token")
		require.NoError(t, err)
		require.Equal(t, c.asked, next.asked, c.after)
	}
}

func TestARefusedTokenIsNotRemembered(t *testing.T) {
	t.Parallel()
	next := &counting{fail: true}
	m := Remember(next)
	for range 3 {
		_, err := m.Authenticate(t.Context(), "token")
		requireRefused(t, err)
	}
	require.Equal(t, 3, next.asked)
}

func TestOnlySoManyTokensAreRemembered(t *testing.T) {
	t.Parallel()
	next := &counting{expires: noon.Add(time.Hour)}
	m := Remember(next).(*memory)
	m.now = func() time.Time { return noon }
	for i := range 3 * rememberMost {
		_, err := m.Authenticate(t.Context(), strconv.Itoa(i))
		require.NoError(t, err)
	}
	require.LessOrEqual(t, len(m.young)+len(m.old), 2*rememberMost)
}
