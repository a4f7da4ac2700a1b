package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
)

// TestATrialSendsWhatTheBridgeSends plays one history through the store and the
// dispatcher, then through a trial: the same must be told, to the same people.
func TestATrialSendsWhatTheBridgeSends(t *testing.T) {
	rehearse(t, `
defaults: {notify: [ops], group: {wait: 30s, interval: 1h}, repeat: {critical: 1h, error: 2h, warning: 24h, info: never}, close_after: 12h}
rules:
  - name: goods
    match: {type: ["transaction.failed", "sla.*"], transaction.document_type: ["856"]}
    severity: critical
    notify: [pager, ops]
  - name: late
    match: {type: mdn.timeout}
    notify: [ops]
    group: {wait: 15m}
`, func(r *rehearsal) {
		document := func(n int, kind string) []any {
			return []any{"transaction.id", fmt.Sprint("txn_", n), "transaction.document_type", kind, "partner.id", fmt.Sprint("par_", n%2), "error.category", "connectivity"}
		}
		for n := range 6 {
			r.send("transaction.failed", document(n, []string{"856", "810"}[n%2])...)
			r.pass(7 * time.Minute)
		}
		r.send("mdn.timeout", "transaction.id", "txn_20", "partner.id", "par_9")
		r.pass(5 * time.Minute)
		r.send("mdn.received", "transaction.id", "txn_20", "partner.id", "par_9")
		r.send("sla.violated", document(2, "856")...)
		r.pass(3 * time.Hour)
		for _, n := range []int{0, 2, 4, 1} {
			r.send("transaction.delivered", "transaction.id", fmt.Sprint("txn_", n))
			r.pass(time.Minute)
		}
		r.send("transaction.failed", document(0, "856")...)
		r.send("never.heard.of")
		r.pass(20 * time.Hour)

		kept, err := r.store.Events(context.Background(), incident.Filter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		parts, err := compile(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		var tried []string
		b := trial.New(trial.Parts{Mapper: parts.mapper, Router: parts.table, Planner: parts.machine, Proposer: parts.guard},
			rehearsalStart, trial.Observer{Sent: func(d incident.Delivery) { tried = append(tried, spokenOf(d)) }})
		slices.Reverse(kept) // newest first
		for i := range kept {
			st, err := r.store.Event(context.Background(), kept[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Post(st); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Advance(r.store.Now()); err != nil {
			t.Fatal(err)
		}
		var sent []string
		deliveries, err := r.store.Deliveries(context.Background(), incident.Filter{Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range deliveries {
			if d.State == incident.Sent {
				sent = append(sent, spokenOf(d))
			}
		}
		slices.Sort(sent)
		slices.Sort(tried)
		if len(sent) < 20 || !slices.Equal(sent, tried) {
			t.Errorf("the bridge sent %d\n%q\nthe trial %d\n%q", len(sent), sent, len(tried), tried)
		}
	})
}

func spokenOf(d incident.Delivery) string {
	return fmt.Sprintf("%s %s %s %d", d.Incident, d.Notifier, d.Kind, d.Alarm)
}
