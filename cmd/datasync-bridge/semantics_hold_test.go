package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// chicago has a calendar that is open when a rehearsal begins (Tuesday 09:00
// there) and closes nine hours later.
const chicago = `
calendars: [{name: business, tz: America/Chicago, hours: {mon-fri: "08:00-18:00"}}]
digests: [{name: morning, calendar: business, at: "08:00"}]
`

// night is how long it takes from a rehearsal's beginning until 20:00 there.
const night = 11 * time.Hour

func TestRouting23ASilenceHoldsAndItsEndTellsOnceWhatIsStillOpen(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		s, err := r.silencer.AddSilence(context.Background(), incident.Silence{
			Match: map[string]any{event.PartnerID: "par_1"}, Until: time.Now().Add(2 * time.Hour), Why: "their move",
		}, "ana")
		if err != nil {
			t.Fatal(err)
		}
		first := r.failed("txn_1")
		r.failed("txn_2")
		r.failed("txn_other", "partner.id", "par_2")
		r.wants("PagerDuty", "trigger A")
		r.says(r.wants("Slack", "post")[0], "txn_other")
		if d := r.decision(first); d.Silence != s.ID || len(d.Held) != 2 || d.Held[0].Kind != incident.HeldBySilence {
			t.Errorf("silence %q, held %+v", d.Silence, d.Held)
		}
		r.delivered("txn_1")
		r.wants("Slack", "")
		r.pass(2 * time.Hour)
		r.wants("PagerDuty", "trigger B")
		r.says(r.wants("Slack", "post")[0], "txn_2", "open since", s.ID)
		r.delivered("txn_2")
		r.wants("PagerDuty", "resolve B")
	})
}

func TestRouting23WhatBeginsAndEndsInsideASilenceIsNotSent(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		if _, err := r.silencer.AddSilence(context.Background(), incident.Silence{
			Match: map[string]any{event.PartnerID: "par_1"}, Until: time.Now().Add(2 * time.Hour), Why: "their move"}, "ana"); err != nil {
			t.Fatal(err)
		}
		r.failed("txn_1")
		r.delivered("txn_1")
		r.pass(3 * time.Hour)
		r.wants("Slack", "")
		r.wants("PagerDuty", "")
		if all := r.incidents(); len(all) != 1 || all[0].State != incident.Resolved {
			t.Errorf("it is not recorded: %+v", all)
		}
	})
}

func TestRouting23ASilenceThatIsEndedByHandTellsAtOnceAndRestartsKeepIt(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		s, err := r.silencer.AddSilence(context.Background(), incident.Silence{
			Match: map[string]any{event.PartnerID: "par_1"}, Until: time.Now().Add(20 * time.Hour), Why: "their move"}, "ana")
		if err != nil {
			t.Fatal(err)
		}
		r.failed("txn_1")
		r.end()
		r.begin(paged)
		r.failed("txn_2")
		r.wants("Slack", "")
		if err := r.silencer.ExpireSilence(context.Background(), s.ID, "ben", "moved"); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Second)
		r.wants("Slack", "post")
		r.wants("PagerDuty", "trigger A")
	})
}

func TestRouting22AnEndSkipsSilencesAndWindows(t *testing.T) {
	rehearse(t, chicago+`
defaults: {notify: [ops], repeat: never}
rules: [{name: small, match: {}, notify: [ops, pager], only_during: business}]
`, func(r *rehearsal) {
		r.failed("txn_1")
		r.wants("Slack", "post")
		r.wants("PagerDuty", "trigger A")
		r.pass(night)
		if _, err := r.silencer.AddSilence(context.Background(), incident.Silence{
			Match: map[string]any{event.PartnerID: "par_1"}, Until: time.Now().Add(time.Hour), Why: "their move"}, "ana"); err != nil {
			t.Fatal(err)
		}
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A")
		r.wants("Slack", "reply, edit")
	})
}

