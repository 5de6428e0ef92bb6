package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"permledger/domain"
)

// stateSuite measures the decision state: what a permission check costs in the process, and the memory.
var stateSuite = benchSuite{
	name: "decision state",
	measures: []benchMeasure{
		{"permission check in process", "ns", "check", "map lookup of the same key", "lookup", ratioAtMost(20)},
		{"decision state, memory of a customer", "B", "customer", "a map of ids alone, for each", "id", figureAtMost(1024)},
		{"decision state, memory of a reservation", "B", "reservation", "a map of ids alone, for each", "id", figureAtMost(250)},
	},
	open: func(ctx context.Context, b *bench) ([]benchLane, func() error, error) {
		large, err := b.largeBook(ctx)
		if err != nil {
			return nil, nil, err
		}
		asked := b.world.questions(large.customers)
		known := make(map[benchQuestion]bool, large.customers)
		for n := range large.customers {
			known[b.world.question(n)] = true
		}
		return []benchLane{
			lane("check", checking(large.book, asked)),
			lane("lookup", repeated(asked, func(q benchQuestion) bool { return known[q] })),
			{gives: []string{"customer", "reservation", "id"}, once: true, run: func(context.Context, time.Duration) (benchFigures, error) {
				return benchFigures{"customer": large.bytesPerCustomer, "reservation": large.bytesPerReservation, "id": large.bytesPerID}, nil
			}},
		}, nil, nil
	},
}

// benchQuestion is all that a permission check depends on.
type benchQuestion struct {
	partner, customer domain.TenantID
	subscription      domain.SubscriptionID
	user              domain.UserID
	product           domain.Product
}

func (w *benchWorld) question(n int) benchQuestion {
	return benchQuestion{w.partner(), w.customer(n), w.subscription(n), w.buyer(n).User, domain.AzureReservedInstances}
}

// questionsAsked is how many different questions a lane asks in turn.
const questionsAsked = 1 << 14

// questions are about customers taken at random, so that what is asked about lies anywhere in memory.
func (w *benchWorld) questions(customers int) []benchQuestion {
	choice := rand.New(rand.NewPCG(w.seed, 1)) //nolint:gosec // the same choices in every run
	list := make([]benchQuestion, questionsAsked)
	for i := range list {
		list[i] = w.question(choice.IntN(customers))
	}
	return list
}

// checking measures permission checks against a book.
func checking(book *domain.Book, asked []benchQuestion) func(context.Context, time.Duration) (float64, error) {
	return repeated(asked, func(q benchQuestion) bool {
		verdict, err := book.Check(q.partner, q.customer, q.product, q.subscription, q.user)
		return err == nil && verdict.Allowed
	})
}

var errWrongAnswer = errors.New("a question that must be answered with yes was not")

// repeated asks questions one after the other until the time is over, and gives the nanoseconds of one.
func repeated(asked []benchQuestion, ask func(benchQuestion) bool) func(context.Context, time.Duration) (float64, error) {
	return func(ctx context.Context, limit time.Duration) (float64, error) {
		began := time.Now()
		for n := 1; ; n++ {
			for _, q := range asked {
				if !ask(q) {
					return 0, errWrongAnswer
				}
			}
			if took := time.Since(began); took >= limit || ctx.Err() != nil {
				return float64(took.Nanoseconds()) / float64(n*len(asked)), ctx.Err()
			}
		}
	}
}

// growthSuite measures whether commands and checks cost more in a large ledger than in a small one.
var growthSuite = benchSuite{
	name: "cost of growth",
	measures: []benchMeasure{
		{"append in the large ledger, 64 clients", "µs", "append large", "in one of 10,000 events", "append small", ratioAtMost(1.2)},
		{"check in the large ledger", "ns", "check large", "in one of 10,000 events", "check small", ratioAtMost(1.2)},
	},
	open: func(ctx context.Context, b *bench) (lanes []benchLane, closing func() error, err error) {
		var paths []*benchPath
		closing = func() error {
			var errs []error
			for _, p := range paths {
				errs = append(errs, p.close())
			}
			return errors.Join(errs...)
		}
		large, err := b.largeLog(ctx)
		if err != nil {
			return nil, closing, err
		}
		small, err := b.ledgerOf(ctx, min(smallEvents, b.env.Events/2), "small")
		if err == nil {
			err = small.store(ctx, b.subdirectory("small"))
		}
		if err != nil {
			return nil, closing, err
		}
		for _, l := range []struct {
			*benchLarge
			name string
		}{{large, "large"}, {small, "small"}} {
			p, err := openBenchPath(ctx, b.world, l.dir, l.book, l.head)
			if err != nil {
				return nil, closing, err
			}
			paths = append(paths, p)
			lanes = append(lanes,
				lane("append "+l.name, appending(p, l.customers)),
				lane("check "+l.name, checking(l.book, b.world.questions(min(l.customers, small.customers)))))
		}
		return lanes, closing, nil
	},
}

// smallEvents is the size of the ledger that the large one is compared with.
const smallEvents = 10_000

// appending measures the microseconds of a command while 64 clients send them.
func appending(p *benchPath, customers int) func(context.Context, time.Duration) (float64, error) {
	turns := newTurns(customers, liveClients)
	return func(ctx context.Context, limit time.Duration) (float64, error) {
		load, err := drive(ctx, liveClients, limit, func(ctx context.Context, client int) error {
			return p.buy(ctx, turns.take(client))
		})
		return 1e6 / load.perSecond(), err
	}
}
