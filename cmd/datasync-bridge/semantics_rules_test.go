package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/dispatch"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/routing/incident"
)

func TestRouting1To3_EveryRuleThatMatchesCountsAndNothingIsSilentlyDropped(t *testing.T) {
	rehearse(t, `
defaults: {notify: [ops], repeat: never}
rules:
  - {name: watch, match: {error.category: storage}, copy: true, notify: [pager]}
  - {name: noise, match: {transaction.document_type: "846"}, drop: true, why: sent again tomorrow}
  - {name: asn, match: {transaction.document_type: "856"}, severity: critical, notify: [pager], group: {by: [partner.id]}, stop: true}
  - {name: late, match: {}, severity: warning, notify: [pager]}
`, func(r *rehearsal) {
		r.failed("txn_1", "transaction.document_type", "846")
		if d := r.wantOutcome(r.failed("txn_2", "transaction.document_type", "846"), incident.DroppedBy); d.DroppedBy != "noise" {
			t.Errorf("dropped by %q", d.DroppedBy)
		}
		r.wants("Slack", "")
		r.wants("PagerDuty", "")
		d := r.wantOutcome(r.failed("txn_3"), incident.Opened)
		if len(d.Rules) != 1 || d.Severity.String() != "critical" || !slices.Equal(d.GroupBy, []string{"partner.id"}) || d.Config != r.cfg.Hash {
			t.Errorf("decision %+v, want rule asn alone, critical, by partner, under %s", d, r.cfg.Hash)
		}
		r.wants("Slack", "")
		r.wants("PagerDuty", "trigger A")
		d = r.wantOutcome(r.failed("txn_4", "partner.id", "par_4", "transaction.document_type", "810", "error.category", "storage"), incident.Opened)
		if names := incidentNames(d); names != "pager by watch, late" || d.Severity.String() != "warning" {
			t.Errorf("told %q as %s", names, d.Severity)
		}
	})
	rehearse(t, `
defaults: {notify: [ops], repeat: never}
rules:
  - {name: watch, match: {error.category: storage}, copy: true, notify: [pager]}
  - {name: shape, match: {}, severity: warning}
`, func(r *rehearsal) {
		d := r.wantOutcome(r.failed("txn_1", "error.category", "storage"), incident.Opened)
		if names := incidentNames(d); names != "pager by watch; ops by defaults" || d.Severity.String() != "warning" {
			t.Errorf("told %q as %s, want the defaults beside a copy and a rule without notify", names, d.Severity)
		}
		r.wants("Slack", "post")
		r.wants("PagerDuty", "trigger A")
	})
}

func incidentNames(d incident.Decision) string {
	names := make([]string, 0, len(d.Notifiers))
	for _, n := range d.Notifiers {
		names = append(names, n.Notifier+" by "+strings.Join(n.By, ", "))
	}
	return strings.Join(names, "; ")
}

func TestRouting4_AConditionThatFailsAlsoTellsTheDefaults(t *testing.T) {
	rehearse(t, `
defaults: {notify: [ops]}
rules:
  - {name: page, match: {}, notify: [pager]}
  - {name: odd, match: {}, when: "data.count / data.of > 1", notify: [pager]}
`, func(r *rehearsal) {
		d := r.wantOutcome(r.failed("txn_1", "count", "many", "of", 2), incident.Opened)
		if len(d.Errors) != 1 || !strings.Contains(d.Errors[0], "odd") || incidentNames(d) != "pager by page; ops by defaults" {
			t.Errorf("errors %q, told %q", d.Errors, incidentNames(d))
		}
		r.wants("PagerDuty", "trigger A")
		r.wants("Slack", "post")
		page := httptest.NewRecorder()
		r.metrics.handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if counted := "\nbridge_rule_conditions_failed_total 1\n"; !strings.Contains(page.Body.String(), counted) {
			t.Errorf("the metrics lack %q", counted)
		}
	})
}

// repairs asks for a run whose parameter only some events have.
const repairs = `
defaults: {notify: [ops], repeat: never}
rules:
  - {name: statuses, match: {transaction.document_type: ["214", "990"]}, notify: [pager, ops], remediate: resend}
remediations:
  - {name: resend, workflow: resend_status, params: {id: "{{ .transaction.id }}", reason: "{{ .data.reason }}"}}
`

