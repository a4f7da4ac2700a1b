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

		r.wantTrialAlike(20)
	})
}

// TestATrialHoldsBackWhatTheBridgeHoldsBack does the same for what windows,
// digests, silences and causes hold.
func TestATrialHoldsBackWhatTheBridgeHoldsBack(t *testing.T) {
	rehearse(t, `
defaults: {notify: [ops], repeat: {critical: 1h, error: 2h, warning: 24h, info: never}, close_after: 72h}
calendars: [{name: business, tz: America/Chicago, hours: {mon-fri: "08:00-18:00"}}]
digests: [{name: morning, calendar: business, at: "08:00"}]
silences:
  - {id: moving, match: {partner.id: par_1}, from: 2026-03-10 20:00 UTC, until: 2026-03-11 02:00 UTC, by: ana, why: moving}
inhibit: [{by: {type: partner.connection_failed}, mutes: {type: transaction.failed}, same: [partner.id]}]
rules:
  - {name: goods, match: {transaction.document_type: "856"}, notify: [pager, ops]}
  - {name: late, match: {type: mdn.timeout}, only_during: business, notify: [ops]}
  - {name: small, match: {type: transaction.rejected}, digest: morning, notify: [ops]}
`, func(r *rehearsal) {
		of := func(n int, more ...any) []any {
			return append([]any{"transaction.id", fmt.Sprint("txn_", n), "partner.id", fmt.Sprint("par_", n%3)}, more...)
		}
		for n := range 9 {
			r.send("transaction.rejected", of(n)...)
			r.send("mdn.timeout", of(10+n)...)
			r.send("transaction.failed", of(20+n, "transaction.document_type", "856")...)
			if n == 4 {
				r.send("partner.connection_failed", "partner.id", "par_2", "transport.protocol", "AS2")
			}
			r.pass(90 * time.Minute)
		}
		for n := range 5 {
			r.send("acknowledgment.received", of(n)...)
			r.send("mdn.received", of(10+n)...)
			r.send("transaction.delivered", of(20+n)...)
		}
		r.pass(30 * time.Hour)
		r.send("partner.connection_restored", "partner.id", "par_2", "transport.protocol", "AS2")
		r.pass(30 * time.Hour)
		r.wantTrialAlike(60)
	})
}

// TestATrialSendsWhatTheBridgeSendsOfRandomHistories does the same for what
// nobody has thought of.
func TestATrialSendsWhatTheBridgeSendsOfRandomHistories(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rehearse(t, manyRules, func(r *rehearsal) {
				m := newMonths(seed, rehearsalStart, 3, 10*time.Minute)
				for range 120 {
					in := m.next()
					r.pass(time.Until(in.ReceivedAt))
					if _, err := r.store.Accept(context.Background(), in); err != nil {
						t.Fatal(err)
					}
				}
				r.pass(20 * time.Hour)
				r.wantTrialAlike(60)
			})
		})
	}
}

// wantTrialAlike plays what the store has kept through a trial.
func (r *rehearsal) wantTrialAlike(atLeast int) {
	r.t.Helper()
	parts, err := compile(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	var tried []string
	b := trial.New(trial.Parts{Mapper: parts.mapper, Router: parts.table, Planner: parts.machine, Proposer: parts.guard},
		rehearsalStart, trial.Observer{Sent: func(d incident.Delivery) { tried = append(tried, spokenOf(d)) }})
	b.Forget(memoryOf(r.cfg))
	kept, err := r.store.History(context.Background(), time.Time{}, time.Time{}, "", 500)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range kept {
		if _, err := b.Post(kept[i]); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := b.Advance(r.store.Now()); err != nil {
		r.t.Fatal(err)
	}
	var sent []string
	deliveries, err := r.store.Deliveries(context.Background(), incident.Filter{Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, d := range deliveries {
		if d.State == incident.Sent {
			sent = append(sent, spokenOf(d))
		}
	}
	slices.Sort(sent)
	slices.Sort(tried)
	if len(sent) < atLeast || !slices.Equal(sent, tried) {
		r.t.Errorf("the bridge sent %d\n%q\nthe trial %d\n%q", len(sent), sent, len(tried), tried)
	}
}

func spokenOf(d incident.Delivery) string {
	return fmt.Sprintf("%s %s %s %d", d.Incident, d.Notifier, d.Kind, d.Alarm)
}
