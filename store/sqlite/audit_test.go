package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
)

// audited is a store with five lines.
func audited(t *testing.T) *Store {
	t.Helper()
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), func() time.Time { return upgradedAt })
	for n := range 5 {
		tell(t, s, fmt.Sprintf("line %d", n+1))
	}
	return s
}

func tell(t *testing.T, s *Store, why string) {
	t.Helper()
	line := incident.Audit{Actor: "ana", Action: incident.AuditCleared, Subject: "rn", Why: why, Incident: "in", Event: "ev",
		Run: "rn", Key: "k", RequestID: "q", Result: "done"}
	if err := s.Apply(context.Background(), incident.Plan{Audit: []incident.Audit{line}}); err != nil {
		t.Fatal(err)
	}
}

// behind runs statements on a connection of its own.
func behind(t *testing.T, s *Store, queries ...string) error {
	t.Helper()
	db := open(s.cfg.SQLite.Path, false)
	defer db.Close() //nolint:errcheck // nothing waits
	for _, query := range queries {
		if _, err := db.ExecContext(context.Background(), query); err != nil {
			return err
		}
	}
	return nil
}

var unguard = []string{"DROP TRIGGER audit_keeps_its_lines", "DROP TRIGGER audit_keeps_all_lines", "DROP TRIGGER audit_replaces_no_line"}

func TestTheAuditTakesNoChangeInSQL(t *testing.T) {
	s := audited(t)
	for _, query := range []string{
		"UPDATE audit SET why = 'another' WHERE id = 3", "UPDATE audit SET hash = hash", "DELETE FROM audit WHERE id = 5", "DELETE FROM audit",
		"REPLACE INTO audit SELECT * FROM audit WHERE id = 2",
		"INSERT INTO audit SELECT * FROM audit WHERE id = 2 ON CONFLICT DO UPDATE SET why = 'another'",
	} {
		if err := behind(t, s, query); err == nil || !strings.Contains(err.Error(), "the audit is append-only") {
			t.Errorf("%s: %v, want a refusal", query, err)
		}
	}
	v, err := s.VerifyAudit(context.Background())
	if err != nil || v.Count != 5 {
		t.Errorf("after that: %d lines (%v), want 5", v.Count, err)
	}
}

func TestEveryChangeBehindTheAuditIsFound(t *testing.T) {
	cases := map[string]string{
		"DELETE FROM audit WHERE id = 1":                                       "line 1 is missing",
		"DELETE FROM audit WHERE id = 3":                                       "line 3 is missing",
		"DELETE FROM audit WHERE id >= 4":                                      "line 4 is missing: 5 lines were written, 3 are left",
		"DELETE FROM audit":                                                    "line 1 is missing",
		"UPDATE audit SET id = 6 WHERE id = 5":                                 "line 5 is missing",
		"UPDATE audit SET id = 0 WHERE id = 2":                                 "line 1 is missing",
		"UPDATE audit SET at = at + 1 WHERE id = 3":                            "line 3 was changed",
		"DELETE FROM sqlite_sequence WHERE name = 'audit'":                     "line 6 is missing: 0 lines",
		"DELETE FROM audit WHERE id = 5; UPDATE sqlite_sequence SET seq = 9":   "line 5 is missing",
		"UPDATE audit SET why = (SELECT why FROM audit WHERE id = 3) || ' '":   "line 1 was changed",
		"UPDATE audit SET at = 9223372036854775807 WHERE id = 2":               "line 2 was changed",
		"UPDATE audit SET why = CAST(x'ff' AS TEXT) WHERE why = 'line 2'":      "line 2 was changed",
		"UPDATE audit SET run = subject || 'x', event = event WHERE id IN (4)": "line 4 was changed",
	}
	for _, column := range []string{"actor", "action", "subject", "why", "incident", "event", "run", "key", "request_id", "result", "prev", "hash"} {
		cases[fmt.Sprintf("UPDATE audit SET %s = 'another' WHERE id = 3", column)] = "line 3 was changed"
		cases[fmt.Sprintf("UPDATE audit SET %s = '' WHERE id = 5", column)] = "line 5 was changed"
	}
	for query, want := range cases {
		s := audited(t)
		if err := behind(t, s, append(unguard, query)...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		_, err := s.VerifyAudit(context.Background())
		if !errors.Is(err, incident.ErrAudit) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

// A line that was changed together with its own hash breaks the next one's.
func TestALineThatWasHashedAnewDoesNotFit(t *testing.T) {
	s := audited(t)
	lines, err := s.Audit(context.Background(), incident.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	forged := lines[2]
	forged.Why = "another"
	if err := behind(t, s, append(unguard, fmt.Sprintf("UPDATE audit SET why = 'another', hash = '%s' WHERE id = 3", forged.Digest()))...); err != nil {
		t.Fatal(err)
	}
	if _, err := s.VerifyAudit(context.Background()); !errors.Is(err, incident.ErrAudit) || !strings.Contains(err.Error(), "line 4 does not follow line 3") {
		t.Errorf("verify: %v", err)
	}
}

func TestATailThatWasCutOffShowsHoweverMuchIsWrittenAfterIt(t *testing.T) {
	s := audited(t)
	if err := behind(t, s, append(unguard, "DELETE FROM audit WHERE id > 3")...); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		tell(t, s, "later")
	}
	if _, err := s.VerifyAudit(context.Background()); !errors.Is(err, incident.ErrAudit) || !strings.Contains(err.Error(), "line 4 is missing") {
		t.Errorf("verify: %v", err)
	}
}
