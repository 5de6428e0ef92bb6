package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Read yields the records after from, in order, up to the head the log has when
// Read is called. Every record is checked against the one before it: sequence,
// position, ledger, time and hash. The first error is yielded once and ends the
// loop: an *IntegrityError that names the place, a *DoubtError while that is not
// confirmed, ErrUnavailable when the server can not be asked, or the error of the
// context. A loop that ends without an
// error has seen everything.
//
// A cursor beyond the head is an integrity failure: it was taken from a record
// that is no longer there.
func (l *Log) Read(ctx context.Context, from Cursor) iter.Seq2[Stored, error] {
	return l.read(ctx, from, decodeWhole)
}

// Outlines yields what Read yields, and checks what Read checks, but keeps
// nothing of what the records say: they have no Commands.
func (l *Log) Outlines(ctx context.Context, from Cursor) iter.Seq2[Stored, error] {
	return l.read(ctx, from, decodeOutline)
}

// Firm yields what Read yields, for a reader that has time: it waits while the
// log is in doubt, and goes on when it proves sound.
func (l *Log) Firm(ctx context.Context, from Cursor) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for {
			err := l.pass(ctx, from, decodeWhole, func(s Stored, err error) bool {
				from = s.Cursor()
				return yield(s, err)
			})
			if _, doubted := errors.AsType[*DoubtError](err); doubted {
				if err = l.Settled(ctx); err == nil {
					continue
				}
			}
			if err != nil && !errors.Is(err, errStopped) {
				yield(Stored{}, err)
			}
			return
		}
	}
}

func (l *Log) read(ctx context.Context, from Cursor, with decoder) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		if err := l.pass(ctx, from, with, yield); err != nil && !errors.Is(err, errStopped) {
			yield(Stored{}, err)
		}
	}
}

// pass yields the records after from up to the head of the log.
func (l *Log) pass(ctx context.Context, from Cursor, with decoder, yield func(Stored, error) bool) error {
	last, err := l.last(ctx)
	if err != nil {
		return err
	}
	c := l.chain(from)
	if err := l.stands(ctx, &c, last); err != nil || last == from.Sequence {
		return err
	}
	f, err := l.newFetcher()
	if err != nil {
		return err
	}
	defer f.close()
	return l.run(ctx, f, &c, last, with, yield)
}

// Follow yields the records after from, in order, for ever: first those that
// are stored, then each new one. It checks what Read checks. It waits while the
// server can not be asked and while the log is in doubt, and ends only with an
// *IntegrityError or the error of the context, which it yields last.
func (l *Log) Follow(ctx context.Context, from Cursor) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		l.startWatch()
		c := l.chain(from)
		var f *fetcher
		defer func() {
			if f != nil {
				f.close()
			}
		}()
		behind := true // until the server has been asked, anything may be new
		wait := confirmWait
		for {
			bell := l.waiting()
			err := l.Err()
			if err == nil && f == nil {
				f, err = l.newFetcher()
			}
			if err == nil && behind {
				var last uint64
				if last, err = l.last(ctx); err == nil {
					if err = l.stands(ctx, &c, last); err == nil {
						behind, wait = false, confirmWait
					}
				}
			}
			if err == nil {
				err = l.run(ctx, f, &c, l.known.Load(), decodeWhole, yield)
			}
			switch {
			case err == nil:
				if l.known.Load() > c.at.Sequence {
					continue
				}
				select {
				case <-bell:
				case <-ctx.Done():
					yield(Stored{}, ctx.Err())
					return
				case <-time.After(pollInterval): // a failure found elsewhere
				}
			case errors.Is(err, errStopped):
				return
			case ctx.Err() != nil:
				yield(Stored{}, ctx.Err())
				return
			case !errors.Is(err, ErrUnavailable):
				yield(Stored{}, err)
				return
			default:
				behind = true
				if f != nil {
					f.close()
					f = nil
				}
				if _, doubted := errors.AsType[*DoubtError](err); doubted && !errors.Is(l.Settled(ctx), ErrUnavailable) {
					continue // the log says how it ended
				}
				_ = sleep(ctx, wait)
				wait = min(2*wait, followAgain)
			}
		}
	}
}

