package event

import (
	"strings"
	"testing"
	"time"
)

func TestMomentReadsAWallClockInItsZone(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-30 22:00 America/Chicago":  "2026-12-01T04:00:00Z",
		"2026-07-01 22:00 America/Chicago":  "2026-07-02T03:00:00Z",
		"2026-11-30T22:00:00-06:00":         "2026-12-01T04:00:00Z",
		"2026-11-30 22:00:30  UTC":          "2026-11-30T22:00:30Z",
		" 2026-11-30 22:00 Europe/Berlin  ": "2026-11-30T21:00:00Z",
	} {
		var m Moment
		if err := m.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := m.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestMomentRefusesWhatIsNotOneMoment(t *testing.T) {
	for text, word := range map[string]string{
		"2026-11-30 22:00":                 "with a zone",
		"2026-11-30":                       "with a zone",
		"2026-11-30 22:00 Local":           "with a zone",
		"2026-11-30 22:00 America/Chicgo":  "no time zone named",
		"2026-11-31 22:00 America/Chicago": "is no time",
		"2026-03-08 02:30 America/Chicago": "does not exist",
		"tomorrow":                         "with a zone",
	} {
		var m Moment
		if err := m.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v, want it to say %q", text, err, word)
		}
	}
}