func TestRouting23AWindowDelaysDigestsOrDrops(t *testing.T) {
	rehearse(t, chicago+`
defaults: {notify: [ops], repeat: never}
rules:
  - {name: delayed, match: {partner.id: par_1}, notify: [ops], only_during: business}
  - {name: gathered, match: {partner.id: par_2}, notify: [ops], only_during: business, outside: digest, digest: morning}
  - {name: left, match: {partner.id: par_3}, notify: [ops], only_during: business, outside: drop}
`, func(r *rehearsal) {
		r.pass(night)
		r.failed("txn_1")
		r.failed("txn_2", "partner.id", "par_2", "partner.name", "Oakmere")
		left := r.failed("txn_3", "partner.id", "par_3")
		r.wants("Slack", "")
		if d := r.decision(left); len(d.Held) != 1 || d.Held[0].Kind != incident.HeldByWindow {
			t.Errorf("what is left out says %+v", d.Held)
		}
		r.pass(11 * time.Hour)
		r.wants("Slack", "")
		r.pass(time.Hour + time.Minute) // 08:00 there
		calls := r.news("Slack")
		if len(calls) != 2 {
			t.Fatalf("%d messages in the morning: %+v", len(calls), calls)
		}
		for _, c := range calls {
			switch {
			case c.deed == "post" && !contains(c, "DIGEST"):
				r.says(c, "txn_1", "open since")
			case c.deed == "post":
				r.says(c, "morning: 1 open", "Oakmere")
			default:
				t.Errorf("a call %q", c.deed)
			}
		}
	})
}

func contains(c farCall, word string) bool { return strings.Contains(c.text, word) }

func TestRouting25ADigestCountsWhatRecoveredAndKeepsWhatIsOpen(t *testing.T) {
	rules := chicago + `
defaults: {notify: [ops], repeat: never}
rules: [{name: small, match: {}, notify: [ops], digest: morning}]
`
	rehearse(t, rules, func(r *rehearsal) {
		for _, txn := range []string{"txn_1", "txn_2", "txn_3"} {
			r.failed(txn, "partner.id", "par_"+txn)
		}
		r.delivered("txn_1", "partner.id", "par_txn_1")
		r.end() // the rows outlive the process
		r.begin(rules)
		r.pass(night + 13*time.Hour)
		r.says(r.wants("Slack", "post")[0], "DIGEST", "morning: 2 open", "1 more opened and ended before this")
		r.delivered("txn_2", "partner.id", "par_txn_2")
		r.pass(24 * time.Hour)
		r.says(r.wants("Slack", "post")[0], "morning: 1 open")
		r.delivered("txn_3", "partner.id", "par_txn_3")
		r.pass(24 * time.Hour)
		r.says(r.wants("Slack", "post")[0], "nothing is open")
		r.pass(24 * time.Hour)
		r.wants("Slack", "")
	})
}

func TestRouting25AReloadThatMovesADigestMovesWhatIsLeftToIt(t *testing.T) {
	rules := func(at string) string {
		return `
calendars: [{name: business, tz: America/Chicago, hours: {mon-fri: "08:00-18:00"}}]
digests: [{name: morning, calendar: business, at: "` + at + `"}]
defaults: {notify: [ops], repeat: never}
rules: [{name: small, match: {}, notify: [ops], digest: morning}]
`
	}
	rehearse(t, rules("15:00"), func(r *rehearsal) {
		r.failed("txn_1")
		r.reload(rules("11:00"))
		r.pass(2*time.Hour + time.Minute)
		r.says(r.wants("Slack", "post")[0], "DIGEST")
		r.reload("\ndefaults: {notify: [ops], repeat: never}\n") // without digests it is told by itself
		r.pass(5 * time.Hour)
		for _, c := range r.wants("Slack", "post") {
			r.says(c, "txn_1")
		}
	})
}

func TestRouting24SymptomsAreListedOnTheirCauseAndToldOnlyIfTheyOutliveIt(t *testing.T) {
	rehearse(t, `
defaults: {notify: [ops], repeat: never}
rules: [{name: page, match: {}, notify: [pager, ops]}]
inhibit: [{by: {class: certificate}, mutes: {class: mdn_negative}, same: [partner.id]}]
`, func(r *rehearsal) {
		expired := []any{"partner.id", "par_1", "partner.name", "Harrowgate", "certificate.id", "crt_1"}
		r.send("partner.certificate_expired", expired...)
		r.wants("PagerDuty", "trigger A")
		r.wants("Slack", "post")
		for _, txn := range []string{"txn_1", "txn_2"} {
			r.send("mdn.failed", "transaction.id", txn, "partner.id", "par_1", "transaction.document_type", "810")
		}
		r.send("mdn.failed", "transaction.id", "txn_9", "partner.id", "par_2", "transaction.document_type", "810")
		r.wants("PagerDuty", "trigger B")
		calls := r.news("Slack")
		edits := 0
		for _, c := range calls {
			if c.deed == "edit" {
				edits++
				r.says(c, "It explains")
			}
		}
		if edits == 0 || len(calls) != edits+1 {
			t.Errorf("Slack took %+v", calls)
		}
		r.send("mdn.received", "transaction.id", "txn_1", "partner.id", "par_1")
		r.send("partner.certificate_updated", expired...)
		r.pass(10 * time.Second)
		r.wantsAny("PagerDuty", "trigger C", "resolve A") // txn_2 outlives it
	})
}

