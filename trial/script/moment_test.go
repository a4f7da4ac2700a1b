package script

import (
	"strings"
	"testing"
	"time"
)

func TestAMomentIsReadByTheStartsClock(t *testing.T) {
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, time.October, 30, 9, 0, 0, 0, chicago) // a Friday; summer time ends on Sunday
	last := start.Add(time.Hour)
	for text, want := range map[string]string{
		"":                               "2026-10-30T10:00:00-05:00",
		"0s":                             "2026-10-30T09:00:00-05:00",
		"0":                              "2026-10-30T09:00:00-05:00",
		"31m":                            "2026-10-30T09:31:00-05:00",
		"2d":                             "2026-11-01T08:00:00-06:00", // 48 hours, not two days of the calendar
		"+5m":                            "2026-10-30T10:05:00-05:00",
		"-10m":                           "2026-10-30T08:50:00-05:00",
		"22:00":                          "2026-10-30T22:00:00-05:00",
		"09:30":                          "2026-10-31T09:30:00-05:00",
		"10:00":                          "2026-10-30T10:00:00-05:00",
		"Mon 08:00":                      "2026-11-02T08:00:00-06:00",
		"2026-11-30 22:00":               "2026-11-30T22:00:00-06:00",
		"2026-11-30 22:00 Europe/Berlin": "2026-11-30T15:00:00-06:00",
		"2026-11-30T22:00:00Z":           "2026-11-30T16:00:00-06:00",
	} {
		got, err := moment(text, start, last)
		if err != nil || got.In(chicago).Format(time.RFC3339) != want {
			t.Errorf("%q is %s (%v), want %s", text, got.In(chicago).Format(time.RFC3339), err, want)
		}
	}
	for text, want := range map[string]string{
		"31":        "is no moment",
		"soon":      "is no moment",
		"Xyz 08:00": "no day of the week",
		"24:30":     "no time of day",
		"+5":        "is no duration",
	} {
		if _, err := moment(text, start, last); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	spring := time.Date(2026, time.March, 7, 9, 0, 0, 0, chicago)
	if _, err := moment("2026-03-08 02:30", spring, spring); err == nil || !strings.Contains(err.Error(), "jump over") {
		t.Errorf("an hour that does not exist: %v", err)
	}
}