func TestRouting30_ATemplateThatFailsEatsNoAlertAndAWrongOneIsNotLoaded(t *testing.T) {
	rehearse(t, repairs, func(r *rehearsal) {
		r.failed("txn_1", "transaction.document_type", "214", "transaction.direction", "outbound", "attempt.final", true)
		r.wants("PagerDuty", "trigger A")
		r.says(r.wants("Slack", "post")[0], "resend_status", "refused", "reason")
		for _, wrong := range []string{"{{ range 9 }}x{{ end }}", "{{ printf `%9999d` 1 }}", "{{ .transaction.idd }}", "{{ .transaction.id"} {
			file := filepath.Join(r.dir, "wrong.yaml")
			text := rehearsedSources + opsAndPager + strings.Replace(repairs, "{{ .data.reason }}", wrong, 1)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				r.t.Fatal(err)
			}
			if _, err := config.Load(file, config.Options{}); err == nil || !strings.Contains(err.Error(), "params.reason") {
				t.Errorf("%s: %v, want a fault at params.reason", wrong, err)
			}
		}
	})
}

func TestRouting33And35_ADryRunIsANoteAndWhatOurRunsCauseStartsNone(t *testing.T) {
	rehearse(t, repairs, func(r *rehearsal) {
		fields := []any{"transaction.document_type", "214", "transaction.direction", "outbound", "attempt.final", true, "reason", "late"}
		r.failed("txn_1", fields...)
		r.wants("PagerDuty", "trigger A")
		r.says(r.wants("Slack", "post")[0], "resend_status would have been run (dry run)")
		runs := func() []incident.Run {
			all, err := r.store.Runs(context.Background(), incident.Filter{})
			if err != nil {
				r.t.Fatal(err)
			}
			return all
		}
		if all := runs(); len(all) != 1 || all[0].State != incident.RunDry || all[0].Params["reason"] != "late" || all[0].Key != "" {
			t.Fatalf("runs %+v, want one dry run without a key", all)
		}
		r.send("automation.failed", append(fields, "transaction.id", "txn_2", "partner.id", "par_1", "automation.run_id", "run_1")...)
		r.wants("PagerDuty", "trigger B")
		if all := runs(); slices.ContainsFunc(all, func(run incident.Run) bool { return run.State != incident.RunDry && run.State != incident.RunRefused }) || len(all) > 2 {
			t.Errorf("runs %+v: an automation's failure started one", all)
		}
	})
}

func TestRouting32_EachChannelHasItsOwnBucket(t *testing.T) {
	one := &slack.Config{Token: "xoxb-test", Channel: "C1"}
	all := newCrew(nil, nil).senders(&config.Config{Notifiers: []config.Notifier{
		{Name: "a", Slack: one}, {Name: "b", Slack: one}, {Name: "c", Slack: &slack.Config{Token: "xoxb-test", Channel: "C2"}},
		{Name: "d", Slack: &slack.Config{WebhookURL: "https://hooks.slack.com/services/T/B/x"}},
		{Name: "e", Slack: &slack.Config{WebhookURL: "https://hooks.slack.com/services/T/B/y"}},
	}})
	for i, a := range all {
		if a.Limiter.Limit() != 1 || a.Limiter.Burst() != 10 {
			t.Errorf("%s: %v a second, %d at once; want 1 and 10", a.Name, a.Limiter.Limit(), a.Limiter.Burst())
		}
		shared := slices.IndexFunc(all[:i], func(b dispatch.Sender) bool { return b.Limiter == a.Limiter })
		if (shared >= 0) != (a.Name == "b") {
			t.Errorf("%s shares a bucket: %v", a.Name, shared >= 0)
		}
	}
}

func TestRouting31_NothingFromOutsideReachesAMediumAsMarkup(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		forged := "<!channel> <https://evil.example|login> *x* & \u202e\x07"
		r.failed("txn_1", "partner.name", forged, "error.message", forged, "links.transaction", "https://evil.example/x")
		r.pass(time.Second)
		for _, m := range r.slack.Messages("C1") {
			for _, words := range []string{"<!channel>", "<https://evil", "\u202e", `\u003c!channel`, `\u202e`} {
				if strings.Contains(m.Text+string(m.Blocks), words) {
					t.Errorf("Slack was told %s", words)
				}
			}
		}
		if a := r.pager.Alerts(); len(a) != 1 || strings.Contains(string(a[0].Payload), "\u202e") || string(a[0].Links) != "" && string(a[0].Links) != "null" {
			t.Errorf("PagerDuty was told %+v", a)
		}
	})
}
