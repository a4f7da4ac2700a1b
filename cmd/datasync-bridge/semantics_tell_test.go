package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

func TestRouting19_WaitGathersEndsEarlyAndSaysNothingOfWhatIsOver(t *testing.T) {
	rehearse(t, `
defaults:
  notify: [ops]
  group: {wait: 10m}
rules:
  - {name: asn, match: {transaction.document_type: "856"}, notify: [pager, ops]}
  - {name: tender, match: {transaction.document_type: "204"}, severity: critical, notify: [pager, ops]}
`, func(r *rehearsal) {
		r.failed("txn_1")
		r.delivered("txn_1")
		r.pass(30 * time.Minute)
		r.wants("Slack", "")
		r.wants("PagerDuty", "")
		r.pass(time.Hour)
		r.failed("txn_2")
		r.failed("txn_3")
		r.pass(9 * time.Minute)
		r.wants("Slack", "")
		r.pass(time.Minute)
		r.says(r.wants("Slack", "post")[0], "856 ship notice ×2")
		r.wants("PagerDuty", "trigger A")
		r.failed("txn_4", "partner.id", "par_2")
		r.failed("txn_5", "partner.id", "par_2", "transaction.document_type", "204")
		r.wants("PagerDuty", "trigger B")
		r.failed("txn_6", "partner.id", "par_3", "sla.due_at", time.Now().Add(19*time.Minute))
		r.wants("PagerDuty", "trigger C")
		r.failed("txn_7", "partner.id", "par_4", "sla.due_at", time.Now().Add(21*time.Minute))
		r.wants("PagerDuty", "")
	})
}

func TestRouting20_RemindersAndEscalationStopAtTheAcknowledgementAndSurviveARestart(t *testing.T) {
	rules := andLead + `
defaults:
  notify: [ops]
  repeat: {critical: 1h, error: 4h, warning: 24h, info: never}
rules:
  - name: asn
    match: {transaction.document_type: "856"}
    severity: critical
    notify: [pager, ops]
    escalate: [{after: 15m, unless: acknowledged, notify: [lead]}]
`
	rehearse(t, rules, func(r *rehearsal) {
		r.failed("txn_1")
		r.pass(10 * time.Minute)
		r.quiet()
		r.end()
		r.begin(rules)
		r.pass(5 * time.Minute)
		r.wants("PagerDuty", "")
		r.wants("lead", "trigger A")
		r.says(r.wants("Slack", "reply")[0], "nobody has acknowledged it")
		r.pass(46 * time.Minute)
		r.says(r.wants("Slack", "broadcast")[0], "Still open")
		if err := r.dispatch.Acknowledge(context.Background(), r.incidents()[0].ID, "ana", ""); err != nil {
			r.t.Fatal(err)
		}
		r.pass(2 * time.Hour)
		r.wants("Slack", "reply, edit")
		r.wants("PagerDuty", "acknowledge A")
		r.wants("lead", "acknowledge A")
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A")
		r.wants("lead", "resolve A")
		r.pass(time.Hour)
		r.quiet()
		r.failed("txn_2")
		r.pass(time.Minute)
		if err := r.dispatch.Acknowledge(context.Background(), r.incidents()[1].ID, "ana", ""); err != nil {
			r.t.Fatal(err)
		}
		r.pass(time.Hour)
		r.wants("PagerDuty", "trigger B, acknowledge B")
		r.wants("lead", "")
	})
}

func TestRouting20_RemindersFollowASeverityThatFellAndRoseAgain(t *testing.T) {
	rehearse(t, `
defaults:
  notify: [ops]
  repeat: {critical: 1h, error: 4h, warning: 24h, info: never}
rules:
  - {name: asn, match: {transaction.document_type: "856"}, severity: critical, notify: [pager, ops]}
  - {name: other, match: {transaction.document_type: "846"}, severity: info, notify: [pager, ops]}
`, func(r *rehearsal) {
		r.failed("txn_1", "transaction.document_type", "846")
		r.wants("PagerDuty", "trigger A")
		r.wants("Slack", "post")
		r.failed("txn_2")
		r.wants("PagerDuty", "trigger A#2")
		r.wants("Slack", "broadcast, edit")
		r.delivered("txn_2")
		r.wants("PagerDuty", "") // rule 18: Slack shows the fall, PagerDuty is not told
		r.says(r.wants("Slack", "edit")[0], "INFO")
		r.pass(50 * time.Minute)
		r.failed("txn_3", "transaction.document_type", "846")
		r.pass(20 * time.Minute)
		r.says(r.wants("Slack", "edit")[0], "INFO") // the hour of critical has gone by: info never reminds
		r.failed("txn_4")                           // critical, as both were told before
		r.wants("PagerDuty", "")
		r.says(r.wants("Slack", "edit")[0], "CRITICAL")
		r.pass(time.Hour)
		r.says(r.wants("Slack", "broadcast")[0], "Still open")
	})
}

