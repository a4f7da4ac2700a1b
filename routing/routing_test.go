package routing

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

var received = time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC)

// names is what the rules in these tests may refer to.
func names() Names {
	return Names{
		Notifiers: map[string]incident.Notifier{
			"slack":   {Name: "slack", Edits: true},
			"archive": {Name: "archive"},
			"pager":   {Name: "pager", Pager: true, FallbackTo: "slack", FallbackAfter: 3 * time.Minute},
			"lead":    {Name: "lead", Pager: true},
			"chain":   {Name: "chain", Pager: true, FallbackTo: "lead"},
			"old":     {Name: "old", Retired: true},
		},
		Remediations: map[string]bool{"resend-status": true, "regenerate-mdn": true},
		Aliases:      map[string]string{"sla.missed": "sla.violated", "acknowledgment.rejected": "transaction.rejected"},
		Types: []string{
			"transaction.failed", "transaction.retrying", "transaction.delivered", "transaction.rejected",
			"mdn.timeout", "mdn.failed", "mdn.received", "sla.warning", "sla.violated", "automation.failed",
		},
		Hash: "hash-1",
	}
}

func config(rules ...Rule) Config {
	for i := range rules {
		if rules[i].Name == "" {
			rules[i].Name = string(rune('a' + i))
		}
		rules[i].Line = 10 * (i + 1)
	}
	return Config{Defaults: Defaults{Notify: []string{"slack"}}, Rules: rules}
}

func table(t testing.TB, cfg Config) *Table {
	t.Helper()
	tab, problems := Compile(cfg, names())
	for _, p := range problems {
		if !p.Warning {
			t.Errorf("Compile: %s: %s (%d:%d)", p.Path, p.Text, p.Line, p.Col)
		}
	}
	if tab == nil {
		t.Fatal("no table")
	}
	return tab
}

// decide compiles the rules and decides; it checks that Trace decides alike.
func decide(t testing.TB, ev event.Event, rules ...Rule) incident.Decision {
	t.Helper()
	return decideBy(t, table(t, config(rules...)), ev)
}

func decideBy(t testing.TB, tab *Table, ev event.Event) incident.Decision {
	t.Helper()
	d := tab.Decide(ev)
	if traced := tab.Trace(ev).Decision; asJSON(t, traced) != asJSON(t, d) {
		t.Errorf("Trace decided otherwise than Decide:\n%s\n%s", asJSON(t, traced), asJSON(t, d))
	}
	return d
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// failure is a failed 856 of a partner; edits change it.
func failure(edits ...func(*event.Event)) event.Event {
	ev := event.Event{
		ID: "ev_1", Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook,
		Authentic: true, Type: "transaction.failed", SentType: "transaction.failed", Known: true,
		Effect: event.Open, Class: event.Connectivity, OccurredAt: received, ReceivedAt: received,
		Fields: map[string]any{
			event.TransactionID: "txn_1", event.DocumentType: "856", event.PartnerID: "par_7h2k9",
			event.Amount: 12500.0, event.Currency: "USD", event.AttemptFinal: true, event.AttemptNumber: 3.0,
			"acknowledgment.codes": []string{"R", "E5"}, event.SLADue: received.Add(time.Hour),
			event.ReferencePrefix + "bol": "BOL-1",
		},
	}
	for _, edit := range edits {
		edit(&ev)
	}
	return ev
}

func with(path string, v any) func(*event.Event) {
	return func(ev *event.Event) { ev.Fields[path] = v }
}

func without(paths ...string) func(*event.Event) {
	return func(ev *event.Event) {
		for _, p := range paths {
			delete(ev.Fields, p)
		}
	}
}

func withData(t testing.TB, body string) func(*event.Event) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var data map[string]any
	if err := dec.Decode(&data); err != nil {
		t.Fatal(err)
	}
	return func(ev *event.Event) { ev.Data = data }
}

func typed(name string, effect event.Effect, class event.Class) func(*event.Event) {
	return func(ev *event.Event) { ev.Type, ev.SentType, ev.Effect, ev.Class = name, name, effect, class }
}

func told(d incident.Decision) string {
	list := make([]string, len(d.Notifiers))
	for i, r := range d.Notifiers {
		list[i] = r.Notifier
	}
	return strings.Join(list, " ")
}

func matched(d incident.Decision) string {
	list := make([]string, len(d.Rules))
	for i, r := range d.Rules {
		list[i] = r.Name
	}
	return strings.Join(list, " ")
}

func wantTold(t testing.TB, d incident.Decision, want string) {
	t.Helper()
	if got := told(d); got != want {
		t.Errorf("told %q, want %q; matched %q, reasons %q, errors %q", got, want, matched(d), d.Reasons, d.Errors)
	}
}

func wantMatched(t testing.TB, d incident.Decision, want string) {
	t.Helper()
	if got := matched(d); got != want {
		t.Errorf("matched rules %q, want %q", got, want)
	}
}

func wantReason(t testing.TB, d incident.Decision, part string) {
	t.Helper()
	if !strings.Contains(strings.Join(d.Reasons, "\n"), part) {
		t.Errorf("reasons %q lack %q", d.Reasons, part)
	}
}

// problemAt finds a problem by path, and fails where none holds the text.
func wantProblem(t testing.TB, problems []Problem, path, part string) Problem {
	t.Helper()
	i := slices.IndexFunc(problems, func(p Problem) bool { return p.Path == path && strings.Contains(p.Text, part) })
	if i < 0 {
		t.Errorf("no problem at %q with %q; got %+v", path, part, problems)
		return Problem{}
	}
	return problems[i]
}

func problemsOf(cfg Config) []Problem {
	_, problems := Compile(cfg, names())
	return problems
}
