package dedup

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

const benchIDs = 1 << 20

// million gives a closed store of a million ids, and their log.
func million(b *testing.B) (string, *written) {
	dir, l := b.TempDir(), newLog()
	s, err := Open(context.Background(), dir, l, Options{})
	require.NoError(b, err)
	at := l.head()
	keys := make([]eventstore.CommandKey, 1024)
	for n := 0; n < benchIDs; n += len(keys) {
		for i := range keys {
			keys[i] = eventstore.CommandKey{Tenant: fmt.Sprint("tenant ", i%100), ID: uuid.New()}
		}
		at.Sequence++
		s.Take(at, keys)
	}
	l.records = append(l.records, make([]eventstore.Stored, at.Sequence-1)...)
	for i := range l.records {
		l.records[i].Hash = at.Hash
	}
	require.NoError(b, s.Close())
	return dir, l
}

// BenchmarkOpen measures what a start adds for a million ids, and what they take of
// memory then.
func BenchmarkOpen(b *testing.B) {
	dir, l := million(b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var s *Store
	for b.Loop() {
		var err error
		s, err = Open(context.Background(), dir, l, Options{})
		require.NoError(b, err)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.NoError(b, s.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchIDs, "B/id")
}

// BenchmarkFind measures the questions about a new command, and about one that is
// there, among a million.
func BenchmarkFind(b *testing.B) {
	dir, l := million(b)
	s, err := Open(context.Background(), dir, l, Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	held, err := first(s)
	require.NoError(b, err)
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			if records, _, err := s.Find(eventstore.CommandKey{Tenant: "tenant 1", ID: uuid.New()}); err != nil || len(records) > 0 {
				b.Fatal(records, err)
			}
		}
	})
	b.Run("held", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if records, err := s.FindAll(held[n%len(held)]); err != nil || len(records) == 0 {
				b.Fatal(records, err)
			}
		}
	})
}

func first(s *Store) (ids []uuid.UUID, err error) {
	for e, err := range s.view.Load().segments[0].all() {
		if err != nil {
			return nil, err
		}
		ids = append(ids, e.id())
	}
	return ids, nil
}

// BenchmarkTake measures what the writer pays for an id, with all that is written
// and merged in the background.
func BenchmarkTake(b *testing.B) {
	l := newLog()
	s, err := Open(context.Background(), b.TempDir(), l, Options{})
	require.NoError(b, err)
	at := l.head()
	keys := make([]eventstore.CommandKey, 64)
	for b.Loop() {
		for i := range keys {
			keys[i] = eventstore.CommandKey{Tenant: "tenant 1", ID: uuid.New()}
		}
		at.Sequence++
		s.Take(at, keys)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(keys)), "ns/id")
	require.NoError(b, s.Close())
}
