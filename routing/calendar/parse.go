package calendar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseDays reads "mon-fri", "sat" or "fri,sun"; "sat-mon" goes round the week.
func parseDays(text string) ([]time.Weekday, error) {
	var all []time.Weekday
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(strings.ToLower(strings.TrimSpace(part)), "-")
		first := slices.Index(weekdays, from)
		last := first
		if ranged {
			last = slices.Index(weekdays, to)
		}
		if first < 0 || last < 0 {
			return nil, fmt.Errorf("%q names no days; use mon, tue, wed, thu, fri, sat, sun, a range such as mon-fri, or a list such as \"fri,sun\"", text)
		}
		for d := first; ; d = (d + 1) % 7 {
			if !slices.Contains(all, time.Weekday(d)) {
				all = append(all, time.Weekday(d))
			}
			if d == last {
				break
			}
		}
	}
	return all, nil
}

// parseSpan reads "08:00-18:00".
func parseSpan(text string) (span, error) {
	begin, end, ok := strings.Cut(text, "-")
	from, okFrom := parseClock(begin)
	to, okTo := parseClock(end)
	if !ok || !okFrom || !okTo || from == day {
		return span{}, fmt.Errorf("%q is no range of hours; write it as \"08:00-18:00\", \"22:00-06:00\" for a night, \"00:00-24:00\" for a whole day", text)
	}
	if from == to {
		return span{}, fmt.Errorf("%q begins when it ends; a whole day is \"00:00-24:00\"", text)
	}
	if to < from {
		to += day
	}
	return span{from, to}, nil
}

// parseClock reads "08:00" as minutes from midnight, up to "24:00".
func parseClock(text string) (minute int, ok bool) {
	h, m, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok || len(h) != 2 || len(m) != 2 {
		return 0, false
	}
	hours, errH := strconv.ParseUint(h, 10, 8)
	minutes, errM := strconv.ParseUint(m, 10, 8)
	minute = int(hours*60 + minutes)
	return minute, errH == nil && errM == nil && minutes < 60 && minute <= day
}
