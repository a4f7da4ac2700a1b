package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// made compiles a calendar that must have no fault.
func made(t interface{ Fatalf(string, ...any) }, c Config) *Calendar {
	return Compile(c, func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
}

func at(t *testing.T, k *Calendar, text string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04 MST", "2006-01-02 15:04"} {
		if when, err := time.ParseInLocation(layout, text, k.zone); err == nil {
			return when
		}
	}
	t.Fatalf("no time: %s", text)
	return time.Time{}
}

func TestRouting23HoursAreThoseOfTheWallClock(t *testing.T) {
	office := made(t, Config{TZ: "America/Chicago", Hours: map[string]string{
		"mon-fri": "08:00-12:00, 13:00-18:00", "fri,sun": "22:00-06:00",
	}, Holidays: []string{"2026-12-25", "2026-11-29"}})
	for text, open := range map[string]bool{
		"2026-11-30 07:59": false, "2026-11-30 08:00": true, "2026-11-30 12:00": false, "2026-11-30 17:59": true,
		"2026-11-30 18:00": false,
		"2026-11-27 21:59": false, "2026-11-27 22:00": true, // a Friday night
		"2026-11-28 05:59": true, "2026-11-28 06:00": false,
		"2026-11-29 22:30": false, "2026-11-30 03:00": false, // a Sunday that is a holiday
		"2026-12-24 10:00": true, "2026-12-25 10:00": false, "2026-12-25 23:00": false,
		"2026-12-26 03:00": false, // the holiday's night began on it
	} {
		if got := office.Open(at(t, office, text)); got != open {
			t.Errorf("%s: open is %v, want %v", text, got, open)
		}
	}
}

func TestRouting23ANightEndsWhereAHolidayBegins(t *testing.T) {
	nights := made(t, Config{Hours: map[string]string{"mon-sun": "22:00-06:00"}, Holidays: []string{"2026-12-25"}})
	for text, open := range map[string]bool{
		"2026-12-24 23:59": true, "2026-12-25 00:00": false, "2026-12-25 22:00": false,
		"2026-12-26 01:00": false, "2026-12-26 22:00": true,
	} {
		if got := nights.Open(at(t, nights, text)); got != open {
			t.Errorf("%s: open is %v, want %v", text, got, open)
		}
	}
}

func TestRouting23ClocksThatChange(t *testing.T) {
	for _, c := range []struct{ hours, from, want string }{
		// 02:00 becomes 03:00 on 2026-03-08: 02:30 is not there.
		{"02:30-04:00", "2026-03-08 01:00", "2026-03-08 03:00"},
		{"02:30-02:45", "2026-03-08 01:00", "2026-03-09 02:30"},
		{"08:00-18:00", "2026-03-07 18:00", "2026-03-08 08:00"},
		// 02:00 CDT becomes 01:00 CST on 2026-11-01: 01:30 comes twice.
		{"01:30-01:45", "2026-11-01 01:50 CDT", "2026-11-01 01:30 CST"},
		{"00:30-01:40", "2026-11-01 01:50 CDT", "2026-11-01 01:00 CST"},
	} {
		k := made(t, Config{TZ: "America/Chicago", Hours: map[string]string{"mon-sun": c.hours}})
		if got, want := k.Next(at(t, k, c.from)), at(t, k, c.want); !got.Equal(want) {
			t.Errorf("%s from %s: opens %v, want %v", c.hours, c.from, got, want)
		}
	}
}

