package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

func TestRouting39AnEventIsFoundByWhatItIsAbout(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		about := []any{
			"transaction.references.po_number", "PO-88214", "transaction.references.invoice_number", "INV/7-ß", "partner.id", "par_7",
			"partner.name", "Härrowgate & Sons",
		}
		first := r.failed("txn_1", about...)
		r.failed("txn_10", "transaction.references.po_number", "PO-882140", "partner.id", "par_70")
		r.pass(2 * time.Hour)
		second := r.failed("txn_1", about...)
		m, err := newMapper(r.cfg.Mappings())
		if err != nil {
			t.Fatal(err)
		}
		for name, by := range map[string]byWhat{
			"transaction": {transaction: "txn_1"}, "po": {po: "PO-88214"}, "invoice": {invoice: "INV/7-ß"},
			"partner": {partner: "par_7"}, "partner's name": {partner: "härrowgate & sons"},
		} {
			for near, want := range map[time.Time]string{time.Now(): second, rehearsalStart: first, rehearsalStart.Add(20 * time.Minute): first} {
				found, err := findEvents(context.Background(), r.store, m, by, near)
				if err != nil || len(found) != 2 {
					t.Fatalf("%s: %d events, %v; want 2", name, len(found), err)
				}
				nearest(found, near)
				if found[0].ID != want {
					t.Errorf("%s, near %v: %s, want %s", name, near, found[0].ID, want)
				}
			}
		}
		var out bytes.Buffer
		c := &cli{streams: streams{out: &out}, output: "table"}
		if err := c.explainFound(context.Background(), r.cfg, r.store, byWhat{po: "PO-88214", at: "2026-03-10 09:10"}, ""); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); !strings.HasPrefix(text, "PAGED pager at 09:00") || !strings.Contains(text, "\nAlso found; explain one by its id\n") || !strings.Contains(text, second) {
			t.Errorf("it says:\n%s", text)
		}
		err = c.explainFound(context.Background(), r.cfg, r.store, byWhat{transaction: "txn_9"}, "")
		if err == nil || !strings.Contains(err.Error(), "no event is kept about transaction txn_9") {
			t.Errorf("what is not there: %v", err)
		}
		if _, err := findEvents(context.Background(), r.store, m, byWhat{po: "ßß"}, time.Now()); err == nil {
			t.Error("what cannot be searched is searched")
		}
		for newer, want := range map[bool]int{false: 1, true: 2} {
			n := 0
			q := sqlite.Search{Text: "partner", From: rehearsalStart, Newer: newer, Page: 1}
			err := r.store.Holding(context.Background(), q, func(event.Stored) (bool, error) { n++; return true, nil })
			if err != nil || n != want {
				t.Errorf("page by page, newer %v: %d events, %v; want %d", newer, n, err, want)
			}
		}
		n := 0
		err = r.store.Holding(context.Background(), sqlite.Search{Text: "txn_1", From: time.Now()}, func(event.Stored) (bool, error) { n++; return false, nil })
		if err != nil || n != 1 {
			t.Errorf("a search that had enough goes on: %d, %v", n, err)
		}
	})
}

func TestRouting39RulesAreThoseOfTheConfigurationThen(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		id, then := r.failed("txn_1"), r.cfg
		r.load(andLead + strings.ReplaceAll(explainedRules, "severity: critical", "severity: warning"))
		kept := func(_ context.Context, hash string) (incident.ConfigLoad, error) {
			if hash != then.Hash {
				return incident.ConfigLoad{}, event.ErrNotFound
			}
			return incident.ConfigLoad{Hash: hash, At: rehearsalStart.Add(-time.Hour), Doc: []byte("{}")}, nil
		}
		account := func(build func([]byte) (parts, error)) *account {
			a := newAccount(r.cfg, time.Now())
			if err := a.ofEvent(context.Background(), r.store, id); err != nil {
				t.Fatal(err)
			}
			if err := a.retrace(context.Background(), decidedBy(r.cfg, kept, build)); err != nil {
				t.Fatal(err)
			}
			return a
		}
		a := account(func([]byte) (parts, error) { return compile(then) })
		if a.trace == nil || len(a.differs) > 0 || !strings.Contains(a.traceFrom, ", in force since Tue 2026-03-10 08:00:00") {
			t.Errorf("from %q, differs %q", a.traceFrom, a.differs)
		}
		a = account(func([]byte) (parts, error) { return compile(r.cfg) }) // as if a rule meant something else now
		if want := []string{"severity: recorded critical, now warning"}; !slices.Equal(a.differs, want) {
			t.Errorf("differs %q, want %q", a.differs, want)
		}
		a = account(func([]byte) (parts, error) { return parts{}, errors.New("unknown key") })
		if a.trace != nil || !strings.Contains(a.traceFrom, "cannot be used by this version: unknown key") {
			t.Errorf("from %q", a.traceFrom)
		}
	})
}