func TestRouting21_ReopensWithTheSameKeyUntilItFlaps(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.delivered("txn_1")
		r.wants("PagerDuty", "trigger A, resolve A")
		r.wants("Slack", "post, reply, edit")
		for range 2 {
			r.pass(10 * time.Minute)
			r.wantOutcome(r.failed("txn_1"), incident.Reopened)
			r.wants("PagerDuty", "trigger A")
			calls := r.wants("Slack", "broadcast, edit")
			r.says(calls[0], "It is back")
			r.says(calls[1], "ERROR", "not delivered")
			r.delivered("txn_1")
			r.wants("PagerDuty", "resolve A")
			r.wants("Slack", "reply, edit")
		}
		r.pass(10 * time.Minute)
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.says(r.wants("Slack", "broadcast, edit")[0], "Flapping")
		for range 3 {
			r.delivered("txn_1")
			r.failed("txn_1")
		}
		r.wants("PagerDuty", "")
		r.pass(time.Hour)
		r.wants("PagerDuty", "")
		calls := r.news("Slack")
		r.says(calls[len(calls)-1], "6 changes in the last hour")
		r.delivered("txn_1")
		r.wants("PagerDuty", "")
		r.pass(31 * time.Minute)
		r.wants("PagerDuty", "resolve A")
	})
}

func TestRouting21_AReopeningBeginsWithTheFirstAlertAgain(t *testing.T) {
	rehearse(t, strings.Replace(paged, "repeat: never", "repeat: never\n  severity: [{match: {type: sla.violated}, severity: critical}, {match: {}, severity: error}]", 1), func(r *rehearsal) {
		worse := func() { r.send("sla.violated", "transaction.id", "txn_1", "partner.id", "par_1") }
		r.failed("txn_1")
		worse()
		r.delivered("txn_1")
		r.wants("PagerDuty", "trigger A, trigger A#2, resolve A, resolve A#2")
		r.pass(time.Minute)
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 429, RetryAfter: "60"} })
		r.failed("txn_9", "partner.id", "par_9") // meets the pause, so that the next alarm is never tried
		worse()
		r.delivered("txn_1")
		r.pager.SetFaults(nil)
		r.pass(time.Minute)
		r.wants("PagerDuty", "trigger B, resolve A")
		r.failed("txn_1")
		worse()
		r.wants("PagerDuty", "trigger A, trigger A#2")
		r.delivered("txn_1")
		r.news("PagerDuty")
		for _, a := range r.pager.Alerts() {
			if a.State != standin.Resolved && !strings.Contains(string(a.Payload), "txn_9") {
				t.Errorf("alert %s is %s", a.DedupKey, a.State)
			}
		}
	})
}

func TestRouting21_AHeldResolveIsTakenBackWithoutAWord(t *testing.T) {
	rehearse(t, strings.Replace(paged, "repeat: never", "repeat: never\n  group: {resolve_wait: 5m}", 1), func(r *rehearsal) {
		r.failed("txn_1")
		r.delivered("txn_1")
		r.pass(4 * time.Minute)
		r.failed("txn_1")
		r.pass(time.Hour)
		r.wants("PagerDuty", "trigger A")
		r.delivered("txn_1")
		r.pass(5 * time.Minute)
		r.wants("PagerDuty", "resolve A")
	})
}

