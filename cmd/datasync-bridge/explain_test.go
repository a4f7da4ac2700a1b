package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExplainOfAFileSaysWhatWouldBeRunAndWhyNot(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", `
defaults: {notify: [ops]}
rules:
  - {name: repair, match: {type: transaction.failed}, remediate: resend}
remediations:
  - {name: resend, workflow: resend_it, params: {transaction_id: "{{ .transaction.id }}"}}
`)
	for document, want := range map[string]string{
		"214": "resend  dry-run  for txn_1",
		"810": "resend  refused  810: a second invoice",
	} {
		file := eventFile(t, "transaction.failed", document)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), `"created_at":`)
		_, rest, _ = strings.Cut(rest, ",")
		fresh := `{"id":"evt_1","type":"transaction.failed",` + rest // it occurs when it arrives
		if err := os.WriteFile(file, []byte(fresh), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := works(t, nil, "explain", file, "-c", path); !strings.Contains(out, "\nRuns\n") || !strings.Contains(out, want) {
			t.Errorf("%s: it does not say %q:\n%s", document, want, out)
		}
	}
	if out := works(t, nil, "explain", eventFile(t, "transaction.failed", "214"), "-c", path); strings.Contains(out, "\nRuns\n") {
		t.Errorf("old news would run something:\n%s", out)
	}
}

func TestExplainRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
	if o := command(t, nil, "explain", "in_0000000000000", "--with", path, "-c", path); o.code != exitUsage || !strings.Contains(o.err, "--with") {
		t.Errorf("an incident under other rules: %v\nwant exit 2", o)
	}
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, []byte("no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	var answer struct{ Quarantined string }
	if err := json.Unmarshal([]byte(works(t, nil, "explain", file, "-o", "json", "-c", path)), &answer); err != nil || answer.Quarantined == "" {
		t.Errorf("a body that is no JSON: %+v, %v", answer, err)
	}
}
