package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

// paged sends every failure to Slack and the pager.
const paged = `
defaults:
  notify: [ops]
  repeat: never
rules:
  - {name: page, match: {}, notify: [pager, ops]}
`

func TestRouting10_NotesAreSaidOnceThenCountedAndNeverPage(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.send("invoice.archived", "partner.id", "par_1")
		r.send("invoice.archived", "partner.id", "par_2")
		r.says(r.wants("Slack", "post")[0], "Unknown event type", "invoice.archived")
		r.pass(time.Hour)
		r.says(r.wants("Slack", "post")[0], "1 more since")
		r.pass(2 * time.Hour)
		r.wants("Slack", "")
		r.send("invoice.archived", "partner.id", "par_1")
		r.wants("Slack", "post")
		r.wants("PagerDuty", "")
		if n := len(r.incidents()); n != 0 {
			t.Errorf("notes made %d incidents", n)
		}
	})
}

func TestRouting10_RetriesOpenByAttemptsOrTimeWhicheverComesFirst(t *testing.T) {
	rehearse(t, paged+"  - {name: again, match: {type: transaction.retrying}, severity: critical, notify: [pager]}\n",
		func(r *rehearsal) { // not set: never
			r.failed("txn_1", "attempt.number", 7, "attempt.final", false)
			r.pass(2 * time.Hour)
			r.wants("PagerDuty", "")
			r.wants("Slack", "")
		})
	rehearse(t, strings.Replace(paged, "repeat: never", "repeat: never\n  retrying_alert: {attempts: 3, after: 30m}", 1), func(r *rehearsal) {
		r.failed("txn_1", "attempt.number", 1, "attempt.final", false)
		r.pass(10 * time.Minute)
		r.failed("txn_1", "attempt.number", 2, "attempt.final", false)
		r.pass(19 * time.Minute)
		r.wants("PagerDuty", "")
		r.pass(2 * time.Minute)
		r.wants("PagerDuty", "trigger A")
		r.says(r.wants("Slack", "post")[0], "still retrying")
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A")

		r.failed("txn_2", "partner.id", "par_2", "attempt.number", 3, "attempt.final", false)
		r.wants("PagerDuty", "trigger B")
		r.delivered("txn_2", "partner.id", "par_2")
		r.quiet()

		r.failed("txn_3", "partner.id", "par_3", "attempt.number", 1, "attempt.final", false)
		r.pass(20 * time.Minute)
		r.delivered("txn_3", "partner.id", "par_3")
		r.pass(time.Hour)
		r.wants("PagerDuty", "")
		r.wants("Slack", "")
	})
}

func TestRouting10_AnSLAEventRaisesWhatIsOpenAndAddsNone(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.wants("Slack", "post")
		id := r.send("sla.violated", "transaction.id", "txn_1", "partner.id", "par_1", "sla.due_at", time.Now().Add(-time.Minute))
		r.wantOutcome(id, incident.Raised)
		r.wants("PagerDuty", "trigger A#2")
		r.says(r.wants("Slack", "broadcast, edit")[0], "now critical")
		if all := r.incidents(); len(all) != 1 || all[0].Total != 1 || all[0].Severity != event.Critical {
			t.Errorf("incidents %+v", all)
		}
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A, resolve A#2")
	})
}

func TestRouting11_AMissingMDNIsDeliveryUnknownInEveryMessage(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.send("mdn.timeout", "transaction.id", "txn_1", "partner.id", "par_1", "partner.name", "Harrowgate",
			"transaction.document_type", "810", "transport.message_id", "<m1@x>")
		r.pass(4 * time.Hour)
		r.send("mdn.timeout", "transaction.id", "txn_1", "partner.id", "par_1", "transaction.document_type", "810")
		r.send("mdn.received", "mdn.original_message_id", "<m1@x>", "mdn.disposition", "automatic-action/MDN-sent-automatically; processed")
		told := slices.Concat(r.wants("PagerDuty", "trigger A, trigger A#2, resolve A, resolve A#2")[:2],
			r.wants("Slack", "post, broadcast, edit, reply, edit"))
		for _, c := range told {
			if strings.Contains(c.text, "not delivered") || strings.Contains(c.text, "failed") {
				t.Errorf("%s tells a missing MDN as a failure: %s", c.deed, c.text)
			}
		}
		r.says(told[0], "delivery unknown")
		r.says(told[2], "delivery unknown", "can duplicate it")
	})
}

