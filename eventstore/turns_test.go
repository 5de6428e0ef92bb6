package eventstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWriterLetsOthersGoFirstNowAndThen(t *testing.T) {
	t.Parallel()
	var turns turns
	now, flight := time.Now(), 10*time.Millisecond
	held := func() time.Duration { // until it yields
		began := now
		for {
			now = now.Add(flight)
			if turns.took(now, flight) {
				require.Equal(t, 2*flight, turns.wait(now))
				length := now.Sub(began)
				now = now.Add(2 * flight)
				return length
			}
			require.LessOrEqual(t, turns.wait(now), time.Duration(0))
		}
	}
	require.Equal(t, lonelyTurn, held(), "nobody else is known to write")
	turns.met(now)
	require.LessOrEqual(t, turns.wait(now), time.Duration(0), "others had their turn")
	require.Equal(t, sharedTurn, held())
	require.Equal(t, sharedTurn, held(), "they may not have come through")
	now = now.Add(company)
	require.Equal(t, lonelyTurn, held(), "they have stopped")
	now = now.Add(time.Minute)
	require.True(t, turns.took(now, 5*time.Second), "a slow disk")
	require.Equal(t, longestPause, turns.wait(now))
}
