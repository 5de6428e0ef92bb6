package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// laneTimeout ends a measurement that hangs. Those that are bounded by a size instead of a time, such as a
// rebuild, stay far below it.
const laneTimeout = 5 * time.Minute

// benchSuite is a group of measures that are taken on the same stores, in the same rounds.
type benchSuite struct {
	name     string
	measures []benchMeasure
	// open prepares the stores and gives the lanes; close releases them, and is called after an error too
	// when it is not nil.
	open func(ctx context.Context, b *bench) (lanes []benchLane, closing func() error, err error)
}

// benchMeasure says which two figures are compared and what their ratio should be.
type benchMeasure struct {
	name, unit   string
	figure       string // key of a lane's figure
	baselineName string
	baseline     string // key of a lane's figure
	target       benchTarget
}

// benchFigures are what a lane measured, by key.
type benchFigures map[string]float64

// benchLane is one thing that is measured in every round.
type benchLane struct {
	gives []string // keys of its figures
	once  bool     // takes too long, or is too exact, to be repeated
	run   func(ctx context.Context, limit time.Duration) (benchFigures, error)
}

// lane is a lane of one figure.
func lane(key string, run func(ctx context.Context, limit time.Duration) (float64, error)) benchLane {
	return benchLane{gives: []string{key}, run: func(ctx context.Context, limit time.Duration) (benchFigures, error) {
		figure, err := run(ctx, limit)
		return benchFigures{key: figure}, err
	}}
}

// measure takes the measures of a suite that were asked for.
func (b *bench) measure(ctx context.Context, s benchSuite) (rows []benchRow, err error) {
	needed := make(map[string]bool)
	var chosen []benchMeasure
	for _, m := range s.measures {
		if b.selected(m) {
			chosen = append(chosen, m)
			needed[m.figure], needed[m.baseline] = true, true
		}
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	lanes, closing, err := s.open(ctx, b)
	if closing != nil {
		defer func() { err = errors.Join(err, closing()) }()
	}
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	lanes = slices.DeleteFunc(lanes, func(l benchLane) bool {
		return !slices.ContainsFunc(l.gives, func(key string) bool { return needed[key] })
	})
	medians, err := b.rounds(ctx, s.name, lanes)
	if err != nil {
		return nil, err
	}
	for _, m := range chosen {
		rows = append(rows, m.row(medians[m.figure], medians[m.baseline]))
	}
	return rows, nil
}

// rounds runs every lane once a round and gives the median of each figure. Every other round goes the
// other way round, so that no lane always runs in the wake of the same one.
func (b *bench) rounds(ctx context.Context, name string, lanes []benchLane) (benchFigures, error) {
	all := make(map[string][]float64)
	bar := b.progress(name, uint64(b.env.Rounds*len(lanes)))
	defer bar.stop()
	for round := range b.env.Rounds {
		for i := range lanes {
			l := lanes[i]
			if round%2 == 1 {
				l = lanes[len(lanes)-1-i]
			}
			if l.once && round > 0 {
				continue
			}
			figures, err := b.lane(ctx, l)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", l.gives[0], round+1, err)
			}
			for key, figure := range figures {
				all[key] = append(all[key], figure)
			}
			bar.add(1)
		}
	}
	medians := make(benchFigures, len(all))
	for key, figures := range all {
		medians[key] = median(figures)
	}
	return medians, nil
}

func (b *bench) lane(ctx context.Context, l benchLane) (benchFigures, error) {
	ctx, cancel := context.WithTimeout(ctx, laneTimeout)
	defer cancel()
	runtime.GC() // what others left behind is not this lane's to clear away
	return l.run(ctx, b.limit)
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// benchLoad is what clients did side by side.
type benchLoad struct {
	calls     int
	took      time.Duration
	latencies []time.Duration // ascending
}

// perSecond is how many calls were answered a second.
func (l benchLoad) perSecond() float64 { return float64(l.calls) / l.took.Seconds() }

// percentile is the latency that a share of the calls did not exceed, in milliseconds.
func (l benchLoad) percentile(share float64) float64 {
	at := l.latencies[int(share*float64(len(l.latencies)-1))]
	return float64(at) / float64(time.Millisecond)
}

// drive lets clients call side by side, each waiting for its answer before it calls again, until the time
// is over. Every client calls at least once.
func drive(ctx context.Context, clients int, limit time.Duration, call func(ctx context.Context, client int) error) (benchLoad, error) {
	each := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var stop atomic.Bool
	var working sync.WaitGroup
	began := time.Now()
	timer := time.AfterFunc(limit, func() { stop.Store(true) })
	defer timer.Stop()
	for c := range clients {
		working.Go(func() {
			for {
				started := time.Now()
				if errs[c] = call(ctx, c); errs[c] != nil {
					stop.Store(true)
					return
				}
				each[c] = append(each[c], time.Since(started))
				if stop.Load() || ctx.Err() != nil {
					return
				}
			}
		})
	}
	working.Wait()
	load := benchLoad{took: time.Since(began), latencies: slices.Concat(each...)}
	load.calls = len(load.latencies)
	slices.Sort(load.latencies)
	return load, errors.Join(ctx.Err(), errors.Join(errs...))
}
