package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	canaryName = "Canary-Grocers-4711"
	canaryText = "canary-in-what-is-no-json"
)

// inStore adds keys to the store section of a configuration.
func inStore(t *testing.T, path, keys string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte("store: {"), []byte("store: {"+keys+", "), 1)
	if bytes.Equal(text, changed) {
		t.Fatal("there is no store section")
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// onDisk is every byte of the store: the file and its log.
func onDisk(t *testing.T, configPath string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"bridge.db", "bridge.db-wal"} {
		text, err := os.ReadFile(filepath.Join(dataDir(configPath), name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out
}

func TestARedactedValueIsNowhere(t *testing.T) {
	t.Parallel()
	d := withSandbox(t, sandbox.Options{})
	// One failure is found by polling, one comes by webhook, one is no JSON.
	d.fail(sandbox.Transaction{ID: "txn_polled", DocumentType: "850", Partner: sandbox.Partner{ID: "par_1", Name: canaryName}}, "connectivity")
	path := d.configuration(", reconcile: {start: 24h}", "\ndefaults: {notify: [ops]}\n")
	inStore(t, path, "redact: [data.partner.name, data.error.message]")
	s := startProcess(t, bridgeCommand(t.Context(), "serve", "-c", path, "--log-format", "json", "--log-level", "debug"))
	s.config = path
	body := bytes.ReplaceAll(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body(),
		[]byte("Partner 01"), []byte(canaryName))
	first := s.accept(body)
	odd, err := post(hurried, s.public, []byte(`{"data":{"partner":{"name":"`+canaryText+`"}`))
	if err != nil || odd.Code != "quarantined" {
		t.Fatalf("what is no JSON was answered %s (%v)", odd.Code, err)
	}
	again, err := post(hurried, s.public, body)
	if err != nil || again.Status != http.StatusOK || again.Code != "duplicate" || again.EventID != first {
		t.Errorf("the same bytes again: %+v (%v), want a duplicate of %s", again, err, first)
	}
	other, err := post(hurried, s.public, bytes.Replace(body, []byte(canaryName), []byte(canaryName+"2"), 1))
	if err != nil || other.Code != "conflict" {
		t.Errorf("other bytes under the same id: %s (%v), want a conflict although they are kept alike", other.Code, err)
	}
	store := openStore(t, path)
	eventually(t, 30*time.Second, "all four events are planned and told", func() bool {
		events, err := store.Events(t.Context(), incident.Filter{State: string(event.Planned)})
		stats, _ := store.Stats(t.Context())
		return err == nil && len(events) == 4 && stats.OldestWaiting.IsZero() && len(d.roots()) > 0
	})
	said := onDisk(t, path)
	for _, id := range []string{first, odd.EventID} {
		said["show "+id] = s.works("events", "show", id)
		said["explain "+id] = s.works("explain", id)
	}
	said["the poll"] = s.works("explain", "--transaction", "txn_polled")
	if text := s.works("events", "show", odd.EventID); !strings.Contains(text, "withheld") {
		t.Errorf("it is not told that a body is withheld:\n%s", text)
	}
	s.stop()
	said["the log"] = s.log()
	for name, text := range onDisk(t, path) {
		said[name+" after the end"] = text
	}
	for _, m := range d.roots() {
		said["Slack"] += m.Text + string(m.Blocks)
	}
	if !strings.Contains(said["bridge.db after the end"]+said["bridge.db-wal after the end"], "txn_polled") || !strings.Contains(said["Slack"], "par_1") {
		t.Error("what is searched is not what was kept and told")
	}
	for where, text := range said {
		for _, canary := range []string{canaryName, canaryText, "no response within 60s", "connection refused"} {
			if strings.Contains(text, canary) {
				t.Errorf("%s holds %q", where, canary)
			}
		}
	}
}

func TestRuleTestsAndExplainSeeABodyAsItWouldBeKept(t *testing.T) {
	t.Parallel()
	path := inStore(t, configuration(t, "http://127.0.0.1:1", `
defaults: {notify: [ops]}
rules:
  - {name: by-name, match: {partner.name: ACME}, notify: [pager]}
`), "redact: [data.partner.name]")
	body := `{"id": "evt_1", "type": "transaction.failed", "data": {"transaction": {"id": "t1"}, "partner": {"id": "p", "name": "ACME"}}}`
	file := filepath.Join(t.TempDir(), "event.json")
	tests := filepath.Join(t.TempDir(), "tests.yaml")
	for name, text := range map[string]string{
		file: body,
		tests: fmt.Sprintf("config: %s\ntests:\n  - name: a redacted name matches nothing\n    steps:\n      - {event: %s, expect: {rules: []}}\n",
			path, body),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := works(t, nil, "explain", file, "-c", path); !strings.Contains(out, "the event has no such field") {
		t.Errorf("explain sees the name:\n%s", out)
	}
	works(t, nil, "test", tests)
}