func TestRouting22_EndsAreToldToWhoeverWasToldAlsoWhenRetiredButNotForgotten(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.wants("Slack", "post")
		r.load(`
notifiers:
  - {name: other, slack: {token: xoxb-test, channel: C2}}
defaults: {notify: [other]}
`)
		err := checkTellings(context.Background(), r.store, r.cfg)
		for _, words := range []string{`"ops"`, `"pager"`, r.incidents()[0].ID, "retired: true"} {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("forgetting notifiers gave %v, want %s in it", err, words)
			}
		}
		r.end()
		r.begin(`
notifiers:
  - {name: ops, slack: {token: xoxb-test, channel: C1}, retired: true}
  - {name: pager, pagerduty: {routing_key: "0123456789abcdef0123456789abcdef"}, retired: true}
  - {name: other, slack: {token: xoxb-test, channel: C2}}
defaults: {notify: [other]}
`)
		r.failed("txn_2")
		r.wants("Slack", "post") // to the other
		r.wants("PagerDuty", "")
		r.delivered("txn_1")
		r.delivered("txn_2")
		r.wants("PagerDuty", "resolve A")
		r.news("Slack")
		for _, m := range r.slack.Messages("C1") {
			if m.Thread == "" && !strings.Contains(m.Text, "RESOLVED") {
				t.Errorf("the retired notifier's message still says %q", m.Text)
			}
		}
	})
}

func TestRouting26_ASandboxAndAnUnsignedEventReachNoPager(t *testing.T) {
	rehearse(t, andLead+`
defaults: {notify: [ops], repeat: never}
rules:
  - name: page
    match: {}
    notify: [pager, lead]
    escalate: [{after: 5m, notify: [ops]}]
`, func(r *rehearsal) {
		inProduction := r.failed("txn_1")
		r.wants("PagerDuty", "trigger A")
		r.wants("lead", "trigger A")
		r.wants("Slack", "")
		for _, send := range []func() string{
			func() string { return r.failed("txn_1", "/environment", "sandbox") },
			func() string { r.source = "trial"; return r.failed("txn_2", "partner.id", "par_2") },
			func() string {
				r.source = "datasync"
				r.unsigned = true
				return r.failed("txn_3", "partner.id", "par_3")
			},
		} {
			d := r.wantOutcome(send(), incident.Opened)
			if len(d.Notifiers) != 1 || d.Notifiers[0].Instead != "pager" || d.Incident == r.decision(inProduction).Incident {
				t.Errorf("decision %+v, want ops instead of the pager, explained, in an incident of its own", d.Notifiers)
			}
			r.wants("Slack", "post")
		}
		r.pass(4 * time.Minute)
		r.wants("PagerDuty", "")
		r.wants("lead", "")
	})
}

func TestRouting22_AnEndGoesThroughTheKeyThatItsAlarmWentThrough(t *testing.T) {
	severities := "defaults:\n  severity: [{match: {type: sla.violated}, severity: critical}, {match: {}, severity: error}]"
	with := func(key string) string {
		return `
notifiers:
  - {name: ops, slack: {token: xoxb-test, channel: C1}}
  - {name: pager, pagerduty: {routing_key: "` + key + `"}}
` + strings.Replace(paged, "defaults:", severities, 1)
	}
	const right, other, wrong = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	rehearse(t, with(wrong), func(r *rehearsal) {
		r.failed("txn_1") // refused: nobody knows this key
		r.end()
		r.begin(with(right))
		dead, err := r.store.Deliveries(context.Background(), incident.Filter{State: string(incident.Dead)})
		if err != nil || len(dead) != 1 {
			r.t.Fatalf("dead: %+v (%v)", dead, err)
		}
		if err := r.dispatch.RetryDelivery(context.Background(), dead[0].ID, "ana"); err != nil {
			r.t.Fatal(err)
		}
		r.pass(time.Second)
		r.news("PagerDuty")
		r.end()
		r.begin(with(other))
		r.send("sla.violated", "transaction.id", "txn_1", "partner.id", "par_1")
		r.wants("lead", "trigger A#2")
		r.delivered("txn_1")
		r.wants("lead", "resolve A#2") // PagerDuty would drop the end of the first one in silence
		r.wants("PagerDuty", "")
		dead, err = r.store.Deliveries(context.Background(), incident.Filter{State: string(incident.Dead)})
		if err != nil || len(dead) != 1 || !strings.Contains(dead[0].Error, "do it there by hand") {
			t.Errorf("dead: %+v (%v), want the end of the first alert, said aloud", dead, err)
		}
		r.end()
		r.begin(with(right))
		if err := r.dispatch.RetryDelivery(context.Background(), dead[0].ID, "ana"); err != nil {
			r.t.Fatal(err)
		}
		r.pass(time.Second)
		r.wants("PagerDuty", "resolve A")
	})
}
