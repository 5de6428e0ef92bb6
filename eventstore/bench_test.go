package eventstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/dedup"
	"permledger/eventstore/eventstoretest"
)

// BenchmarkSubmit measures commands from many clients through the writer into
// an embedded store that syncs every record.
//
//	go test -run '^$' -bench Submit ./eventstore
func BenchmarkSubmit(b *testing.B) {
	for _, clients := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			w := benchWriter(b)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					account := fmt.Sprint("account ", c)
					for left.Add(-1) >= 0 {
						if _, err := w.Submit(context.Background(), eventstoretest.Submit(account, 1)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
			b.ReportMetric(float64(b.N)/float64(w.Stats().Groups), "commands/record")
		})
	}
}

// BenchmarkVerify measures reading, hashing, decoding and checking stored
// events; one operation is one event.
func BenchmarkVerify(b *testing.B) {
	for _, per := range []int{1, 100} {
		b.Run(fmt.Sprint("events-per-record=", per), func(b *testing.B) {
			log := benchLog(b)
			fill(b, log, b.N, per)
			b.ReportAllocs()
			b.ResetTimer()
			report, err := log.Verify(context.Background(), nil)
			require.NoError(b, err)
			require.GreaterOrEqual(b, report.Events, uint64(b.N))
			b.ReportMetric(float64(report.Events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func benchLog(b *testing.B) *eventstore.Log {
	log, err := eventstore.Open(context.Background(), eventstoretest.Embedded(b, b.TempDir()).JetStream(),
		eventstore.Options{Stream: "B", Subject: "bench", Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { _ = log.Close() })
	return log
}

func benchWriter(b *testing.B) *eventstore.Writer[eventstoretest.Transfer, eventstoretest.Changed] {
	log := benchLog(b)
	ids, err := dedup.Open(context.Background(), b.TempDir(), log, dedup.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = ids.Close() })
	w := eventstore.NewWriter(log, eventstoretest.NewBook(), eventstoretest.Codec{}, ids, eventstore.WriterOptions{})
	b.Cleanup(func() { _ = w.Close() })
	require.NoError(b, w.Start(context.Background()))
	return w
}

// fill stores events, some in each record.
func fill(b *testing.B, log *eventstore.Log, events, per int) {
	require.NoError(b, log.EnsureGenesis(context.Background()))
	head, err := log.Head(context.Background())
	require.NoError(b, err)
	ledger, _, _ := log.Ledger()
	for n := 0; n < events; n += per {
		r := eventstore.Record{Version: 1, Ledger: ledger, First: head.Position + 1, Time: head.Time, Previous: head.Hash}
		for range per {
			s := eventstoretest.Submit("account 1", 1)
			e, err := eventstoretest.Codec{}.Encode(eventstoretest.Changed{Transfer: s.Command})
			require.NoError(b, err)
			r.Commands = append(r.Commands, eventstore.Command{ID: s.ID, Name: s.Name, Digest: s.Digest, Actor: s.Actor, Events: []eventstore.Event{e}})
		}
		head, err = log.Append(context.Background(), head, eventstore.AppendRecord(nil, &r))
		require.NoError(b, err)
	}
}
