package remediation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

var auto = remediation.Options{Configured: true, CanRead: true, ConfigHash: "hash 1"}

func contains(text, part string) bool { return strings.Contains(text, part) }

// entry is a remediation in a mode.
func entry(mode string) remediation.Config {
	return remediation.Config{
		Name: "resend-status", Workflow: "resend_status", Mode: mode,
		Params: map[string]any{"transaction_id": "{{ .transaction.id }}"},
	}
}

func compile(t *testing.T, o remediation.Options, cfgs ...remediation.Config) *remediation.Guard {
	t.Helper()
	g, problems := remediation.Compile(cfgs, o)
	if len(problems) > 0 {
		t.Fatalf("problems: %+v", problems)
	}
	return g
}

// failure is an event that may start a run; each change makes it one that may not.
func failure(change ...func(*event.Event)) event.Event {
	ev := event.Event{
		ID: "ev_1", Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
		Type: "transaction.failed", Known: true, Effect: event.Open, Class: event.Connectivity,
		Fields: map[string]any{
			event.TransactionID: "txn_1", event.DocumentType: "214", event.Direction: "outbound",
			event.PartnerID: "par_1", event.AttemptFinal: true,
		},
	}
	for _, c := range change {
		c(&ev)
	}
	return ev
}

func field(path string, v any) func(*event.Event) {
	return func(ev *event.Event) {
		if v == nil {
			delete(ev.Fields, path)
			return
		}
		ev.Fields[path] = v
	}
}

var failureTime = time.Date(2026, 3, 10, 11, 0, 0, 0, time.UTC)

var named = incident.Decision{Remediate: []string{"resend-status"}}

func TestModesOfAnEventThatMayRun(t *testing.T) {
	for mode, want := range map[string]incident.RunState{
		"": incident.RunDry, remediation.ModeDryRun: incident.RunDry, remediation.ModeAuto: incident.RunQueued, remediation.ModeOff: "",
	} {
		runs := compile(t, auto, entry(mode)).Propose(failure(), named)
		if want == "" {
			if len(runs) != 0 {
				t.Errorf("mode off proposed %+v", runs)
			}
			continue
		}
		if len(runs) != 1 || runs[0].State != want {
			t.Errorf("mode %q: %+v, want one run that is %q", mode, runs, want)
		}
	}
}