func TestRouting12_AMemberKeepsItsIncidentWhenAReloadGroupsAnew(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.failed("txn_2")
		r.end()
		r.begin(strings.Replace(paged, "repeat: never", "repeat: never\n  group: {by: [transaction.id]}", 1))
		r.wantOutcome(r.failed("txn_2"), incident.Joined)
		r.wantOutcome(r.failed("txn_3"), incident.Opened)
		r.delivered("txn_1")
		r.delivered("txn_2")
		r.wants("PagerDuty", "trigger A, trigger B, resolve A")
	})
}

func TestRouting14_ARestoredConnectionIsShownAtOnceAndSettlesNoTransaction(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.send("partner.connection_failed", "partner.id", "par_1", "transport.protocol", "AS2", "error.category", "connectivity")
		r.quiet()
		r.wantOutcome(r.send("partner.connection_restored", "partner.id", "par_1", "transport.protocol", "AS2"), incident.Settled)
		r.wants("Slack", "edit")
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A")
		r.quiet()
		r.pass(time.Hour)
		r.failed("txn_2")
		r.quiet()
		r.wantOutcome(r.send("partner.connection_restored", "partner.id", "par_1", "transport.protocol", "AS2"), incident.Unfitting)
		r.says(r.wants("Slack", "edit")[0], "AS2 connection was restored")
		r.wants("PagerDuty", "")
	})
}

func TestRouting15_WhatCameOutOfOrderIsJudgedByWhenItHappened(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		now := time.Now()
		r.delivered("txn_1", "/created_at", now)
		r.wantOutcome(r.failed("txn_1", "/created_at", now.Add(-time.Minute)), incident.Outdated)
		r.wantOutcome(r.failed("txn_1", "/created_at", now), incident.Opened) // equal: arrival decides
		r.wantOutcome(r.delivered("txn_1", "/created_at", now.Add(-time.Second)), incident.Unfitting)
		r.wants("PagerDuty", "trigger A")
		r.wantOutcome(r.delivered("txn_1", "/created_at", time.Now().AddDate(73, 0, 0)), incident.Settled)
		r.pass(time.Hour)
		r.wantOutcome(r.failed("txn_1"), incident.Opened) // the year 2099 mutes nothing
		r.wants("PagerDuty", "resolve A, trigger B")
	})
}

func TestRouting16_OldNewsIsOneMessageAnHourUnlessItsDeadlineLiesAhead(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		old := time.Now().Add(-13 * time.Hour)
		r.wantOutcome(r.failed("txn_1", "/created_at", old), incident.OldNews)
		r.failed("txn_2", "/created_at", old)
		r.failed("txn_3", "/created_at", old, "partner.id", "par_3")
		r.says(r.wants("Slack", "post")[0], "Old news")
		r.pass(time.Hour)
		r.says(r.wants("Slack", "post")[0], "2 more since")
		r.wants("PagerDuty", "")
		r.wantOutcome(r.failed("txn_4", "/created_at", old, "sla.due_at", time.Now().Add(time.Hour)), incident.Opened)
		r.wants("PagerDuty", "trigger A")
	})
}