func TestRouting25ADigestKeepsItsTimeOfDay(t *testing.T) {
	for _, c := range []struct{ at, after, want string }{
		{"08:00", "2026-11-27 08:00", "2026-11-30 08:00"}, // over a weekend
		{"08:00", "2026-11-30 07:59", "2026-11-30 08:00"},
		{"08:00", "2026-12-24 09:00", "2026-12-28 08:00"}, // over Christmas
		{"08:00", "2026-03-06 09:00", "2026-03-09 08:00"}, // over a change of clocks
		{"20:00", "2026-11-30 09:00", "2026-11-30 20:00"}, // outside the hours of its day
	} {
		k := made(t, Config{TZ: "America/Chicago", Hours: map[string]string{"mon-fri": "08:00-18:00"}, Holidays: []string{"2026-12-25"}})
		daily, err := k.Daily(c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := daily.Next(at(t, k, c.after)), at(t, k, c.want); !got.Equal(want) {
			t.Errorf("%s after %s: %v, want %v", c.at, c.after, got, want)
		}
	}
	sunday := made(t, Config{TZ: "America/Chicago", Hours: map[string]string{"sun": "00:00-24:00"}})
	jumped, _ := sunday.Daily("02:30")
	if got, want := jumped.Next(at(t, sunday, "2026-03-07 12:00")), at(t, sunday, "2026-03-08 03:00"); !got.Equal(want) {
		t.Errorf("a time that clocks jump over: %v, want %v", got, want)
	}
	twice, _ := sunday.Daily("01:30")
	first := twice.Next(at(t, sunday, "2026-10-31 12:00"))
	if want := at(t, sunday, "2026-11-01 01:30 CDT"); !first.Equal(want) {
		t.Errorf("a time that comes twice: %v, want %v", first, want)
	}
	if next := twice.Next(first); next.Sub(first) < 24*time.Hour {
		t.Errorf("it came twice: %v and %v", first, next)
	}
}

func TestFaultsOfACalendarNameTheKey(t *testing.T) {
	for want, c := range map[string]Config{
		"tz: no time zone named":    {TZ: "America/Chicgo", Hours: map[string]string{"mon": "08:00-09:00"}},
		"hours: is missing":         {},
		"hours.mon-fry: ":           {Hours: map[string]string{"mon-fry": "08:00-09:00"}},
		"is no range of hours":      {Hours: map[string]string{"mon": "8-18"}},
		"begins when it ends":       {Hours: map[string]string{"mon": "08:00-08:00"}},
		"holidays[0]: \"25.12.26\"": {Hours: map[string]string{"mon": "08:00-09:00"}, Holidays: []string{"25.12.26"}},
	} {
		var all []string
		Compile(c, func(key, problem string) { all = append(all, key+": "+problem) })
		if len(all) != 1 || !strings.Contains(all[0], want) {
			t.Errorf("%q: want %q", all, want)
		}
	}
	for _, text := range []string{"", "24:00", "8:00", "08.00", "23:60", "-1:00", "+8:00"} {
		if _, err := made(t, Config{Hours: map[string]string{"mon": "08:00-09:00"}}).Daily(text); err == nil {
			t.Errorf("%q was taken for a time of day", text)
		}
	}
}

func TestACalendarThatNeverOpensEnds(t *testing.T) {
	c := Config{Hours: map[string]string{"mon": "08:00-09:00"}}
	for d := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2030; d = d.AddDate(0, 0, 1) {
		c.Holidays = append(c.Holidays, d.Format(time.DateOnly))
	}
	k := made(t, c)
	daily, _ := k.Daily("08:00")
	if from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC); !k.Next(from).IsZero() || !daily.Next(from).IsZero() {
		t.Error("it opens")
	}
}

// zones have changes of clocks by an hour, by half an hour, at midnight and none.
var zones = []string{"UTC", "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "Africa/Casablanca"}

// TestWhenItOpensIsTheFirstOpenMinute holds Next against a look at each minute.
func TestWhenItOpensIsTheFirstOpenMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := func(label string) string {
			return fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, label+" hour"), rapid.SampledFrom([]int{0, 15, 30, 59}).Draw(t, label+" minute"))
		}
		c := Config{TZ: rapid.SampledFrom(zones).Draw(t, "zone"), Hours: map[string]string{}}
		for range rapid.IntRange(1, 3).Draw(t, "ranges") {
			from, to := clock("from"), clock("to")
			if from == to {
				to = "24:00"
			}
			c.Hours[rapid.SampledFrom([]string{"mon-fri", "sat", "sun", "sat-mon", "tue,thu"}).Draw(t, "days")] = from + "-" + to
		}
		// Around the changes of 2026, and elsewhere.
		begin := time.Date(2026, rapid.SampledFrom([]time.Month{2, 3, 4, 9, 10, 11, 12}).Draw(t, "month"),
			rapid.IntRange(1, 28).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"), 0, 0, time.UTC)
		for range rapid.IntRange(0, 3).Draw(t, "holidays") {
			c.Holidays = append(c.Holidays, begin.AddDate(0, 0, rapid.IntRange(0, 5).Draw(t, "in")).Format(time.DateOnly))
		}
		k := made(t, c)
		want := begin
		for !k.Open(want) && want.Sub(begin) < 15*24*time.Hour {
			want = want.Add(time.Minute)
		}
		if got := k.Next(begin); k.Open(want) && !got.Equal(want) {
			t.Fatalf("%+v from %v: opens %v, and the first open minute is %v", c, begin, got, want)
		}
	})
}
