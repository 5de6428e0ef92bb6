package main

import (
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// bar shows how far long work has come, with its rate and the time left. It writes to standard error,
// and only where that is a terminal.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	once    sync.Once
	done    chan struct{}
}

// progress starts a bar; total may be 0 where it is not known yet.
func (a *app) progress(message string, total uint64) *bar {
	file, isFile := a.stderr.(*os.File)
	if a.Quiet || !isFile || !term.IsTerminal(int(file.Fd())) {
		return &bar{}
	}
	b := &bar{writer: progress.NewWriter(), tracker: &progress.Tracker{Message: message, Total: int64(total), Units: progress.UnitsDefault}, done: make(chan struct{})}
	b.writer.SetOutputWriter(file)
	b.writer.SetUpdateFrequency(100 * time.Millisecond)
	b.writer.SetStyle(progress.StyleBlocks)
	b.writer.Style().Visibility.ETA = true
	b.writer.Style().Visibility.Speed = true
	b.writer.SetTrackerPosition(progress.PositionRight)
	b.writer.AppendTracker(b.tracker)
	go func() {
		defer close(b.done)
		b.writer.Render()
	}()
	return b
}

func (b *bar) add(n int64) {
	if b.tracker != nil {
		b.tracker.Increment(n)
	}
}

// at sets how much of what total has been done.
func (b *bar) at(done, total uint64) {
	if b.tracker != nil {
		b.tracker.UpdateTotal(int64(total))
		b.tracker.SetValue(int64(done))
	}
}

// stop ends the bar; it may be called more than once.
func (b *bar) stop() {
	b.once.Do(func() {
		if b.writer == nil {
			return
		}
		b.tracker.MarkAsDone()
		b.writer.Stop()
		<-b.done
	})
}
