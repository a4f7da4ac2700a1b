package main

import (
	"fmt"
	"strings"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
)

// face tells times to people: in the zone of defaults.time_zone, with how long
// ago that is.
type face struct {
	zone *time.Location
	now  time.Time
}

func newFace(cfg *config.Config, now time.Time) face { return face{style(cfg).Location, now} }

// short is a time as somebody says it who speaks of another one: "02:41" on the
// same day, "Mon 08:00" within the week, else with its date.
func (f face) short(t, near time.Time) string {
	t, near = t.In(f.zone), near.In(f.zone)
	switch away := t.Sub(near).Abs(); {
	case t.IsZero():
		return "an unknown time"
	case t.YearDay() == near.YearDay() && t.Year() == near.Year():
		return t.Format("15:04")
	case away < 6*24*time.Hour:
		return t.Format("Mon 15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// full is a time in full, "" for none: "Thu 2026-11-26 02:41:05 CST (3 h ago)".
func (f face) full(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(f.zone).Format("Mon 2006-01-02 15:04:05 MST") + " (" + f.hint(t) + ")"
}

// line is a time at the beginning of a line.
func (f face) line(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(f.zone).Format("Mon 2006-01-02 15:04:05")
}

// hint says how far from now a time is.
func (f face) hint(t time.Time) string {
	switch d := t.Sub(f.now); {
	case d > 0:
		return "in " + spoken(d)
	case d > -time.Second:
		return "now"
	default:
		return spoken(-d) + " ago"
	}
}

// spoken is a span in words: "12 s", "4 min", "3 h 20 min", "2 d 4 h".
func spoken(d time.Duration) string {
	two := func(a int64, unit string, b int64, smaller string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
	}
	s := int64(d / time.Second)
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return "under 1 s"
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 48*3600:
		return two(s/3600, "h", s%3600/60, "min")
	}
	return two(s/86400, "d", s%86400/3600, "h")
}

// moment reads a time as somebody types it: with a zone, or in the zone of the
// rules; a time of day alone is the last such.
func (f face) moment(flag, text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	var m event.Moment
	if err := m.UnmarshalText([]byte(text)); err == nil {
		return m.Time, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, f.zone); err == nil {
			return at, nil
		}
	}
	if at, err := time.ParseInLocation("15:04", text, f.zone); err == nil {
		here := f.now.In(f.zone)
		day := time.Date(here.Year(), here.Month(), here.Day(), at.Hour(), at.Minute(), 0, 0, f.zone)
		if day.After(f.now) {
			day = day.AddDate(0, 0, -1)
		}
		return day, nil
	}
	return time.Time{}, usagef(`%s: %q is no time; write "2026-11-26 02:40" (%s), "02:40", or a time with its zone`, flag, text, f.zone)
}
