// Package calendar says when people are at work: hours by weekday in a named
// time zone, without holidays. It is pure.
//
// The wall clock of the zone decides. Where clocks jump ahead, hours that do
// not exist are not there; where they are set back, an hour that comes twice is
// open twice.
package calendar

import (
	"fmt"
	"strings"
	"time"
)

// Config is one entry of calendars.
type Config struct {
	Name string `koanf:"name"`
	// TZ is an IANA zone, such as America/Chicago. Default UTC.
	TZ string `koanf:"tz"`
	// Hours are ranges by days: {mon-fri: "08:00-18:00", sat: "09:00-12:00,
	// 13:00-15:00", "fri,sun": "22:00-06:00"}. A range whose end is not after its
	// begin lasts into the next day; "00:00-24:00" is the whole day.
	Hours map[string]string `koanf:"hours"`
	// Holidays are days, "2026-12-25", on which it opens not at all; a range that
	// began the evening before ends at midnight.
	Holidays []string `koanf:"holidays"`
	Line     int      `koanf:"-"`
}

// span is a range in minutes of the wall clock from midnight of the day on
// which it begins, to above 24h where it lasts into the next day.
type span struct{ from, to int }

const day = 24 * 60

// date is a day of the calendar's zone.
type date struct {
	year  int
	month time.Month
	day   int
}

// Calendar is a compiled Config. It never changes.
type Calendar struct {
	zone     *time.Location
	hours    [7][]span
	holidays map[date]bool
}

// Compile reads a calendar, and reports what is wrong with it by key. The
// Calendar holds what could be read.
func Compile(c Config, report func(key, problem string)) *Calendar {
	k := &Calendar{zone: time.UTC, holidays: map[date]bool{}}
	if c.TZ != "" {
		if zone, err := time.LoadLocation(c.TZ); err != nil || c.TZ == "Local" {
			report("tz", fmt.Sprintf("no time zone named %q; use an IANA name such as America/Chicago, or UTC", c.TZ))
		} else {
			k.zone = zone
		}
	}
	if len(c.Hours) == 0 {
		report("hours", `is missing, so it would never open; such as {mon-fri: "08:00-18:00"}`)
	}
	for days, ranges := range c.Hours {
		problem := func(text string) { report("hours."+days, text) }
		weekdays, err := parseDays(days)
		if err != nil {
			problem(err.Error())
			continue
		}
		for text := range strings.SplitSeq(ranges, ",") {
			s, err := parseSpan(strings.TrimSpace(text))
			if err != nil {
				problem(err.Error())
				continue
			}
			for _, d := range weekdays {
				k.hours[d] = append(k.hours[d], s)
			}
		}
	}
	for i, text := range c.Holidays {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			report(fmt.Sprintf("holidays[%d]", i), fmt.Sprintf("%q is no day; write it as \"2026-12-25\"", text))
			continue
		}
		k.holidays[dateOf(at)] = true
	}
	return k
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

// next is the date n days later.
func (d date) next(n int) date {
	return dateOf(time.Date(d.year, d.month, d.day+n, 12, 0, 0, 0, time.UTC))
}

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

// opensOn are the ranges that begin on a day, none on a holiday.
func (k *Calendar) opensOn(d date) []span {
	if k.holidays[d] {
		return nil
	}
	return k.hours[d.weekday()]
}

// Open reports whether it is open at a time.
func (k *Calendar) Open(at time.Time) bool {
	local := at.In(k.zone)
	today := dateOf(local)
	if k.holidays[today] {
		return false
	}
	minute := local.Hour()*60 + local.Minute()
	for _, s := range k.opensOn(today) {
		if s.from <= minute && minute < s.to {
			return true
		}
	}
	for _, s := range k.opensOn(today.next(-1)) {
		if minute < s.to-day {
			return true
		}
	}
	return false
}

// horizon is how many days ahead are looked at: a calendar that holidays close
// for longer opens never.
const horizon = 800

// Next is when it is open next: at itself where it is open then, zero where it
// is not within horizon days.
func (k *Calendar) Next(at time.Time) time.Time {
	if k.Open(at) {
		return at
	}
	// It opens where a range begins, or where the clocks are changed.
	first := dateOf(at.In(k.zone))
	for n := range horizon {
		d := first.next(n)
		var best time.Time
		try := func(t time.Time) {
			if t.After(at) && (best.IsZero() || t.Before(best)) && k.Open(t) {
				best = t
			}
		}
		for _, s := range k.opensOn(d) {
			early, late := k.instants(d, s.from)
			try(early)
			try(late)
		}
		midnight, _ := k.instants(d, 0)
		if _, changed := midnight.In(k.zone).ZoneBounds(); !changed.IsZero() && changed.Before(midnight.Add(26*time.Hour)) {
			try(changed)
		}
		if !best.IsZero() {
			return best
		}
	}
	return time.Time{}
}

// instants are the first and the last moment at which the wall clock shows a
// minute of a day: two where clocks are set back over it, and the moment of the
// change where they jump over it.
func (k *Calendar) instants(d date, minute int) (early, late time.Time) {
	wall := time.Date(d.year, d.month, d.day, 0, minute, 0, 0, time.UTC)
	_, before := wall.Add(-day * time.Minute).In(k.zone).Zone()
	_, after := wall.Add(day * time.Minute).In(k.zone).Zone()
	shows := func(offset int) (time.Time, bool) {
		t := wall.Add(-time.Duration(offset) * time.Second).In(k.zone)
		_, is := t.Zone()
		return t, is == offset
	}
	a, okA := shows(before)
	b, okB := shows(after)
	switch {
	case okA && okB:
		return a, b // the offset falls when clocks are set back, so a is first
	case okA:
		return a, a
	case okB:
		return b, b
	}
	changed, _ := a.ZoneBounds()
	return changed, changed
}
