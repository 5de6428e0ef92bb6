package partnercenter

import (
	"strings"
	"time"
)

// dateForms are the forms in which clients write dates, each with the span of time that one of its values
// covers. Without a zone they are UTC. Letters are written as capitals.
var dateForms = []struct {
	layout string
	unit   time.Duration
}{
	{"2006-01-02", 24 * time.Hour},
	{"1/2/2006", 24 * time.Hour},
	{"1/2/2006 15:04:05", time.Second},
	{"1/2/2006 3:04:05 PM", time.Second},
	{"2006-01-02T15:04:05Z07:00", time.Nanosecond}, // with any fraction of a second
	{"2006-01-02T15:04:05", time.Nanosecond},
	{"2006-01-02 15:04:05", time.Second},
}

// parseDate reads a date: its first moment, and the first one after it.
func parseDate(text string) (from, until time.Time, err error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	for _, form := range dateForms {
		if at, err := time.Parse(form.layout, text); err == nil {
			return at.UTC(), at.Add(form.unit).UTC(), nil
		}
	}
	return from, until, badInput("A date is not valid. Write it as 2026-11-22, 2026-11-22T10:00:00Z, 11/22/2026 or 11/22/2026 10:00:00.")
}

// span is the time that a list of audit records covers: from Since on, before Until unless that is zero.
type span struct{ Since, Until time.Time }

// spanOf reads the dates of a query at a moment. A missing end is that of the window; a missing start is the
// length of the window before the end, or before now.
func spanOf(q query, now time.Time) (s span, err error) {
	start, end := q["startdate"], q["enddate"]
	last := now
	if end != "" {
		if last, s.Until, err = parseDate(end); err != nil {
			return s, err
		}
	}
	s.Since = last.Add(-auditWindow)
	if start != "" {
		if s.Since, _, err = parseDate(start); err != nil {
			return s, err
		}
		if end == "" {
			s.Until = s.Since.Add(auditWindow)
		}
	}
	if err := s.check(now); err != nil {
		return s, err
	}
	if s.Since.After(now) {
		s.Since = now
	}
	if s.Until.After(now) { // recorded time never goes back, and may be ahead of this clock
		s.Until = time.Time{}
	}
	return s, nil
}

// check refuses a span that this API does not list. The native one knows no such limits.
func (s span) check(now time.Time) error {
	switch {
	case s.Since.Before(now.Truncate(24 * time.Hour).Add(-auditReach)):
		return badInput("startDate is more than 90 days ago.")
	case s.Until.IsZero():
		return nil
	case !s.Since.Before(s.Until):
		return badInput("endDate is before startDate.")
	case s.Until.Sub(s.Since) > auditWindow+24*time.Hour: // the last day counts whole
		return badInput("startDate and endDate are more than 30 days apart.")
	default:
		return nil
	}
}
