package ledger

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
	"permledger/eventstore/embedded"
)

func TestG5AServerThatStopsAnsweringIsRestartedAndTheSameCommandResolved(t *testing.T) {
	t.Parallel()
	l := opened(t, t.TempDir())
	ready(t, l)
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, l.store.Restart(dead), "stopped, and not started again")

	call := Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: domaintest.Buyer, Command: domaintest.Purchase(1)}
	_, err := l.Execute(t.Context(), call)
	require.Error(t, err, "never a false success")
	require.True(t, errors.Is(err, eventstore.ErrOutcomeUnknown) || errors.Is(err, eventstore.ErrUnavailable), "%v", err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := l.Execute(t.Context(), call)
		require.NoError(c, err)
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, l.Fault())
	require.NoError(t, l.models.WaitFor(t.Context(), l.Head().Position), "the read models follow again")
	report, err := l.store.Log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, l.Head().Hash, report.Head.Hash)
}

// TestAServerIsRestartedForAsLongAsItTakes keeps the disk full for a day.
func TestAServerIsRestartedForAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var tries []time.Time
		unavailable := func() error {
			if time.Since(began) > 24*time.Hour {
				return nil
			}
			return eventstore.ErrUnavailable
		}
		ctx, cancel := context.WithCancel(t.Context())
		l := &Ledger{config: Config{Logger: slog.New(slog.DiscardHandler)}}
		go l.keepAnswering(ctx, unavailable, func(context.Context) error {
			tries = append(tries, time.Now())
			return &embedded.RoomError{Dir: "data", Err: errors.New("full")}
		})
		time.Sleep(48 * time.Hour)
		cancel()
		synctest.Wait()
		require.LessOrEqual(t, tries[0].Sub(began), silence+2*revivalCheck)
		for i := range tries[1:] {
			pause := tries[i+1].Sub(tries[i])
			require.GreaterOrEqual(t, pause, silence)
			require.LessOrEqual(t, pause, maxSilence+revivalCheck)
		}
		last := tries[len(tries)-1].Sub(began)
		require.Greater(t, last, 24*time.Hour-2*maxSilence, "not given up")
		require.LessOrEqual(t, last, 24*time.Hour+revivalCheck, "and no longer than needed")
		require.NoError(t, l.fault)
	})
}

// TestReadModelsInDoubtAreBuiltAnewInTheEnd lets the log be out of reach for an hour.
func TestReadModelsInDoubtAreBuiltAnewInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Ledger{config: Config{Logger: slog.New(slog.DiscardHandler)}}
		began, tries := time.Now(), 0
		l.rebuild(t.Context(), func(context.Context) error {
			tries++
			if time.Since(began) > time.Hour {
				return nil
			}
			return eventstore.ErrUnavailable
		})
		require.Greater(t, tries, 5)
		require.LessOrEqual(t, time.Since(began), time.Hour+longestRebuildAgain)
		ctx, cancel := context.WithCancel(t.Context())
		l.rebuild(ctx, func(context.Context) error {
			cancel()
			return eventstore.ErrUnavailable
		})
	})
}

// TestG11DamageThatARestartFindsStopsTheLedger: a server must not open damaged files again and again.
func TestG11DamageThatARestartFindsStopsTheLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Ledger{config: Config{Logger: slog.New(slog.DiscardHandler)}}
		tries := 0
		l.keepAnswering(t.Context(), func() error { return eventstore.ErrUnavailable }, func(context.Context) error {
			tries++
			return &embedded.DamageError{File: "1.blk", Sequence: 1, Reason: "damaged"}
		})
		require.Equal(t, 1, tries)
		require.ErrorIs(t, l.fault, eventstore.ErrIntegrity)
	})
}
