package dedup

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"permledger/eventstore"
)

// agree compares what a store says about every key of a log, and about keys that
// it does not hold, with the log.
func agree(t require.TestingT, s *Store, l *written, random *rand.Rand) {
	byID := make(map[uuid.UUID][]uint64)
	for _, k := range l.keys {
		records, _, err := s.Find(k)
		require.NoError(t, err)
		require.Equal(t, l.at[k], records)
		byID[k.ID] = append(byID[k.ID], 0)
		other := eventstore.CommandKey{Tenant: "nobody", ID: k.ID}
		records, _, err = s.Find(other)
		require.NoError(t, err)
		require.Empty(t, records)
	}
	for id, times := range byID {
		records, err := s.FindAll(id)
		require.NoError(t, err)
		require.Len(t, records, len(times))
	}
	for range 50 {
		records, _, err := s.Find(eventstore.CommandKey{Tenant: "tenant 1", ID: randomID(random)})
		require.NoError(t, err)
		require.Empty(t, records)
	}
}

// TestG4TheIDsAreThoseOfTheLog is the law: whatever has been written, merged,
// closed, killed and thrown away, the answers are those of the log.
func TestG4TheIDsAreThoseOfTheLog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one of its own for each check
		require.NoError(rt, err)
		l := newLog()
		open := func() *Store {
			s, err := Open(context.Background(), dir, l, Options{Gather: rapid.IntRange(5, 60).Draw(rt, "gather")})
			require.NoError(rt, err)
			follow(s, l)
			return s
		}
		s := open()
		for range rapid.IntRange(1, 4).Draw(rt, "steps") {
			l.grow(random, rapid.IntRange(0, 30).Draw(rt, "records"))
			follow(s, l)
			switch rapid.SampledFrom([]string{"go on", "close", "kill", "lose a file", "lose all"}).Draw(rt, "then") {
			case "close":
				require.NoError(rt, s.Close())
				s = open()
			case "kill":
				s.kill()
				s = open()
			case "lose a file":
				s.kill()
				if list := files(t, dir); len(list) > 0 {
					require.NoError(rt, os.Remove(list[random.IntN(len(list))]))
				}
				s = open()
			case "lose all":
				s.kill()
				require.NoError(rt, os.RemoveAll(dir))
				s = open()
			}
			agree(rt, s, l, random)
		}
		require.NoError(rt, s.Close())
	})
}

// kill ends a store without writing what is in memory alone.
func (s *Store) kill() {
	s.closed.Do(func() {
		s.stop()
		s.done.Wait()
		for _, g := range s.view.Load().segments {
			_ = g.retire()
		}
	})
}

func TestG4WhatWasTakenInSinceASearchIsFound(t *testing.T) {
	t.Parallel()
	l := newLog()
	s := opened(t, t.TempDir(), l, 4)
	key := eventstore.CommandKey{Tenant: "a", ID: uuid.New()}
	records, seen, err := s.Find(key)
	require.NoError(t, err)
	require.Empty(t, records)
	require.Empty(t, s.Newer(seen, key))
	at := l.record(key)
	follow(s, l)
	for range 200 { // the table that took it in becomes a segment, and that is merged
		l.record(eventstore.CommandKey{Tenant: "a", ID: uuid.New()}, eventstore.CommandKey{Tenant: "b", ID: uuid.New()})
		follow(s, l)
		require.Equal(t, []uint64{at.Sequence}, s.Newer(seen, key))
		require.Empty(t, s.Newer(seen, eventstore.CommandKey{Tenant: "b", ID: key.ID}))
	}
	settled(t, s)
	require.Equal(t, []uint64{at.Sequence}, s.Newer(seen, key))
	records, seen, err = s.Find(key)
	require.NoError(t, err)
	require.Equal(t, []uint64{at.Sequence}, records)
	require.Empty(t, s.Newer(seen, key), "it is not newer than this search")
}

func TestManyMayLookWhileRecordsAreTakenIn(t *testing.T) {
	t.Parallel()
	l := newLog()
	random := rand.New(rand.NewPCG(1, 0))
	l.grow(random, 400)
	s, err := Open(t.Context(), t.TempDir(), l, Options{Gather: 16})
	require.NoError(t, err)
	known := make(chan eventstore.CommandKey, 4096)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for key := range known {
				records, _, err := s.Find(key)
				if err != nil || len(records) == 0 {
					t.Errorf("%v: %v, %v", key, records, err)
				}
			}
		})
	}
	for _, stored := range l.records {
		s.Take(stored.Cursor(), stored.CommandKeys())
		for _, key := range stored.CommandKeys() {
			known <- key
		}
	}
	close(known)
	all.Wait()
	settled(t, s)
	agree(t, s, l, random)
	require.NoError(t, s.Close())
}

func TestTheNumberOfFilesIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLog()
	s := opened(t, dir, l, 2)
	for range 600 {
		l.record(eventstore.CommandKey{Tenant: "a", ID: uuid.New()}, eventstore.CommandKey{Tenant: "a", ID: uuid.New()})
		follow(s, l)
	}
	settled(t, s)
	list := files(t, dir)
	require.Len(t, list, s.Status().Segments)
	require.LessOrEqual(t, len(list), 3*6, "three of each size up to 600 gatherings")
	require.Equal(t, uint64(1200), s.Status().IDs)
	for range 20 { // as many short runs leave no more
		require.NoError(t, s.Close())
		l.record(eventstore.CommandKey{Tenant: "a", ID: uuid.New()})
		s = opened(t, dir, l, 2)
		settled(t, s)
	}
	require.LessOrEqual(t, len(files(t, dir)), 3*6)
}

func TestADiskThatTakesNothingLosesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ids")
	l := newLog()
	s := opened(t, dir, l, 4)
	away := dir + ".away"
	require.NoError(t, os.Rename(dir, away))
	random := rand.New(rand.NewPCG(2, 0))
	l.grow(random, 50)
	follow(s, l)
	require.Eventually(t, func() bool { return s.Status().Err != nil }, time.Minute, time.Millisecond)
	agree(t, s, l, random)
	require.NoError(t, os.Rename(away, dir))
	s.rouse()
	settled(t, s)
	require.NotEmpty(t, files(t, dir))
	agree(t, s, l, random)
}

func TestIDsMadeFromAnotherLogAreAnIntegrityFailure(t *testing.T) {
	t.Parallel()
	build := func() (string, *written) {
		dir, l := t.TempDir(), newLog()
		l.grow(rand.New(rand.NewPCG(3, 0)), 60)
		require.NoError(t, opened(t, dir, l, 8).Close())
		return dir, l
	}
	reopen := func(dir string, l *written) error {
		s, err := Open(t.Context(), dir, l, Options{})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	t.Run("cut short", func(t *testing.T) {
		dir, l := build()
		l.records = l.records[:30]
		require.ErrorIs(t, reopen(dir, l), eventstore.ErrIntegrity)
		require.ErrorIs(t, reopen(dir, l), eventstore.ErrIntegrity, "the next time as well")
	})
	t.Run("another record", func(t *testing.T) {
		dir, l := build()
		l.records[len(l.records)-1].Hash[0] ^= 1
		require.ErrorIs(t, reopen(dir, l), eventstore.ErrIntegrity)
	})
	t.Run("cut short, and the ids damaged", func(t *testing.T) {
		dir, l := build()
		for _, path := range files(t, dir) {
			flip(t, path, 8*blockSize+5) // in block 1: what block 0 says still counts
		}
		l.records = l.records[:30]
		require.ErrorIs(t, reopen(dir, l), eventstore.ErrIntegrity)
		require.ErrorIs(t, reopen(dir, l), eventstore.ErrIntegrity, "the next time as well")
	})
	t.Run("a server that does not answer", func(t *testing.T) {
		dir, l := build()
		err := reopenWith(t, dir, unreachable{l})
		require.ErrorIs(t, err, eventstore.ErrUnavailable)
		require.NoError(t, reopen(dir, l))
	})
	t.Run("another ledger", func(t *testing.T) {
		dir, _ := build()
		other := newLog()
		other.grow(rand.New(rand.NewPCG(4, 0)), 80)
		s := opened(t, dir, other, 8)
		agree(t, s, other, rand.New(rand.NewPCG(5, 0)))
		reached, err := Reached(dir, other.ledger)
		require.NoError(t, err)
		require.LessOrEqual(t, reached.Sequence, other.head().Sequence)
	})
}

type unreachable struct{ *written }

func (unreachable) Get(context.Context, uint64) (eventstore.Stored, error) {
	return eventstore.Stored{}, eventstore.ErrUnavailable
}

func reopenWith(t *testing.T, dir string, source Source) error {
	t.Helper()
	s, err := Open(t.Context(), dir, source, Options{})
	if err == nil {
		err = errors.Join(errors.New("it opened"), s.Close())
	}
	return err
}

func TestReachedIsTheLastRecordThatIDsWereMadeFrom(t *testing.T) {
	t.Parallel()
	dir, l := t.TempDir(), newLog()
	reached, err := Reached(dir, l.ledger)
	require.NoError(t, err)
	require.Zero(t, reached)
	l.grow(rand.New(rand.NewPCG(6, 0)), 60)
	l.record(eventstore.CommandKey{Tenant: "a", ID: uuid.New()})
	require.NoError(t, opened(t, dir, l, 8).Close())
	reached, err = Reached(dir, l.ledger)
	require.NoError(t, err)
	require.Equal(t, l.head(), reached)
	reached, err = Reached(dir, uuid.New())
	require.NoError(t, err)
	require.Zero(t, reached)
}

// TestALateSearchEnds looks after Close, as a request does that outlived its server.
func TestALateSearchEnds(t *testing.T) {
	t.Parallel()
	l := newLog()
	l.grow(rand.New(rand.NewPCG(1, 1)), 50)
	s := opened(t, t.TempDir(), l, 10)
	follow(s, l)
	settled(t, s)
	require.NoError(t, s.Close())
	done := make(chan error, 1)
	go func() {
		_, _, err := s.Find(l.keys[0])
		done <- err
	}()
	select {
	case err := <-done:
		require.ErrorIs(t, err, errClosed)
	case <-time.After(time.Minute):
		t.Fatal("it looks for ever")
	}
}