func TestQueuedRunHoldsAllThatTheCallNeeds(t *testing.T) {
	c := entry(remediation.ModeAuto)
	c.Params = map[string]any{
		"transaction_id": "{{ .transaction.id }}", "note": "{{ upper .partner.id }} {{ .data.reason }}",
		"times": json.Number("3"), "force": true, "nothing": nil,
		"deep": map[string]any{"list": []any{"{{ .id }}", 1.5}}, "amount": "{{ .transaction.amount }}",
		"empty": "", "bol": "{{ .transaction.references.bol }}",
	}
	c.Limit.PerTransaction = "2/24h"
	c.Hold = 5 * time.Minute
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	d := named
	d.Incident = "in_1"
	got := compile(t, auto, c).Propose(failure(
		field(event.Amount, 1234567.5), field(event.ReferencePrefix+"bol", "B1"), field(event.ReferencePrefix+"bol.no", "B2"),
		field(event.Currency, "USD"), field("transaction.occurred_at", at.Add(-time.Hour)),
		func(ev *event.Event) { ev.Data, ev.OccurredAt = map[string]any{"reason": "line down"}, at },
	), d)
	want := []incident.Run{{
		Remediation: "resend-status", Workflow: "resend_status", Incident: "in_1", Event: "ev_1",
		Environment: event.Production, Transaction: "txn_1", Partner: "par_1", State: incident.RunQueued,
		Class: event.Connectivity, Mode: remediation.ModeAuto, Does: remediation.Resend, Config: "hash 1", Hold: 5 * time.Minute,
		Facts: incident.Facts{
			Partner: "par_1", Document: "214", Direction: "outbound", Amount: "1234567.5", Currency: "USD", OccurredAt: at.Add(-time.Hour),
		},
		Params: map[string]any{
			"transaction_id": "txn_1", "note": "PAR_1 line down", "times": json.Number("3"), "force": true, "nothing": nil,
			"deep": map[string]any{"list": []any{"ev_1", 1.5}}, "amount": "1234567.5",
			"empty": "", "bol": "B1",
		},
		Limits: incident.Limits{
			PerTransaction: incident.Rate{Count: 2, Per: 24 * 3600e9}, PerPartner: incident.Rate{Count: 5, Per: 3600e9},
			Overall: incident.Rate{Count: 20, Per: 3600e9}, Cooldown: remediation.DefaultCooldown,
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every safety rule that looks at the event, each broken alone.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*event.Event)
		why    string
	}{
		{"not authentic", func(ev *event.Event) { ev.Authentic = false }, "signature"},
		{"sandbox", func(ev *event.Event) { ev.Environment = event.Sandbox }, "production"},
		{"no environment", func(ev *event.Event) { ev.Environment = "" }, "production"},
		{"replayed", func(ev *event.Event) { ev.Origin = event.OriginReplay }, "replay"},
		{"conflict", func(ev *event.Event) { ev.Conflict = true }, "other content"},
		{"quarantined", func(ev *event.Event) { ev.Quarantine = "no JSON" }, "read"},
		{"unknown type", func(ev *event.Event) { ev.Known = false }, "mapping"},
		{"more attempts to come", field(event.AttemptFinal, false), "retrying"},
		{"a retry mapped as opening", func(ev *event.Event) { ev.Type = "transaction.retrying" }, "retrying"},
		{"a recovery", func(ev *event.Event) { ev.Effect = event.Settle }, "opens nothing"},
		{"a note", func(ev *event.Event) { ev.Effect = event.Note }, "opens nothing"},
		{"an automation's failure", func(ev *event.Event) { ev.Type = "automation.failed" }, "never starts another"},
		{"a failure that names our run", field(event.RunKey, "resend_status:txn_1:1"), "never starts another"},
		{"a failure that names a run", field(event.RunID, "run_1"), "never starts another"},
		{"no transaction", field(event.TransactionID, nil), "no transaction"},
		{"no partner", field(event.PartnerID, nil), "no partner"},
		{"no document type", field(event.DocumentType, nil), "no document type"},
		{"inbound", field(event.Direction, "inbound"), "inbound"},
		{"a credit note by name", field(event.DocumentName, "Credit_Note"), "credit note"},
		{"a template's field is missing", func(ev *event.Event) { ev.Data = nil }, "reason"},
		{"a template's field is null", func(ev *event.Event) { ev.Data = map[string]any{"reason": nil} }, "reason"},
		{"a parameter comes out empty", func(ev *event.Event) { ev.Data = map[string]any{"reason": "  "} }, "empty"},
		{"a parameter without end", func(ev *event.Event) { ev.Data = map[string]any{"reason": strings.Repeat("x", 5000)} }, "4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := entry(remediation.ModeAuto)
			c.Params["reason"] = "{{ .data.reason }}"
			ev := failure(func(ev *event.Event) { ev.Data = map[string]any{"reason": "x"} }, tt.change)
			runs := compile(t, auto, c).Propose(ev, named)
			if len(runs) != 1 || runs[0].State != incident.RunRefused || !strings.Contains(runs[0].Why, tt.why) {
				t.Errorf("%+v, want one refused because of %q", runs, tt.why)
			}
			if len(runs) == 1 && runs[0].Params != nil {
				t.Errorf("a refused run has params %v", runs[0].Params)
			}
		})
	}
	c := entry(remediation.ModeAuto)
	c.Params["reason"] = "{{ .data.reason }}"
	ok := failure(func(ev *event.Event) { ev.Data = map[string]any{"reason": "x"} })
	if runs := compile(t, auto, c).Propose(ok, named); runs[0].State != incident.RunQueued {
		t.Errorf("nothing broken, and yet %+v", runs[0])
	}
}

func TestSeveralRulesMayNameOneRemediation(t *testing.T) {
	g := compile(t, auto, entry(remediation.ModeAuto))
	runs := g.Propose(failure(), incident.Decision{Remediate: []string{"resend-status", "resend-status", "gone"}})
	if len(runs) != 2 || runs[0].State != incident.RunQueued || runs[1].State != incident.RunRefused {
		t.Errorf("%+v, want one queued and one refused for its unknown name", runs)
	}
	if runs := g.Propose(failure(), incident.Decision{Remediate: []string{"resend-status"}, DroppedBy: "mute"}); runs != nil {
		t.Errorf("a dropped event proposed %+v", runs)
	}
	if runs := g.Propose(failure(), incident.Decision{}); runs != nil {
		t.Errorf("nothing named, and yet %+v", runs)
	}
}

func TestCompileTellsAllFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*remediation.Config)
		o      remediation.Options
		want   []string // path: part of the text
	}{
		{name: "none"},
		{name: "no name", change: func(c *remediation.Config) { c.Name = "" }, want: []string{"name: missing"}},
		{name: "no workflow", change: func(c *remediation.Config) { c.Workflow = "" }, want: []string{"workflow: missing"}},
		{name: "another mode", change: func(c *remediation.Config) { c.Mode = "yolo" }, want: []string{"mode: no mode"}},
		{name: "auto without credentials", change: func(c *remediation.Config) { c.Mode = "auto" }, want: []string{"mode: client_id"}},
		{name: "approve without credentials", change: func(c *remediation.Config) { c.Mode, c.Approve.By = "approve", []string{"ana"} }, want: []string{"mode: client_id"}},
		{name: "auto without a way to read", o: remediation.Options{Configured: true}, change: func(c *remediation.Config) { c.Mode = "auto" }, want: []string{"mode: needs to read"}},
		{name: "approve by nobody", o: auto, change: func(c *remediation.Config) { c.Mode = "approve" }, want: []string{"approve.by: is missing"}},
		{name: "approvers", change: func(c *remediation.Config) { c.Approve.By = []string{"ana", "", " bo", "ana", "local:root"} }, want: []string{
			"approve.by[1]: no name", "approve.by[2]: no name", "approve.by[3]: named twice",
		}},
		{name: "an approval that never expires", change: func(c *remediation.Config) { c.Approve.Expires = 8 * 24 * time.Hour }, want: []string{"approve.expires: from 1m0s to 7d"}},
		{name: "an approval of seconds", change: func(c *remediation.Config) { c.Approve.Expires = time.Second }, want: []string{"approve.expires: from 1m0s to 7d"}},
		{name: "no amount", change: func(c *remediation.Config) { c.Approve.TwoAbove = "1e4" }, want: []string{"approve.two_above: no amount"}},
		{name: "a negative amount", change: func(c *remediation.Config) { c.Approve.TwoAbove = "-1" }, want: []string{"approve.two_above: no amount"}},
		{name: "two of one", change: func(c *remediation.Config) { c.Approve.By, c.Approve.TwoAbove = []string{"ana"}, "10000" }, want: []string{"approve.two_above: needs two people"}},
		{name: "hold for a person", o: auto, change: func(c *remediation.Config) {
			c.Mode, c.Approve.By, c.Hold = "approve", []string{"ana"}, time.Minute
		}, want: []string{"hold: is for mode auto"}},
		{name: "hold for long", change: func(c *remediation.Config) { c.Hold = 2 * time.Hour }, want: []string{"hold: from 0s to 1h"}},
		{name: "another deed", change: func(c *remediation.Config) { c.Does = "retry" }, want: []string{"does: nothing that a workflow does"}},
		{name: "an empty override", change: func(c *remediation.Config) { c.Override = &remediation.Override{} }, want: []string{
			"override.by: is missing", "override.classes: is missing", "override.document_types: is missing", "override.why: is missing",
		}},
		{name: "an override too far", change: func(c *remediation.Config) {
			c.Override = &remediation.Override{By: "ana", Why: "x", DocumentTypes: []string{"850", "820", "812", "XYZ", ""}, Classes: []event.Class{"connectivity", "automation", "bridge", "conectivity"}}
		}, want: []string{
			"override.classes[1]: never lead to a run", "override.classes[2]: never lead to a run", "override.classes[3]: no failure class",
			"override.document_types[1]: never run by itself", "override.document_types[2]: never run by itself",
			"override.document_types[3]: no document type", "override.document_types[4]: no document type",
		}},
		{name: "an override beside approval", o: auto, change: func(c *remediation.Config) {
			c.Mode, c.Approve.By = "approve", []string{"ana"}
			c.Override = &remediation.Override{By: "ana", Why: "x", DocumentTypes: []string{"850"}, Classes: []event.Class{"connectivity"}}
		}, want: []string{"override: a person decides"}},
		{name: "an override of receipts", change: func(c *remediation.Config) {
			c.Does = "regenerate-mdn"
			c.Override = &remediation.Override{By: "ana", Why: "x", DocumentTypes: []string{"850"}, Classes: []event.Class{"connectivity"}}
		}, want: []string{"override: regenerate-mdn"}},
		{name: "codes", change: func(c *remediation.Config) { c.UnsentCodes = []string{"X", " "} }, want: []string{"unsent_codes[1]: is empty"}},
		{name: "all of a good one", o: auto, change: func(c *remediation.Config) {
			c.Mode, c.Does, c.Hold, c.Idempotent.ConfirmedBy = "auto", "reprocess", 5*time.Minute, "ana"
			c.Approve = remediation.Approve{By: []string{"ana", "local:root"}, Expires: time.Hour, TwoAbove: "10000"}
			c.Override = &remediation.Override{By: "ana", Why: "x", DocumentTypes: []string{"940"}, Classes: []event.Class{"sla"}}
		}},
		{name: "limits", change: func(c *remediation.Config) {
			c.Limit = remediation.Limit{PerTransaction: "2", PerPartner: "0/1h", Overall: "3/0s"}
		}, want: []string{"limit.overall: window", "limit.per_partner: nothing", "limit.per_transaction: no limit"}},
		{name: "cooldown", change: func(c *remediation.Config) { c.Cooldown = -1 }, want: []string{"cooldown: negative"}},
		{name: "a typo in a field", change: func(c *remediation.Config) { c.Params["x"] = "{{ .transaction.idd }}" }, want: []string{"params.x: no field .transaction.idd"}},
		{name: "an object", change: func(c *remediation.Config) { c.Params["x"] = "{{ .transaction }}" }, want: []string{"params.x: is an object"}},
		{name: "everything", change: func(c *remediation.Config) { c.Params["x"] = "{{ . }}" }, want: []string{"params.x: not allowed"}},
		{name: "syntax", change: func(c *remediation.Config) { c.Params["x"] = []any{"{{ .transaction.id"} }, want: []string{"params.x[0]: unclosed"}},
		{name: "range", change: func(c *remediation.Config) { c.Params["x"] = "{{ range 1000000000 }}x{{ end }}" }, want: []string{"params.x: not allowed"}},
		{name: "printf", change: func(c *remediation.Config) { c.Params["x"] = `{{ printf "%*d" 1000000 1 }}` }, want: []string{"params.x: printf is not allowed"}},
		{name: "a variable", change: func(c *remediation.Config) { c.Params["x"] = `{{ $x := .transaction.id }}{{ $x }}` }, want: []string{"params.x: not allowed"}},
		{name: "a template in it", change: func(c *remediation.Config) { c.Params["x"] = `{{ define "a" }}{{ end }}x` }, want: []string{"params.x: not allowed"}},
		{name: "a function that does not fit", change: func(c *remediation.Config) { c.Params["x"] = `{{ lower 3 }}` }, want: []string{"params.x: "}},
		{name: "a constant may be empty", change: func(c *remediation.Config) { c.Params["x"] = "" }},
		{name: "a condition may leave nothing", change: func(c *remediation.Config) { c.Params["x"] = `{{ if eq .partner.id "p" }}y{{ end }}` }},
		{name: "raw payload and references are free", change: func(c *remediation.Config) {
			c.Params["x"] = `{{ .data.shipment.id }}{{ .transaction.references.bol }}{{ if eq .partner.id "p" }}y{{ else }}{{ .partner.name }}{{ end }}`
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := entry("")
			if tt.change != nil {
				tt.change(&c)
			}
			_, problems := remediation.Compile([]remediation.Config{c}, tt.o)
			if len(problems) != len(tt.want) {
				t.Fatalf("problems %+v, want %v", problems, tt.want)
			}
			for i, want := range tt.want {
				path, part, _ := strings.Cut(want, ": ")
				if problems[i].Path != "remediations[0]."+path || !strings.Contains(problems[i].Text, part) {
					t.Errorf("problem %+v, want %s", problems[i], want)
				}
			}
		})
	}
	_, problems := remediation.Compile([]remediation.Config{entry(""), entry("")}, auto)
	if len(problems) != 1 || problems[0].Path != "remediations[1].name" {
		t.Errorf("two of one name: %+v", problems)
	}
}

func TestNamesStandInFileOrder(t *testing.T) {
	b, a := entry(""), entry("")
	b.Name, a.Name = "b", "a"
	if got := fmt.Sprint(compile(t, auto, b, a).Names()); got != "[b a]" {
		t.Errorf("names %s", got)
	}
}
