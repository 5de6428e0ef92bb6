package eventstore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// leaving counts how often a server is left.
type leaving struct{ left atomic.Int32 }

func (*leaving) Up() bool { return true }
func (l *leaving) Leave() { l.left.Add(1) }

// TestOnlyAServerWithoutAMajorityIsLeftInDoubt is why a doubt is confirmed in the time it is given: each time a
// server is left, the answers before it and after it do not follow each other.
func TestOnlyAServerWithoutAMajorityIsLeftInDoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		backed error
		left   bool
	}{
		"a majority stands behind what it says": {&IntegrityError{Reason: "stream S is gone"}, false},
		"it stands alone":                       {fmt.Errorf("%w: the leader has no majority", ErrUnavailable), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				line := &leaving{}
				l := &Log{opts: Options{Shared: true}, line: line}
				for range 10 {
					l.weigh(c.backed)
					time.Sleep(doubtPause)
				}
				require.Equal(t, c.left, line.left.Load() > 0)
			})
		})
	}
}
