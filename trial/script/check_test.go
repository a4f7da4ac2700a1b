package script_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial/script"
)

func world() *script.World {
	return &script.World{
		Sources: []script.Source{{Name: "datasync", Environment: event.Production, Signed: true}},
		Rules:   []string{"page-goods", "invoices"}, Remediations: []string{"resend-status"},
		Notifiers: map[string]incident.Notifier{"pager": {Name: "pager", Pager: true}, "slack": {Name: "slack", Edits: true}},
		Matches:   func(map[string]any, func(path, text string)) {},
	}
}

// faults reads a file and returns what is wrong with it, without its name.
func faults(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := script.Read(path, func(string) (*script.World, error) { return world(), nil })
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), path+":", "")
}

// one is a file of one test with one step.
func one(step string) string { return "tests:\n  - name: t\n    steps:\n      - " + step + "\n" }

func TestWhatCannotBeRunIsRefusedWhereItStands(t *testing.T) {
	failed := "event: {type: transaction.failed}"
	for _, tt := range []struct{ name, text, want string }{
		{"a file without tests", "config: x.yaml\n", "1:1: tests: is missing"},
		{"an unknown key", one("{" + failed + ", expekt: {open: 1}}"), `4:45: tests[0].steps[0].expekt: is not a known key; did you mean "expect"?`},
		{"a rule that there is not", one("{" + failed + ", expect: {rules: [page-good]}}"),
			`tests[0].steps[0].expect.rules[0]: no rule is named "page-good"; did you mean "page-goods"?`},
		{"a notifier that there is not", one("{" + failed + ", expect: {not: {notifiers: [pagr]}}}"),
			`expect.not.notifiers[0]: no notifier is named "pagr"; did you mean "pager"?`},
		{"a count for a notifier that there is not", one("{" + failed + ", expect: {sent: {slak: 0}}}"), `no notifier is named "slak"; did you mean "slack"?`},
		{"a message to nobody", one("{" + failed + ", expect: {not: {messages: [{to: slak}]}}}"), `did you mean "slack"?`},
		{"a run of nothing", one("{" + failed + ", expect: {not: {runs: [{remediation: resend}]}}}"), `no remediation is named "resend"`},
		{"a document type without quotes", one("{event: {type: transaction.failed, transaction.document_type: 856}, expect: {open: 1}}"),
			`4:44: tests[0].steps[0].event.transaction.document_type: must be text: quote it, "856"`},
		{"one in a payload", one(`{event: {type: transaction.failed, data: {transaction: {document_type: 0123}}}, expect: {open: 1}}`), `quote it, "0123"`},
		{"a field that there is not", one(`{event: {type: transaction.failed, transaction.documenttype: "856"}, expect: {open: 1}}`),
			`is no field of an event; did you mean "transaction.document_type"?`},
		{"a field that the bridge decides", one(`{event: {type: transaction.failed, class: sla}, expect: {open: 1}}`), "is no field of an event"},
		{"an event without a type", one(`{event: {transaction.id: t}, expect: {open: 1}}`), "event.type: is missing"},
		{"an event that is not named", one(`{event: asn, expect: {open: 1}}`), `no event is named "asn"`},
		{"a file that is not there", one(`{event_file: nowhere.json, expect: {open: 1}}`), "event_file: cannot be read"},
		{"two deeds in a step", one("{" + failed + ", acknowledge: {by: ana}, expect: {open: 1}}"), "make a step of each"},
		{"time that runs backwards", "tests:\n  - name: t\n    steps:\n      - {at: 5m, " + failed + ", expect: {open: 1}}\n      - {at: 4m, expect: {open: 1}}\n",
			"5:10: tests[0].steps[1].at: is before the step before it"},
		{"a time without a unit", one("{at: 5, " + failed + ", expect: {open: 1}}"), `tests[0].steps[0].at: "5" is no moment`},
		{"a source that there is not", one("{" + failed + ", source: datasink, expect: {open: 1}}"), `did you mean "datasync"?`},
		{"an outcome that there is not", one("{" + failed + ", expect: {outcome: openned}}"), `"openned" is no outcome; did you mean "opened"?`},
		{"an environment that there is not", one("{" + failed + ", environment: sandpit, expect: {open: 1}}"), `"sandpit" is no environment`},
		{"too many", one("{" + failed + ", repeat: 1000000, expect: {open: 1}}"), "must be from 1 to 10000"},
		{"two tests of one name", one("{"+failed+", expect: {open: 1}}") + "  - {name: t, steps: [{" + failed + ", expect: {open: 1}}]}\n", "is also the name of an earlier test"},
		{"an event where none is", one("{at: 5m, expect: {rules: [invoices]}}"), "expect.rules: is about an event, and there is none here"},
		{"a variable", one(`{event: {type: transaction.failed, transaction.id: "${ID}"}, expect: {open: 1}}`), "cannot hold ${…}"},
		{"a silence of a raw payload", one(`{silence: {id: s, for: 1h, match: {data.x: "1"}}, expect: {open: 0}}`), "match.data.x: is of the raw payload"},
		{"a silence without an end", one(`{silence: {id: s, match: {partner.id: p}}, expect: {open: 0}}`), "silence.for: is missing"},
		{"no YAML", "tests: [", "1:"},
	} {
		if got := faults(t, tt.text); !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n%s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestAnExpectationThatCanNeverFailIsAFault(t *testing.T) {
	failed := "event: {type: transaction.failed}"
	for _, tt := range []struct{ name, text, want string }{
		{"a test that expects nothing", one("{" + failed + "}"), "expects nothing, so it can never fail"},
		{"an empty expectation", one("{" + failed + ", expect: {}}"), "expects nothing, so it can never fail"},
		{"an empty not", one("{" + failed + ", expect: {not: {}}}"), "names nothing, so it can never fail"},
		{"a not of no rules", one("{" + failed + ", expect: {not: {rules: []}}}"), "names nothing, so it can never fail"},
		{"no counts", one("{" + failed + ", expect: {sent: {}}}"), "is empty, so it can never fail"},
		{"not nothing", one("{" + failed + ", expect: {nothing_sent: false}}"), "is true or left out"},
		{"what a pager is never told", one("{" + failed + ", expect: {not: {messages: [{to: pager, kind: reminder}]}}}"), "this can never fail"},
		{"a message of which nothing is said", one("{" + failed + ", expect: {not: {messages: [{}]}}}"), "nothing_sent: true is what it would mean"},
		{"a step in which nothing happens", one("{expect: {open: 0}}"), "lets no time pass"},
	} {
		if got := faults(t, tt.text); !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n%s\nwant %s", tt.name, got, tt.want)
		}
	}
}
