package routing

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func written(t *testing.T, trace Trace) string {
	t.Helper()
	var b bytes.Buffer
	if err := trace.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRouting8_TheTraceExplainsEveryRuleAndKey(t *testing.T) {
	tab := table(t, config(
		Rule{Name: "page-tenders-and-goods", Match: Match{
			"type": []any{"transaction.failed", "sla.*"}, event.DocumentType: []any{"204", "990", "856", "DESADV", "940", "945", "943"},
		}, Severity: event.Critical, Notify: []string{"pager", "slack"},
			Escalate: []Escalate{{After: 15 * time.Minute, Notify: []string{"lead"}}}},
		Rule{Name: "small-invoices", Match: Match{event.DocumentType: "810"},
			When: `transaction.amount < 10000`, Notify: []string{"archive"}},
		Rule{Name: "missing-field", Match: Match{event.DocumentType: "856"}, When: "attempt.max > 3", Notify: []string{"archive"}},
		Rule{Name: "payload", Match: Match{"data.level": "3", "error.code": "X", event.Amount: map[string]any{"gte": "100", "lt": "200"}}},
		Rule{Name: "the-end", Match: Match{event.PartnerID: "par_*"}, Stop: true},
		Rule{Name: "late", Match: Match{"type": "mdn.timeout"}, Notify: []string{"archive"}},
	))
	ev := failure(withData(t, `{"level": 3}`))
	trace := tab.Trace(ev)
	golden(t, "trace.txt", written(t, trace))
	if len(trace.Rules) != 6 || trace.Rules[5].Skipped == "" || !trace.Rules[0].Matched {
		t.Errorf("%+v", trace.Rules)
	}
}

func TestRouting8_TheFirstLineOfATraceIsTheVerdict(t *testing.T) {
	drop := Rule{Name: "test-partner", Match: Match{event.PartnerID: "par_test"}, Drop: true, Why: "tests"}
	pager := Rule{Name: "pages", Match: Match{"type": "transaction.failed"}, Notify: []string{"pager"}}
	for _, tt := range []struct {
		name string
		ev   event.Event
		want string
	}{
		{"opening", failure(), "OPENS or joins an incident, error: tells pager"},
		{"sandbox", failure(func(ev *event.Event) { ev.Environment = event.Sandbox }), "OPENS or joins an incident, error: tells slack"},
		{"dropped", failure(with(event.PartnerID, "par_test")), `DROPPED by rule "test-partner": nobody is told of this transaction.failed`},
		{"settle", failure(typed("transaction.delivered", event.Settle, event.UnknownClass)), "SETTLES: transaction.delivered ends what is open; no rule is asked"},
		{"none", failure(typed("webhook.test", event.None, event.UnknownClass)), "NOTHING: webhook.test tells nobody now"},
		{"note", failure(typed("new.thing", event.Note, event.UnknownClass)), "NOTED, error: tells slack"},
		{"quarantine", failure(typed("", "", event.QuarantineClass), func(ev *event.Event) { ev.Quarantine = "no type" }), "NOTED, error: tells slack"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, _ := strings.Cut(written(t, table(t, config(drop, pager)).Trace(tt.ev)), "\n")
			if got != tt.want {
				t.Errorf("verdict %q, want %q", got, tt.want)
			}
		})
	}
}

func TestATraceCannotSteerATerminal(t *testing.T) {
	ev := failure(typed("new\x1b[2Jthing", event.Note, event.UnknownClass), with(event.PartnerID, "a\u202eb\r\n"))
	out := written(t, table(t, config(Rule{Match: Match{event.PartnerID: "x"}})).Trace(ev))
	if strings.ContainsAny(out, "\x1b\r\u202e") {
		t.Errorf("%q", out)
	}
}

func TestRouting8_DecideIsPure(t *testing.T) {
	tab := table(t, config(
		Rule{Match: Match{"type": "transaction.*"}, When: `any(data.tags, # == "a")`, Notify: []string{"pager", "slack"}},
		Rule{Match: Match{"data.n": map[string]any{"gte": "1"}}, Severity: event.Critical, Group: Group{By: []string{"data.n"}}},
	))
	ev := failure(withData(t, body))
	before := asJSON(t, ev)
	first := asJSON(t, tab.Decide(ev))
	for range 20 {
		if again := asJSON(t, tab.Decide(ev)); again != first {
			t.Fatalf("%s\nthen\n%s", first, again)
		}
	}
	if after := asJSON(t, ev); after != before {
		t.Errorf("the event was changed:\n%s\n%s", before, after)
	}
}

func TestADecisionDoesNotShareMemoryWithItsTable(t *testing.T) {
	tab := table(t, config(Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"slack"}, Group: Group{By: []string{"class"}},
		Escalate: []Escalate{{After: time.Minute, Notify: []string{"pager"}}}}))
	d := tab.Decide(failure())
	want := asJSON(t, d)
	d.GroupBy[0], d.Escalate[0].Notify[0], d.Notifiers[0].By[0] = "spoiled", "spoiled", "spoiled"
	if got := asJSON(t, tab.Decide(failure())); got != want {
		t.Errorf("%s\nbecame\n%s", want, got)
	}
}
