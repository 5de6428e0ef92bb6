package eventstore

import "time"

// Time returns the time that a record stored now would carry, or a *ClockError.
func (w *Writer[C, E]) Time() (time.Time, error) { return w.log.clock.next(w.Head().Time) }

// readClock takes the time for the next group, and says so when the clock cannot
// be believed, or can again.
func (w *Writer[C, E]) readClock() error {
	last := w.Head().Time
	if w.flight != nil {
		last = w.flight.at
	}
	var err error
	w.now, err = w.log.clock.next(last)
	switch {
	case err != nil && !w.doubted:
		w.opts.Logger.Error("no command is taken", "error", err)
	case err == nil && w.doubted:
		w.opts.Logger.Warn("the clock is right again; commands are taken")
	}
	w.doubted = err != nil
	return err
}
