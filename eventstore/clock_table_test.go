package eventstore

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// turn is one look at the clock: how much time has really passed since noon, how
// far the clock is off then, and how old the last record is by the true time.
type turn struct {
	after time.Duration
	off   time.Duration
	last  time.Duration // 0 is a ledger without records
	doubt ClockDoubt    // what is said of it, empty when it is believed
	lead  time.Duration // of the record's time over the true time, when it is believed
}

func TestTheClockIsBelievedWithinItsBound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accept bool
		turns  []turn
	}{
		"a clock that is right": {turns: []turn{
			{last: time.Hour},
			{after: 40 * day, last: 39 * day},
		}},
		"a new ledger has nothing to compare with": {turns: []turn{{off: 400 * day, lead: 400 * day}}},
		"a ledger that rested for a month":         {turns: []turn{{last: 30 * day}}},
		"a ledger that rested for longer waits for somebody": {turns: []turn{
			{last: 31 * day, doubt: ClockIdle},
			{after: time.Hour, last: 31*day + time.Hour, doubt: ClockIdle},
		}},
		"it rested for longer, and that is right": {accept: true, turns: []turn{{last: 31 * day}, {after: time.Hour, last: time.Hour}}},
		"a start 400 days ahead waits until the clock is right": {turns: []turn{
			{last: time.Hour, off: 400 * day, doubt: ClockIdle},
			{after: time.Minute, last: time.Hour},
			{after: 2 * time.Minute, last: time.Minute},
		}},
		"a start before the clock was set goes on when it is": {turns: []turn{
			{last: time.Hour, off: -300 * day, doubt: ClockBehind},
			{after: time.Second, last: time.Hour},
			{after: time.Minute, last: time.Second},
		}},
		"set forward while it runs, and set right": {turns: []turn{
			{last: time.Hour},
			{after: time.Hour, off: 400 * day, last: time.Hour, doubt: ClockAhead},
			{after: 2 * time.Hour, off: 400 * day, last: 2 * time.Hour, doubt: ClockAhead},
			{after: 3 * time.Hour, last: 3 * time.Hour},
		}},
		"set forward by just the bound": {turns: []turn{
			{last: time.Hour},
			{after: time.Hour, off: time.Minute, last: time.Hour, lead: time.Minute},
			{after: time.Hour, off: time.Minute + 4*time.Second, last: time.Hour, doubt: ClockAhead},
		}},
		"set back by less than the bound keeps the last record's time": {turns: []turn{
			{last: time.Second},
			{after: time.Second, off: -time.Minute, last: time.Second, lead: -time.Second},
		}},
		"set back by more than the bound": {turns: []turn{
			{last: time.Second},
			{after: time.Hour, off: -2 * time.Minute, last: time.Second, doubt: ClockBehind},
			{after: time.Hour + time.Minute, off: 0, last: time.Minute},
		}},
		"small steps do not add up": {turns: []turn{
			{last: time.Second},
			{after: time.Second, off: 40 * time.Second, last: time.Second, lead: 40 * time.Second},
			{after: 2 * time.Second, off: 80 * time.Second, last: -39 * time.Second, doubt: ClockAhead},
			{after: 3 * time.Second, off: 40 * time.Second, last: -38 * time.Second, lead: 40 * time.Second},
		}},
		"clocks that drift apart by a second a quarter of an hour": {turns: []turn{
			{last: time.Second},
			{after: 900 * time.Minute, off: 55 * time.Second, last: time.Hour, lead: 55 * time.Second},
			{after: 1800 * time.Minute, off: 110 * time.Second, last: time.Hour, lead: 110 * time.Second},
			{after: 2700 * time.Minute, off: 165 * time.Second, last: time.Hour, lead: 165 * time.Second},
		}},
		"records of the future that somebody accepted": {accept: true, turns: []turn{
			{last: -400 * day, lead: 400 * day},
			{after: time.Hour, last: -400*day + time.Hour, lead: 400*day - time.Hour},
			{after: 2 * time.Hour, off: 400 * day, last: -400*day + 2*time.Hour, doubt: ClockAhead},
			{after: 401 * day, last: time.Hour},
			{after: 402 * day, off: -2 * time.Hour, last: time.Hour, doubt: ClockBehind},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var at turn
			clock := newClock(ClockOptions{
				Accept:  c.accept,
				Now:     func() time.Time { return noon.Add(at.after + at.off) },
				Elapsed: func() time.Duration { return 1000*time.Hour + at.after },
			})
			for i := range c.turns {
				at = c.turns[i]
				last := time.Time{}
				if at.last != 0 {
					last = noon.Add(at.after - at.last)
				}
				stamp, err := clock.next(last)
				if at.doubt == "" {
					require.NoError(t, err, "turn %d", i)
					require.Equal(t, at.lead, stamp.Sub(noon.Add(at.after)), "turn %d", i)
					continue
				}
				require.ErrorIs(t, err, ErrClock, "turn %d", i)
				require.ErrorIs(t, err, ErrUnavailable)
				require.NotErrorIs(t, err, ErrIntegrity)
				wrong, _ := errors.AsType[*ClockError](err)
				require.Equal(t, at.doubt, wrong.Doubt, "turn %d: %v", i, err)
				require.Contains(t, err.Error(), noon.Add(at.after+at.off).Format(time.RFC3339))
				require.Contains(t, err.Error(), last.Format(time.RFC3339), "it says what the last record says")
				require.Contains(t, err.Error(), "permledger serve", "it says what to do")
			}
		})
	}
}

func TestTheClockIsComparedWithTheServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accept  bool
		ahead   time.Duration // of the clock over the server's
		trip    time.Duration // the answer took so long
		later   time.Duration // and the clock is looked at so much later
		further time.Duration // and was set forward meanwhile
		doubt   ClockDoubt
	}{
		"alike":                            {},
		"ahead by less than the bound":     {ahead: 59 * time.Second},
		"ahead by more":                    {ahead: 61 * time.Second, doubt: ClockServer},
		"the answer took that long":        {ahead: 61 * time.Second, trip: 2 * time.Second},
		"alike, a day ago":                 {later: day},
		"behind":                           {ahead: -time.Hour},
		"the server's is wrong, and known": {accept: true, ahead: 10 * day},
		"known, and then it was set":       {accept: true, ahead: 10 * day, later: time.Second, further: time.Hour, doubt: ClockServer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			passed, off := time.Duration(0), time.Duration(0)
			clock := newClock(ClockOptions{
				Accept:  c.accept,
				Now:     func() time.Time { return noon.Add(passed + off) },
				Elapsed: func() time.Duration { return passed },
			})
			clock.compare(noon.Add(-c.ahead), -c.trip)
			_, err := clock.next(noon)
			if c.later > 0 {
				require.NoError(t, err)
				passed, off = c.later, c.further
				_, err = clock.next(noon)
			}
			if c.doubt == "" {
				require.NoError(t, err)
				return
			}
			wrong, _ := errors.AsType[*ClockError](err)
			require.NotNil(t, wrong)
			require.Equal(t, c.doubt, wrong.Doubt)
		})
	}
}

// TestAnotherNodesRecordsVouchForTheClock is of a node that started behind and was
// then set right, while another one wrote.
func TestAnotherNodesRecordsVouchForTheClock(t *testing.T) {
	t.Parallel()
	passed, off := time.Duration(0), -2*time.Hour
	clock := newClock(ClockOptions{Now: func() time.Time { return noon.Add(passed + off) }, Elapsed: func() time.Duration { return passed }})
	_, err := clock.next(noon.Add(-day))
	require.NoError(t, err)
	passed, off = time.Minute, 0
	_, err = clock.next(noon.Add(-day))
	require.ErrorIs(t, err, ErrClock)
	clock.vouch(noon.Add(passed - time.Second))
	_, err = clock.next(noon.Add(passed - time.Second))
	require.NoError(t, err)
}