func TestRouting40WhatFailsForOneNotifierIsToldByAnother(t *testing.T) {
	rehearse(t, `
notifiers:
  - {name: ops, slack: {token: xoxb-test, channel: C1}}
  - {name: other, slack: {token: xoxb-test, channel: C2}}
defaults: {notify: [ops, other], repeat: never}
`, func(r *rehearsal) {
		tell := func(kind, subject string) {
			in := reconcile.OwnEvent(kind, subject, "2 notifications were given up", event.Production, time.Now())
			if _, err := r.store.Accept(context.Background(), in); err != nil {
				t.Fatal(err)
			}
			r.pass(2 * time.Second)
		}
		tell(deliveryDead, notifierSubject("ops"))
		r.wants("Slack", "post")
		if n := len(r.slack.Messages("C1")); n != 0 {
			t.Errorf("the notifier that failed is told of it: %d messages", n)
		}
		tell(queueOld, "events")
		r.wants("Slack", "post, post")
		tell(endedBy[queueOld].kind, "events")
		r.wantsAny("Slack", "reply", "reply", "edit", "edit")
		if open := r.incidents()[0]; open.State != incident.Open || open.Class != event.BridgeClass {
			t.Errorf("another trouble's end ended %+v", open)
		}
	})
}

func TestRouting40TheBridgeTellsWhatItFindsWrongWithItself(t *testing.T) {
	rehearse(t, "\ndefaults: {notify: [ops], repeat: never}\n", func(r *rehearsal) {
		now := []trouble{{kind: storeDegraded, subject: "disk", text: "12 MiB are free", environment: event.Production}}
		own := ownWatch{store: r.store, log: r.reloader.log, looks: []look{{kinds: []string{storeDegraded},
			find: func(context.Context, func(string, string) bool) ([]trouble, error) { return now, nil }}}}
		for range 3 { // told once
			own.look(context.Background())
			r.pass(watchEvery)
		}
		r.says(r.wants("Slack", "post")[0], "the bridge's store is in trouble", "12 MiB are free")
		now = nil
		own.look(context.Background())
		r.pass(watchEvery)
		r.wants("Slack", "reply, edit")
	})
}

func TestRouting39TheVerdictSaysWhatHeldAnEvent(t *testing.T) {
	rehearse(t, chicago+`
defaults: {notify: [ops], repeat: never, time_zone: America/Chicago}
rules:
  - {name: small, match: {type: transaction.failed, transaction.document_type: "810"}, notify: [ops], only_during: business}
  - {name: listed, match: {type: transaction.failed, transaction.document_type: "214"}, notify: [ops], digest: morning}
  - {name: page, match: {type: ["mdn.*", "partner.*"]}, notify: [pager, ops]}
inhibit: [{by: {class: certificate}, mutes: {class: mdn_negative}, same: [partner.id]}]
`, func(r *rehearsal) {
		r.pass(3*24*time.Hour + night) // Friday evening
		small := r.failed("txn_1", "transaction.document_type", "810", "partner.id", "par_2")
		r.wantsVerdict(small, "NOT PAGED: small (line 23) held until Mon 08:00")
		listed := r.failed("txn_2", "transaction.document_type", "214", "partner.id", "par_3")
		r.wantsVerdict(listed, "NOT PAGED: listed (line 24) left to digest morning until Mon 08:00")
		r.pass(5 * time.Hour)
		r.delivered("txn_1", "partner.id", "par_2")
		r.wantsVerdict(small, "NOT PAGED: small (line 23) held until Mon 08:00; delivered Sat 01:00")
		r.send("partner.certificate_expired", "partner.id", "par_1", "certificate.id", "crt_1")
		muted := r.send("mdn.failed", "transaction.id", "txn_3", "partner.id", "par_1")
		r.wantsVerdict(muted, "NOT PAGED: in_0000000000001 explains it")
	})
}
