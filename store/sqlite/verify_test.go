package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

// A sound store passes; each row that no commit leaves behind is found.
func TestVerifyFindsWhatNoCommitLeavesBehind(t *testing.T) {
	for _, breaks := range []struct{ statement, found string }{
		{"", ""},
		{"DELETE FROM bodies", "events without a body"},
		{"INSERT INTO bodies (event, body) VALUES (7, x'00')", "bodies without an event"},
		{"DELETE FROM pending", "neither pending nor decided"},
		{"INSERT INTO decisions (event, state, failures) SELECT event, 'planned', 0 FROM pending", "pending and decided"},
		{"INSERT INTO pending (event) VALUES (7)", "pending rows without an event"},
		{"INSERT INTO decisions (event, state, failures) VALUES (7, 'planned', 0)", "decisions without an event"},
		{"UPDATE meta SET skew = -1", "further from their time of arrival"},
		{"DELETE FROM incidents", "members without an incident"},
		{"UPDATE incidents SET state = 'resolved'", "open members of resolved incidents"},
		{"DELETE FROM members", "handles without an open member"},
		{"UPDATE deliveries SET incident = 7", "deliveries without their incident"},
		{"UPDATE deliveries SET turn = 0", "none has the turn"},
		{"UPDATE deliveries SET turn = 2", "before an earlier one"},
		{"DELETE FROM timeline", "without a line in their timeline"},
		{"DELETE FROM sources", "source that is not there"},
		{"UPDATE bodies SET body = x'00'", "2 bodies that are not what was kept"},
		{"UPDATE bodies SET hash = zeroblob(32) WHERE event = (SELECT min(event) FROM bodies)", "1 bodies that are not what was kept"},
	} {
		t.Run(breaks.found, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bridge.db")
			s := openAt(t, path, nil)
			someOfAll(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if breaks.statement != "" {
				if _, err := direct(t, path).Exec(breaks.statement); err != nil {
					t.Fatal(err)
				}
			}
			v, err := openAt(t, path, nil).Verify(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if breaks.found == "" {
				if len(v.Faults) > 0 || v.Events != 2 || v.Pending != 2 || v.Incidents != 1 || v.Deliveries != 2 {
					t.Errorf("a sound store: %+v", v)
				}
			} else if !slices.ContainsFunc(v.Faults, func(f string) bool { return strings.Contains(f, breaks.found) }) {
				t.Errorf("after %q: %q, want one about %s", breaks.statement, v.Faults, breaks.found)
			}
		})
	}
}

// someOfAll stores two events, and an open incident with two messages in one order.
func someOfAll(t *testing.T, s *Store) {
	t.Helper()
	for n := range int64(2) {
		if err := acceptNth(s, n+1); err != nil {
			t.Fatal(err)
		}
	}
	id := formatID(incidentID, 1)
	now := time.Now()
	err := s.Apply(context.Background(), incident.Plan{
		Incidents: []incident.Incident{{ID: id, Key: "k", Environment: event.Production, State: incident.Open, OpenedAt: now}},
		Members: []incident.MatchedMember{{Incident: id, Member: incident.Member{
			ID: "m", Class: "connectivity", Open: true, OpenedAt: now, Handles: []string{"h"}}}},
		Deliveries: []incident.Delivery{
			{Order: "o", Incident: id, Notifier: "slack", Kind: incident.Opening, NextAt: now},
			{Order: "o", Incident: id, Notifier: "slack", Kind: incident.Reminder, NextAt: now},
		},
		Timeline: []incident.Entry{{Incident: id, At: now, Kind: "opened", Text: "opened"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A page that ends the reading is a finding like any other.
func TestVerifySaysThatAPageIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, nil)
	for n := range int64(200) {
		if err := acceptNth(s, n+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 8192
	at := len(text) / page / 2 * page
	clear(text[at : at+page])
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(context.Background(), store.Config{SQLite: store.SQLite{Path: path}}.WithDefaults(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read
	if v, err := r.Verify(context.Background()); err != nil || len(v.Faults) == 0 {
		t.Errorf("a store with a page of zeros: %+v (%v), want faults", v, err)
	}
}
