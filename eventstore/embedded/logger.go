package embedded

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// logger gives the server's messages to slog. What the server calls a notice is
// of no interest to whoever runs this program, so it goes to debug level. The first
// warnings and errors are remembered, because some of what goes wrong while a
// server starts it tells nobody else.
type logger struct {
	to *slog.Logger

	mu     sync.Mutex
	first  []string // warnings and errors, maxSaid at most; guarded by mu
	reason string   // why the server gave up; guarded by mu
}

func newLogger(to *slog.Logger) *logger { return &logger{to: to} }

// remember notes a message, unless there are enough.
func (l *logger) remember(message string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.first) < maxSaid {
		l.first = append(l.first, strings.TrimSpace(message))
	}
	return message
}

// said gives the first warnings and errors.
func (l *logger) said() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.first)
}

// fatal says why the server gave up, or nothing.
func (l *logger) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

func (l *logger) Noticef(format string, v ...any) { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(format string, v ...any)  { l.to.Debug(fmt.Sprintf(format, v...)) }

func (l *logger) Warnf(format string, v ...any) {
	l.to.Warn(l.remember(fmt.Sprintf(format, v...)))
}

func (l *logger) Errorf(format string, v ...any) {
	l.to.Error(l.remember(fmt.Sprintf(format, v...)))
}

func (l *logger) Fatalf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	l.mu.Lock()
	l.reason = message
	l.mu.Unlock()
	l.to.Error(message)
}

// quoted puts what a server said behind an error.
func quoted(said []string) string {
	if len(said) == 0 {
		return ""
	}
	return "; it said: " + strings.Join(said, "; ")
}
