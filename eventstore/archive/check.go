package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"permledger/eventstore"
)

// lookAgain is how long after damage was seen it is looked for again: a segment
// may have been cut back and written again at that moment.
const lookAgain = 500 * time.Millisecond

// Check reads every byte of an archive as Verify does, but from the disk, as
// slowly as each allows, which is told before each read how many bytes it may
// take, and to the end: damage is told to damaged, and the next segment is
// checked. It may be used beside a Follower. It returns how far the archive goes,
// and the first error of reading or of each.
func Check(ctx context.Context, dir string, each func(bytes int) error, damaged func(*DamageError)) (eventstore.Cursor, error) {
	list, err := segments(dir)
	if err != nil {
		return eventstore.Cursor{}, err
	}
	r := &reading{ctx: ctx, first: 1, yield: func(eventstore.Stored) bool { return true }}
	for i, s := range list {
		err := r.check(s, i == len(list)-1, each)
		wrong, isDamage := errors.AsType[*DamageError](err)
		switch {
		case isDamage:
			damaged(wrong)
			r.checker, r.first = nil, 0 // what follows is checked by itself
		case err != nil:
			return r.at(), err
		}
	}
	return r.at(), nil
}

func (r *reading) at() eventstore.Cursor {
	if r.checker == nil {
		return eventstore.Cursor{}
	}
	return r.checker.At()
}

// check reads a segment from the disk, and again when it seems damaged.
func (r *reading) check(s segment, last bool, each func(bytes int) error) error {
	before := r.checker
	for try := 0; ; try++ {
		if r.checker = nil; before != nil {
			r.checker = eventstore.NewChecker(before.At(), before.Ledger())
		} else if r.first != 1 {
			r.first = s.first
		}
		err := r.uncached(s, each)
		if err == nil && !r.sealed && !last {
			err = r.damaged("it has no last line, but another segment follows")
		}
		if _, isDamage := errors.AsType[*DamageError](err); !isDamage || try > 0 {
			return err
		}
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

func (r *reading) uncached(s segment, each func(bytes int) error) error {
	r.name = s.name()
	if next := r.at().Sequence + 1; r.checker != nil && next != s.first || r.checker == nil && r.first == 1 && s.first != 1 {
		return r.damaged("record %d should come next: records are missing, or a file is", next)
	}
	f, err := eventstore.OpenUncached(s.path, each)
	if errors.Is(err, fs.ErrNotExist) {
		return r.damaged("the file is gone")
	}
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return r.read(s.name(), f)
}
