package routing

import (
	"encoding/json"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// operations are rules as an operator would write them.
func operations() Config {
	return Config{
		Defaults: Defaults{
			Notify: []string{"slack"},
			Severity: []SeverityRule{
				{Match: Match{"type": "sla.violated"}, Severity: event.Critical},
				{Match: Match{"type": []any{"mdn.timeout", "acknowledgment.overdue"}}, Severity: event.Warning},
				{Match: Match{"type": "partner.certificate_expiring"}, Severity: event.Info},
				{Match: Match{}, Severity: event.Error},
			},
		},
		Rules: []Rule{
			{Name: "page-tenders-and-goods", Match: Match{
				"type":             []any{"transaction.failed", "transaction.rejected", "mdn.failed", "mdn.timeout", "sla.*"},
				event.DocumentType: []any{"204", "990", "856", "DESADV", "940", "945"},
			}, Severity: event.Critical, Notify: []string{"pager", "slack"},
				Escalate: []Escalate{{After: 15 * time.Minute, Unless: "acknowledged", Notify: []string{"lead"}}}},
			{Name: "invoice-receipts", Match: Match{"type": "mdn.timeout", event.DocumentType: []any{"810", "INVOIC"}},
				Notify: []string{"slack"}, Group: Group{Wait: new(15 * time.Minute)}},
			{Name: "small-invoices", Match: Match{"type": "transaction.failed", event.DocumentType: "810"},
				When: `transaction.amount < 10000 && transaction.currency == "USD"`, Notify: []string{"archive"}},
			{Name: "missing-acks", Match: Match{"type": "acknowledgment.overdue", event.DocumentType: []any{"214", "846"}},
				Remediate: "resend-status"},
		},
	}
}

func TestAnOperationsRulesDecideAsTheyRead(t *testing.T) {
	tab := table(t, operations())
	for _, tt := range []struct {
		name     string
		ev       event.Event
		told     string
		severity event.Severity
		check    func(incident.Decision) bool
	}{
		{"a failed ship notice pages", failure(), "pager slack", event.Critical,
			func(d incident.Decision) bool { return len(d.Escalate) == 1 }},
		{"a missed deadline of a tender pages", failure(typed("sla.violated", event.Open, event.SLA), with(event.DocumentType, "204")),
			"pager slack", event.Critical, nil},
		{"a late invoice receipt waits", failure(typed("mdn.timeout", event.Open, event.MDNTimeout), with(event.DocumentType, "810")),
			"slack", event.Warning, func(d incident.Decision) bool { return d.Group.Wait == 15*time.Minute }},
		{"a large invoice is nobody's special case", failure(with(event.DocumentType, "810")), "slack", event.Error, nil},
		{"a small invoice is archived", failure(with(event.DocumentType, "810"), with(event.Amount, 40.0)), "archive", event.Error, nil},
		{"an invoice without an amount goes to the defaults, with the reason",
			failure(with(event.DocumentType, "810"), without(event.Amount)), "slack", event.Error,
			func(d incident.Decision) bool { return len(d.Errors) == 1 }},
		{"a missing acknowledgment is repaired and told", failure(typed("acknowledgment.overdue", event.Open, event.AckOverdue), with(event.DocumentType, "214")),
			"slack", event.Warning, func(d incident.Decision) bool { return len(d.Remediate) == 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := decideBy(t, tab, tt.ev)
			wantTold(t, d, tt.told)
			if d.Severity != tt.severity {
				t.Errorf("severity %s, want %s", d.Severity, tt.severity)
			}
			if tt.check != nil && !tt.check(d) {
				t.Errorf("%s", asJSON(t, d))
			}
		})
	}
}

func TestTheIndexAsksOnlyRulesThatCouldMatch(t *testing.T) {
	for _, n := range []int{10, 1_000, 10_000} {
		tab, ev := table(t, config(manyRules(n)...)), failure()
		e := evaluation{table: tab, ev: &ev, values: tab.values(nil)}
		asked := tab.ruleIndex.candidates(&e, nil)
		if most := 2 * max(1, n/1000); len(asked) > most {
			t.Errorf("of %d rules %d are asked, want at most %d", n, len(asked), most)
		}
	}
}

func TestMatchingFewRulesAllocatesNothing(t *testing.T) {
	tab, ev := table(t, config(manyRules(1_000)...)), failure()
	n := testing.AllocsPerRun(100, func() {
		var values [fewPaths]resolved
		var room [fewRules]*rule
		e := evaluation{table: tab, ev: &ev, values: tab.values(values[:])}
		if matched, _ := e.rules(room[:0]); len(matched) != 1 {
			t.Fatalf("%d rules matched", len(matched))
		}
	})
	if n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}

func TestAListInThePayloadIsNotCopied(t *testing.T) {
	many := make([]any, 100_000)
	for i := range many {
		many[i] = json.Number("7")
	}
	ev := failure()
	ev.Data = map[string]any{"list": many}
	tab := table(t, config(Rule{Match: Match{"data.list": []any{"x", json.Number("8")}}}))
	if n := testing.AllocsPerRun(5, func() { tab.Decide(ev) }); n > 100 {
		t.Errorf("%.0f allocations for a list of %d", n, len(many))
	}
}
