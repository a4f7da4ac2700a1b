package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultsFillOnlyWhatWasLeftOut(t *testing.T) {
	want := Config{
		SQLite: SQLite{Path: "./data/bridge.db", Queue: 4096},
		Retain: Retain{Events: 90 * day, Incidents: 400 * day},
	}
	if diff := cmp.Diff(want, Config{}.WithDefaults()); diff != "" {
		t.Errorf("defaults of an empty section (-want +got):\n%s", diff)
	}
	set := Config{
		SQLite: SQLite{Path: "/srv/b.db", Queue: 7},
		Retain: Retain{Events: 20 * day, Incidents: 30 * day},
	}
	if diff := cmp.Diff(set, set.WithDefaults()); diff != "" {
		t.Errorf("what is set was changed (-want +got):\n%s", diff)
	}
	if got := (Config{MaxSize: 1 << 30}).WithDefaults().Quarantine.MaxSize; got != 256<<20 {
		t.Errorf("the quarantine's part of 1GiB: %s, want 256MiB", got)
	}
	if got := (Config{Retain: Retain{Events: 500 * day}}).WithDefaults().Retain.Incidents; got != 500*day {
		t.Errorf("incidents beside events of 500 days: %s, want the same", got)
	}
}

func TestValidateReportsAllFaultsWithTheirPaths(t *testing.T) {
	for _, tt := range []struct {
		name string
		give Config
		want []string
	}{
		{"defaults are valid", Config{}, nil},
		{"a negative queue", Config{SQLite: SQLite{Queue: -1}}, []string{"sqlite.queue"}},
		{"events kept too short", Config{Retain: Retain{Events: 13 * day}}, []string{"retain.events"}},
		{"incidents shorter than events", Config{Retain: Retain{Incidents: 89 * day}}, []string{"retain.incidents"}},
		{"a size that an empty store may have", Config{MaxSize: 64<<20 - 1}, []string{"max_size"}},
		{"a quarantine larger than all", Config{MaxSize: 1 << 30, Quarantine: Quarantine{MaxSize: 2 << 30}}, []string{"quarantine.max_size"}},
		{"a quarantine alone", Config{Quarantine: Quarantine{MaxSize: 1 << 20}}, nil},
		{"all at once", Config{SQLite: SQLite{Queue: -5}, Retain: Retain{Events: time.Hour, Incidents: time.Minute}},
			[]string{"sqlite.queue", "retain.events", "retain.incidents"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.give.WithDefaults().Validate(func(path, problem string) {
				got = append(got, path)
				if problem == "" {
					t.Errorf("%s: empty problem", path)
				}
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
}
