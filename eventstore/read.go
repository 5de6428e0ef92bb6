package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Read yields the records after from, in order, up to the head the log has when
// Read is called. Every record is checked against the one before it: sequence,
// position, ledger, time and hash. The first error is yielded once and ends the
// loop: an *IntegrityError that names the place, ErrUnavailable when the server
// can not be asked, or the error of the context. A loop that ends without an
// error has seen everything.
//
// A cursor beyond the head is an integrity failure: it was taken from a record
// that is no longer there.
func (l *Log) Read(ctx context.Context, from Cursor) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		last, err := l.last(ctx)
		if err != nil {
			yield(Stored{}, err)
			return
		}
		c := l.chain(from)
		if err := l.stands(ctx, &c, last); err != nil {
			yield(Stored{}, err)
			return
		}
		if last == from.Sequence {
			return
		}
		f, err := l.newFetcher()
		if err != nil {
			yield(Stored{}, err)
			return
		}
		defer f.close()
		if err := l.run(ctx, f, &c, last, yield); err != nil && !errors.Is(err, errStopped) {
			yield(Stored{}, err)
		}
	}
}

// Follow yields the records after from, in order, for ever: first those that
// are stored, then each new one. It checks what Read checks. It waits while the
// server can not be asked, and ends only with an *IntegrityError or the error
// of the context, which it yields last.
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
				err = l.run(ctx, f, &c, l.known.Load(), yield)
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
				_ = sleep(ctx, wait)
				wait = min(2*wait, pollInterval)
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
	switch {
	case at.Sequence > last:
		return l.fail(&IntegrityError{
			Position: max(at.Position, 1), Sequence: at.Sequence,
			Reason: fmt.Sprintf("the log ends with record %d, but a reader has taken record %d", last, at.Sequence),
		})
	case at.Sequence < last || last == 0:
		return nil
	}
	s, err := l.Get(ctx, last)
	if err != nil {
		return err
	}
	if s.Hash != at.Hash {
		return l.fail(&IntegrityError{
			Position: max(at.Position, 1), Sequence: at.Sequence,
			Reason: fmt.Sprintf("it has hash %s, but a reader has taken it with hash %s", s.Hash, at.Hash),
		})
	}
	return nil
}

// run yields the records after the chain's cursor up to last. While one batch
// is yielded, the next one is fetched and decoded.
func (l *Log) run(ctx context.Context, f *fetcher, c *chain, last uint64, yield func(Stored, error) bool) error {
	if c.at.Sequence >= last {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	type batch struct {
		stored []Stored
		errs   []error
		err    error
	}
	fetch := func(first uint64) batch {
		raws, err := f.fetch(ctx, first, last)
		if err != nil {
			return batch{err: err}
		}
		stored, errs := decode(raws)
		return batch{stored, errs, nil}
	}
	ahead := make(chan batch, 1)
	pending := false
	defer func() {
		cancel()
		if pending {
			<-ahead // the fetcher is free again
		}
	}()
	b := fetch(c.at.Sequence + 1)
	for {
		if b.err != nil {
			return l.fail(locate(c, b.err))
		}
		if next := b.stored[len(b.stored)-1].Sequence + 1; next <= last {
			pending = true
			go func() { ahead <- fetch(next) }()
		}
		for i := range b.stored {
			if b.errs[i] != nil {
				return l.fail(c.fault("%v", b.errs[i]))
			}
			if err := c.accept(&b.stored[i]); err != nil {
				return l.fail(err)
			}
			if !yield(b.stored[i], nil) {
				return errStopped
			}
		}
		if !pending {
			return nil
		}
		b, pending = <-ahead, false
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
