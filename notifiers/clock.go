package notifiers

import (
	"fmt"
	"strings"
	"time"
)

// When prints a moment for people: the time with its zone, the day in front of
// it unless it is the day of now, and the year where that differs too.
func (s Style) When(t, now time.Time) string {
	zone := s.Location
	if zone == nil {
		zone = time.UTC
	}
	t, now = t.In(zone), now.In(zone)
	layout := "Mon 2 Jan 2006 15:04"
	switch {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		layout = "15:04"
	case t.Year() == now.Year():
		layout = "Mon 2 Jan 15:04"
	}
	return t.Format(layout) + " " + zoneName(t)
}

// zoneName is the zone's abbreviation. North America says CT all year, which
// nobody reads an hour wrong in the week after the clocks change.
func zoneName(t time.Time) string {
	name, _ := t.Zone()
	where := t.Location().String()
	if len(name) == 3 && (strings.HasPrefix(where, "America/") || strings.HasPrefix(where, "US/")) {
		switch name {
		case "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT":
			return name[:1] + "T"
		}
	}
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + name
	}
	return name
}

// Span prints a duration for people, in its two largest units: "2 h 5 min".
func Span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return pair(d, time.Hour, "h", time.Minute, "min")
	}
	return pair(d, day, "d", time.Hour, "h")
}

func pair(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d %s", d/large, largeName)
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}
