package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// damaged are documents as a torn disk, an editor or another version may leave them.
var damaged = []string{
	``, `{`, `null`, `[]`, `7`, `"x"`, `{}`, "\x00", "\xff\xfe", `{"ID":7}`, `{"Lead":null}`, `{"Lead":{"Fields":[]}}`,
	`{"Lead":{"Fields":{"sla.due_at":[],"acknowledgment.errors":[1,null,"e"],"transaction.amount":"a lot"}}}`,
	`{"Lead":{"Fields":{"sla.due_at":"2026-13-45T00:00:00Z","nothing.known":{"a":[[]]}}},"Severity":"loud","OpenedAt":"yesterday"}`,
	`{"Severity":99,"State":"none","MaxMembers":-1}`, `{"Members":[null,{}],"Queue":[{}]}`, `{"Match":{"a":1e999},"From":null}`,
	`{"Open":true,"ID":"txn:1"} {"Open":false}`,
}

// TestADamagedRowIsAnErrorAndNoPanic spoils the documents of every table and
// reads them as planning and the API do.
func TestADamagedRowIsAnErrorAndNoPanic(t *testing.T) {
	ctx := context.Background()
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), func() time.Time { return upgradedAt })
	id, due := formatID(incidentID, 1), upgradedAt.Add(time.Hour)
	err := s.Apply(ctx, incident.Plan{
		Incidents:  []incident.Incident{{ID: id, Environment: event.Production, Source: "datasync", Key: "k", State: incident.Open, OpenedAt: upgradedAt, MaxMembers: 5}},
		Members:    []incident.MatchedMember{{Incident: id, Member: incident.Member{ID: "txn:1", Open: true, OpenedAt: upgradedAt, Transaction: "1"}}},
		Deliveries: []incident.Delivery{{Incident: id, Order: "k", Notifier: "ops", Kind: incident.Noticed}},
		Runs:       []incident.Run{{Incident: id, Environment: event.Production, Key: "run", CreatedAt: upgradedAt}},
		Silences:   []incident.Silence{{Match: map[string]any{"type": "x"}, From: upgradedAt, Until: due, Why: "w"}},
		Partners:   []incident.Partner{{Environment: event.Production, ID: "p", NextAt: due}},
		Notices:    []incident.Notice{{Key: "n", Since: upgradedAt}},
	})
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]string{
		"incidents": "doc", "members": "doc", "deliveries": "snapshot", "runs": "doc", "silences": "doc", "partners": "doc", "notices": "doc",
	}
	reads := map[string]func() error{
		"incidents":  func() error { _, err := s.Incident(ctx, id); return err },
		"members":    func() error { _, err := s.Members(ctx, id, 10); return err },
		"deliveries": func() error { _, err := s.Delivery(ctx, formatID(deliveryID, 1)); return err },
		"runs":       func() error { _, err := s.Runs(ctx, incident.Filter{Limit: 10}); return err },
		"silences":   func() error { _, err := s.Silences(ctx); return err },
		"partners":   func() error { _, err := s.Partner(ctx, event.Production, "p"); return err },
		"notices":    func() error { _, err := s.Load(ctx, incident.Query{Notice: "n"}); return err },
	}
	for table, column := range columns {
		if err := reads[table](); err != nil {
			t.Fatalf("%s, untouched: %v", table, err)
		}
		for _, doc := range damaged {
			err := s.write(ctx, func(t *tx) error {
				_, err := t.exec("UPDATE "+table+" SET "+column+" = ?", doc)
				return err
			})
			if err != nil && !strings.Contains(err.Error(), "malformed JSON") { // an index over the document refuses it
				t.Fatal(err)
			}
			err = reads[table]()
			if kept(t, s, table, column) == doc && !json.Valid([]byte(doc)) && err == nil && !strings.HasSuffix(doc, "}") {
				t.Errorf("%s: %q was read as if it were whole", table, doc)
			}
			if errors.Is(err, event.ErrNotFound) {
				t.Errorf("%s: %q is told as if there were no such row", table, doc)
			}
			_, _ = s.Load(ctx, incident.Query{Environment: event.Production, Key: "k", Incidents: []string{id}, Partner: "p", RunKey: "run"})
		}
	}
}

// kept is the first row's document.
func kept(t *testing.T, s *Store, table, column string) (doc string) {
	t.Helper()
	err := s.read(context.Background(), "a document", func(r reader) error {
		return r.QueryRowContext(context.Background(), "SELECT "+column+" FROM "+table+" LIMIT 1").Scan(&doc)
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// FuzzDocuments decodes what may stand in a row: an error or a value that can
// be written and read again, never a panic.
func FuzzDocuments(f *testing.F) {
	for _, doc := range damaged {
		f.Add([]byte(doc))
	}
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	whole, err := json.Marshal(incident.Incident{ID: "in_1", OpenedAt: now, Lead: incident.Lead{Fields: map[string]any{
		event.SLADue: now, "acknowledgment.errors": []string{"e"}, event.Amount: 12.5, event.TransactionID: "t",
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, doc []byte) {
		if i, err := decodeIncident(doc, 3); err == nil {
			again(t, i, func(doc []byte) (incident.Incident, error) { return decodeIncident(doc, 3) })
		}
		row := func(doc []byte) (incident.Member, error) {
			return scanMember(func(into ...any) error {
				*into[0].(*bool), *into[2].(*[]byte) = true, doc
				return nil
			})
		}
		if m, err := row(doc); err == nil {
			again(t, m, row)
		}
	})
}

// again wants a decoded value to be written, read and the same.
func again[V any](t *testing.T, v V, decode func([]byte) (V, error)) {
	t.Helper()
	doc, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	second, err := decode(doc)
	if err != nil {
		t.Fatalf("what was written cannot be read: %v\n%s", err, doc)
	}
	rewritten, err := json.Marshal(second)
	if err != nil || !bytes.Equal(doc, rewritten) {
		t.Fatalf("written twice it differs (%v):\n%s\n%s", err, doc, rewritten)
	}
}
