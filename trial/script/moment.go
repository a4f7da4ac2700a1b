package script

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"datasync-bridge/event"
)

// defaultStart is a Monday morning.
var defaultStart = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)

// At is a moment as a test spells it. It is resolved once its start is known.
type At struct{ text string }

// UnmarshalText keeps the text.
func (a *At) UnmarshalText(text []byte) error {
	if a.text = strings.TrimSpace(string(text)); a.text == "" {
		return fmt.Errorf("is empty; write it as %s", forms)
	}
	return nil
}

const forms = `"31m" after the start, "+5m" after the step before, "22:00", "Mon 08:00", "2026-11-30 22:00", or a time with a zone`

var clockForm = regexp.MustCompile(`^(?:([A-Z][a-z]{2}) )?([0-2][0-9]:[0-5][0-9])$`)

// moment resolves a text: start is the test's, last the step before.
func moment(text string, start, last time.Time) (time.Time, error) {
	switch {
	case text == "":
		return last, nil
	case text == "0":
		return start, nil
	case text[0] == '+':
		span, err := event.ParseDuration(text[1:])
		return last.Add(span), err
	case text[0] == '-':
		span, err := event.ParseDuration(text[1:])
		return start.Add(-span), err
	}
	if span, err := event.ParseDuration(text); err == nil {
		return start.Add(span), nil
	}
	if m := clockForm.FindStringSubmatch(text); m != nil {
		return nextClock(m[1], m[2], start.Location(), last)
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, start.Location()); err == nil {
			return at, skipped(at, layout, text)
		}
	}
	var m event.Moment
	if err := m.UnmarshalText([]byte(text)); err != nil {
		return time.Time{}, fmt.Errorf("%q is no moment; write it as %s", text, forms)
	}
	return m.Time, nil
}

// skipped refuses a time that the clock jumps over.
func skipped(at time.Time, layout, text string) error {
	if at.Format(layout) != text {
		return fmt.Errorf("%q does not exist in %s: the clocks jump over it", text, at.Location())
	}
	return nil
}

// nextClock is the first time from last on at which the clock shows it, on that
// day of the week where one is named.
func nextClock(day, clock string, zone *time.Location, last time.Time) (time.Time, error) {
	local := last.In(zone)
	for ahead := range 9 {
		date := time.Date(local.Year(), local.Month(), local.Day()+ahead, 12, 0, 0, 0, zone)
		at, err := time.ParseInLocation("2006-01-02 15:04", date.Format("2006-01-02 ")+clock, zone)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is no time of day", clock)
		}
		if !at.Before(last) && at.Format("15:04") == clock && (day == "" || at.Format("Mon") == day) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no day of the week; use Mon, Tue, Wed, Thu, Fri, Sat or Sun", day)
}
