package event

import (
	"fmt"
	"strings"
	"time"
)

// Moment is a point in time as configuration spells it: "2026-11-30 22:00
// America/Chicago", or RFC 3339.
type Moment struct{ time.Time }

// UnmarshalText reads either form. A wall clock without a zone is refused: it
// would mean another moment on another machine.
func (m *Moment) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		m.Time = at
		return nil
	}
	day, rest, _ := strings.Cut(s, " ")
	clock, zone, _ := strings.Cut(strings.TrimSpace(rest), " ")
	zone = strings.TrimSpace(zone)
	const form = `write it as "2026-11-30 22:00 America/Chicago", or as "2026-11-30T22:00:00-06:00"`
	if zone == "" || zone == "Local" {
		return fmt.Errorf("%q is no time with a zone; %s", s, form)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return fmt.Errorf("no time zone named %q; use an IANA name such as America/Chicago, or UTC", zone)
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		at, err := time.ParseInLocation(layout, day+" "+clock, location)
		if err != nil {
			continue
		}
		if at.Format(layout) != day+" "+clock {
			return fmt.Errorf("%q does not exist in %s: the clocks jump over it", day+" "+clock, zone)
		}
		m.Time = at
		return nil
	}
	return fmt.Errorf("%q is no time; %s", s, form)
}

// MarshalText writes RFC 3339.
func (m Moment) MarshalText() ([]byte, error) {
	return []byte(m.Format(time.RFC3339)), nil
}