func TestRouting17_ClosesUnconfirmedAndTheNextFailureIsANewIncident(t *testing.T) {
	rehearse(t, strings.Replace(paged, "repeat: never", "repeat: never\n  close_after: 3h", 1), func(r *rehearsal) {
		r.failed("txn_1")
		r.pass(3*time.Hour - 10*time.Second)
		r.quiet()
		r.pass(10 * time.Second)
		r.wants("PagerDuty", "resolve A")
		r.says(r.wants("Slack", "reply, edit")[1], "NO RECOVERY SEEN", "unconfirmed")
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger B")
		r.wants("Slack", "post")
	})
	rehearse(t, strings.Replace(paged, "repeat: never", "repeat: never\n  close_after: never", 1), func(r *rehearsal) {
		r.failed("txn_1")
		if due, next, err := r.store.DueTimers(context.Background(), 10); len(due) > 0 || next.After(time.Now().Add(4*time.Minute)) || err != nil {
			t.Errorf("a timer waits for %v %v (%v), want none but the page's fallback", due, next, err)
		}
	})
}

func TestRouting18_AlarmsAnewAreAlertsOfTheirOwnAndAllAreResolved(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.wants("Slack", "post")
		r.failed("txn_2")
		r.wants("PagerDuty", "")
		r.wants("Slack", "edit")
		if err := r.dispatch.Acknowledge(context.Background(), r.incidents()[0].ID, "ana", "on it"); err != nil {
			r.t.Fatal(err)
		}
		r.pass(2 * time.Hour)
		r.wants("PagerDuty", "acknowledge A")
		r.wants("Slack", "reply, edit")
		r.failed("txn_3") // after a quiet time
		r.wants("PagerDuty", "trigger A#2")
		r.wants("Slack", "broadcast, edit")
		if r.incidents()[0].Acknowledged != nil {
			t.Error("the acknowledgement was not lifted")
		}
		r.delivered("txn_1")
		r.delivered("txn_2")
		r.wants("PagerDuty", "")
		r.wants("Slack", "edit, edit")
		r.delivered("txn_3")
		r.wants("PagerDuty", "resolve A, resolve A#2")
		r.wants("Slack", "reply, edit")
		if slices.ContainsFunc(r.pager.Alerts(), func(a standin.Alert) bool { return a.State != standin.Resolved }) {
			t.Errorf("alerts %+v", r.pager.Alerts())
		}
	})
}

func TestRouting18_EachThresholdOfACertificateTellsOnce(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		end := time.Now().AddDate(0, 0, 30)
		expiring := func(days int) {
			r.send("partner.certificate_expiring", "partner.id", "par_1", "certificate.id", "cert_1", "certificate.not_after", end,
				"certificate.days_remaining", days, "certificate.threshold_days", days)
		}
		expiring(30)
		r.wants("PagerDuty", "trigger A")
		r.says(r.wants("Slack", "post")[0], "INFO")
		expiring(30)
		r.wants("PagerDuty", "")
		r.wants("Slack", "edit")
		if err := r.dispatch.Resolve(context.Background(), r.incidents()[0].ID, "ana", "known"); err != nil {
			r.t.Fatal(err)
		}
		r.pass(time.Minute)
		r.quiet()
		expiring(30) // also right after a resolve by hand
		r.wants("PagerDuty", "")
		r.wants("Slack", "")
		r.pass(2 * time.Hour)
		expiring(14)
		r.wants("PagerDuty", "trigger B")
		r.says(r.wants("Slack", "post")[0], "WARNING", "expires in 14 days")
		expiring(7) // however short ago the last was told
		r.wants("PagerDuty", "trigger B#2")
		r.says(r.wants("Slack", "broadcast, edit")[1], "WARNING", "expires in 7 days")
		r.send("partner.certificate_expired", "partner.id", "par_1", "certificate.id", "cert_1", "certificate.not_after", end)
		r.wants("PagerDuty", "trigger B#3")
		r.says(r.wants("Slack", "broadcast, edit")[0], "now critical")
		r.send("partner.certificate_updated", "partner.id", "par_1", "certificate.id", "cert_1")
		r.wants("PagerDuty", "resolve B, resolve B#2, resolve B#3")
	})
}