// errStopped says that the caller of an iterator wants no more.
var errStopped = errors.New("the reader stopped")

// stands checks that the record a reader says it took last is still the one
// in the log, when no later record can show it.
func (l *Log) stands(ctx context.Context, c *chain, last uint64) error {
	at := c.at
	if at.Sequence < last || at.Sequence == 0 {
		return nil
	}
	return l.doubt(at, l.holds(ctx, at))
}

// holds checks that a record that a reader has taken is in the log.
func (l *Log) holds(ctx context.Context, at Cursor) error {
	if at.Sequence == 0 {
		return nil
	}
	s, err := l.Get(ctx, at.Sequence)
	switch {
	case errors.Is(err, ErrNotFound):
		return &IntegrityError{
			Position: max(at.Position, 1), Sequence: at.Sequence,
			Reason: fmt.Sprintf("the log ends before it, but a reader has taken record %d", at.Sequence),
		}
	case err == nil && s.Hash != at.Hash:
		return &IntegrityError{
			Position: max(at.Position, 1), Sequence: at.Sequence,
			Reason: fmt.Sprintf("it has hash %s, but a reader has taken it with hash %s", s.Hash, at.Hash),
		}
	}
	return err
}

// doubt tells the log what a reader who stands at a cursor has found. The log is
// sound only if it holds what the reader has taken.
func (l *Log) doubt(at Cursor, err error) error {
	return l.Suspect(err, func(ctx context.Context, log *Log) error { return log.holds(ctx, at) })
}

// run yields the records after the chain's cursor up to last. While one batch is
// yielded, the next one is decoded and the one after it fetched.
func (l *Log) run(ctx context.Context, f *fetcher, c *chain, last uint64, with decoder, yield func(Stored, error) bool) error {
	if c.at.Sequence >= last {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var ahead sync.WaitGroup
	defer ahead.Wait() // the fetcher is free again
	defer cancel()
	fetched, ready := make(chan batch), make(chan batch)
	ahead.Go(func() { f.fetchAll(ctx, c.at.Sequence+1, last, fetched) })
	ahead.Go(func() { decodeAll(ctx, with, fetched, ready) })
	for b := range ready {
		if b.err != nil {
			return l.doubt(c.at, locate(c, b.err))
		}
		for i := range b.records {
			d := &b.records[i]
			if d.err != nil {
				return l.doubt(c.at, c.fault("%v", d.err))
			}
			if err := c.accept(&d.Stored); err != nil {
				return l.doubt(c.at, err)
			}
			if !yield(d.Stored, nil) {
				return errStopped
			}
		}
		if c.at.Sequence >= last {
			return nil
		}
	}
	return ctx.Err()
}

// batch is some records on their way from the server to the reader, or why there
// are none.
type batch struct {
	raws    []raw
	records []decoded
	err     error
}

// fetchAll fetches the records from first to last, batch by batch.
func (f *fetcher) fetchAll(ctx context.Context, first, last uint64, to chan<- batch) {
	defer close(to)
	for first <= last {
		raws, err := f.fetch(ctx, first, last)
		select {
		case to <- batch{raws: raws, err: err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		first += uint64(len(raws))
	}
}

func decodeAll(ctx context.Context, with decoder, from <-chan batch, to chan<- batch) {
	defer close(to)
	for b := range from {
		b.records, b.raws = decode(b.raws, with), nil
		select {
		case to <- b:
		case <-ctx.Done():
			return
		}
	}
}

// locate adds the position to an integrity failure that knows only its record.
func locate(c *chain, err error) error {
	var e *IntegrityError
	if errors.As(err, &e) && e.Position == 0 {
		return &IntegrityError{Position: c.at.Position + 1, Sequence: e.Sequence, Reason: e.Reason}
	}
	return err
}
