package calendar

import (
	"fmt"
	"time"
)

// Daily is a time of day on the days on which a calendar opens at all.
type Daily struct {
	calendar *Calendar
	minute   int
}

// Daily reads a time of day such as "08:00", in the calendar's zone. It need not
// be within its hours.
func (k *Calendar) Daily(at string) (*Daily, error) {
	minute, ok := parseClock(at)
	if !ok || minute == day {
		return nil, fmt.Errorf("%q is no time of day; write it as \"08:00\"", at)
	}
	return &Daily{k, minute}, nil
}

// Next is the first time after another, zero where it does not come within two
// years. A time that clocks jump over comes when they jump; one that they show
// twice, the first time.
func (s *Daily) Next(after time.Time) time.Time {
	first := dateOf(after.In(s.calendar.zone))
	for n := range horizon {
		d := first.next(n)
		if len(s.calendar.opensOn(d)) == 0 {
			continue
		}
		if at, _ := s.calendar.instants(d, s.minute); at.After(after) {
			return at
		}
	}
	return time.Time{}
}
