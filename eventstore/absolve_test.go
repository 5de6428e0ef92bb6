package eventstore

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestADoubtDoesNotEndBeforeACheckThatCameInMeanwhile lets a check come in while the log is looked at: whoever waits
// for the end of the doubt takes it for the answer to that check.
func TestADoubtDoesNotEndBeforeACheckThatCameInMeanwhile(t *testing.T) {
	t.Parallel()
	finding := &IntegrityError{Sequence: 1, Position: 1, Reason: "it is another record"}
	passes := func(context.Context, *Log) error { return nil }
	l := &Log{
		log: slog.New(slog.DiscardHandler), bell: make(chan struct{}), again: []Recheck{passes},
		failure: &DoubtError{Since: time.Now(), Finding: finding},
	}
	proved := proof{last: 1, rechecks: 1} // of the checks there were
	fails := func(context.Context, *Log) error { return finding }
	require.ErrorIs(t, l.Suspect(finding, fails), ErrUnavailable)
	require.False(t, l.absolve(proved))
	require.Error(t, l.Err())
	proved.rechecks = 2
	require.True(t, l.absolve(proved))
	require.NoError(t, l.Err())
}
