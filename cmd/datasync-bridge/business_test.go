package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/notifiers/standin"
)

// TestNoBusinessDataIsInLogsOrMetrics lets events whose every field is a canary
// go all ways, well and badly, and searches the log and the metrics for them.
func TestNoBusinessDataIsInLogsOrMetrics(t *testing.T) {
	t.Parallel()
	d := withSandbox(t, sandbox.Options{})
	// A far side may repeat what it refuses.
	echo := "no: " + strings.Join(canaries, " ")
	d.slack.SetFaults(func(n int, _ *http.Request) standin.Fault {
		switch n % 3 {
		case 0:
			return standin.Fault{Status: http.StatusInternalServerError, Body: echo}
		case 1:
			return standin.Fault{Status: http.StatusOK, Body: `{"ok":false,"error":"invalid_arguments","response_metadata":{"messages":["` + echo + `"]}}`}
		}
		return standin.Fault{Status: http.StatusOK, Body: "<html>" + echo}
	})
	d.pager.SetFaults(func(n int, _ *http.Request) standin.Fault {
		if n%2 == 0 {
			return standin.Fault{Status: http.StatusServiceUnavailable, Body: echo}
		}
		return standin.Fault{Status: http.StatusBadRequest, Body: `{"message":"invalid","errors":["` + echo + `"]}`}
	})
	path := d.configuration(", reconcile: {every: 1s}, enrich: {max_age: 1h}", `
defaults: {notify: [ops, pager]}
rules:
  - {name: repair, match: {type: transaction.failed}, remediate: resend}
  - {name: would, match: {type: mdn.timeout}, remediate: resend-dry}
  - {name: condition, match: {type: partner.renamed}, when: "data.no.such > 3", notify: [ops]}
remediations:
  - {name: resend, workflow: resend, params: {transaction_id: "{{ .transaction.id }}"}, mode: auto, limit: {overall: 50/1h}}
  - {name: resend-dry, workflow: resend, params: {transaction_id: "{{ .transaction.id }}"}, mode: dry-run, limit: {overall: 50/1h}}
`)
	s := startProcess(t, bridgeCommand(t.Context(), "serve", "-c", path, "--log-format", "json", "--log-level", "debug"))
	s.config = path
	first := canaryEvent(t, "1", "transaction.failed", 1)
	s.accept(first)
	s.accept(canaryEvent(t, "2", "mdn.timeout", 2))
	s.accept(canaryEvent(t, "3", "partner.renamed", 3))
	s.accept(canaryEvent(t, "4", "something."+"new", 4))
	for name, body := range map[string][]byte{
		"broken":   []byte(`{"x": "` + canaryFault),
		"conflict": bytes.Replace(first, []byte("E42"), []byte("E43"), 1),
		"again":    first,
	} {
		if _, err := post(hurried, s.public, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _ = s.refusedWith(first, sign([]byte("other")))
	// What Datasync knows: one failure that only polling finds, of a partner that it tells of.
	d.fail(sandbox.Transaction{ID: canaryTxn + "_polled", DocumentType: "214", Partner: sandbox.Partner{ID: canaryPartner, Name: canaryTrader}}, "connectivity")
	store := openStore(t, path)
	eventually(t, time.Minute, "all is planned, refused and tried", func() bool {
		stats, err := store.Stats(t.Context())
		log := s.log()
		return err == nil && stats.Pending == 0 && stats.Dead["pager"] > 0 && stats.Runs == 0 &&
			strings.Contains(log, "delivery will be tried again") && strings.Contains(log, `"msg":"run"`) && strings.Contains(log, "polling found")
	})
	incident := s.idOf("incidents")
	s.works("silence", "add", "--match", "partner.id="+canaryPartner, "--for", "1h", "--why", "x")
	s.works("incidents", "acknowledge", incident)
	s.works("incidents", "resolve", incident, "--why", "x")
	s.works("events", "purge", "--partner", canaryPartner)
	_, _, metrics := fetch(t, s.admin+"/metrics", "")
	s.stop()
	for where, text := range map[string]string{"the log": s.log(), "/metrics": metrics} {
		told := map[string]bool{} // each kind of line once
		for line := range strings.Lines(text) {
			for _, canary := range canaries {
				message := line[:min(len(line), 90)]
				if _, rest, ok := strings.Cut(line, `"msg":`); ok {
					message, _, _ = strings.Cut(rest, ",")
				}
				if strings.Contains(line, canary) && !told[message] {
					told[message] = true
					t.Errorf("%s tells %q: %.600s", where, canary, line)
				}
			}
		}
	}
	if log := s.log(); !strings.Contains(log, "invalid_arguments") || !strings.Contains(log, "status 503") {
		t.Errorf("the log does not tell how Slack and PagerDuty failed:\n%s", log)
	}
}
