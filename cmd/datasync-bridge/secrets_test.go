package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"datasync-bridge/notifiers/standin"
)

// Secrets that stand nowhere else.
const (
	canaryHook   = "canary-of-a-webhook"
	canaryClient = "canary-of-a-client"
)

// TestNoSecretIsEverTold makes everything fail that speaks with a secret, and
// searches all that the bridge says of itself.
func TestNoSecretIsEverTold(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	far.slack.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Word: "invalid_auth"} })
	// A far side may repeat the key that it refuses.
	far.pager.SetFaults(func(int, *http.Request) standin.Fault {
		return standin.Fault{Status: http.StatusBadRequest, Body: `{"status":"invalid event","errors":["no such key: ` + testRoutingKey + `"]}`}
	})
	path := configuration(t, far.url, fmt.Sprintf(`
  - name: gone
    slack: {webhook_url: "%s/services/T0/B0/%s"}
  - name: unreachable
    slack: {webhook_url: "http://127.0.0.1:1/services/T0/B0/%s"}
    retry: {first: 10ms, max: 50ms, give_up_after: 200ms}
datasync: {base_url: "http://127.0.0.1:1/v1", client_id: bridge, client_secret: %s}
defaults:
  notify: [ops, pager, gone, unreachable]
rules:
  - {name: repair, match: {type: transaction.failed}, remediate: resend}
remediations:
  - {name: resend, workflow: resend, mode: auto, limit: {overall: 5/1h}}
`, far.url, canaryHook, canaryHook, canaryClient))
	s := startProcess(t, bridgeCommand(t.Context(), "serve", "-c", path, "--log-format", "json", "--log-level", "debug"))
	s.config = path
	body := happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body()
	event := s.accept(body)
	if forged, _ := s.refusedWith(body, sign([]byte("other"))); forged.Status != http.StatusUnauthorized {
		t.Errorf("a forged event was answered %d, want 401", forged.Status)
	}
	store := openStore(t, path)
	eventually(t, 30*time.Second, "all four notifiers gave up", func() bool {
		stats, err := store.Stats(t.Context())
		return err == nil && len(stats.Dead) == 4 && stats.Pending == 0 && stats.Runs == 0
	})
	token := adminToken(t, path)
	said := allThatIsSaid(t, s, event, token)
	if code := s.stop(); code != exitOK {
		t.Errorf("serve ended with %d", code)
	}
	said["the log"] = s.log()
	said["a crash"] = crashOf(t, path, body)
	// What is searched must be the talk of failures, or nothing is shown.
	for where, words := range map[string]string{
		"the log": "invalid_auth", "/metrics": "bridge_deliveries_dead", "deliveries": "connection refused", "send-test gone": "404", "a crash": "goroutine ",
		"send-test pager": "no such key",
	} {
		if !strings.Contains(said[where], words) {
			t.Errorf("%s does not tell of %q:\n%s", where, words, said[where])
		}
	}
	for where, text := range said {
		for what, secret := range map[string]string{
			"the webhook secret": testSecret, "Slack's token": "xoxb-test", "the routing key": testRoutingKey,
			"a webhook address": canaryHook, "the client secret": canaryClient, "the admin token": token,
			"a signature": strings.TrimPrefix(sign(body), "sha256="),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %s:\n%.2000s", where, what, text)
			}
		}
	}
}

// crashOf is what a bridge says that dies in the worst way, with a request in hand.
func crashOf(t *testing.T, path string, body []byte) string {
	t.Helper()
	crash := bridgeCommand(t.Context(), "serve", "-c", path, "--log-format", "json", "--log-level", "debug")
	crash.Env = append(crash.Env, "GOTRACEBACK=all")
	s := startProcess(t, crash)
	s.config = path
	s.refusedWith(body, sign([]byte("other")))
	if again, err := post(hurried, s.public, body); err != nil || again.Code != "duplicate" {
		t.Errorf("the event again: %v, %v", again, err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	return s.log()
}

// allThatIsSaid gathers what the admin listener answers and the commands print,
// by where it stands.
func allThatIsSaid(t *testing.T, s *served, event, token string) map[string]string {
	t.Helper()
	incident, said := s.idOf("incidents"), map[string]string{}
	for _, page := range []string{"status", "events", "events/" + event, "incidents", "incidents/" + incident, "deliveries", "runs"} {
		status, _, text := fetch(t, s.admin+"/api/v1/"+page, token)
		if status != http.StatusOK {
			t.Errorf("/api/v1/%s answered %d: %s", page, status, text)
		}
		said["/api/v1/"+page] = text
	}
	_, _, said["/metrics"] = fetch(t, s.admin+"/metrics", "")
	status, _, text := fetch(t, s.admin+"/api/v1/status", token+"x")
	if status != http.StatusUnauthorized {
		t.Errorf("a wrong token was answered %d, want 401", status)
	}
	said["a refusal"] = text
	for _, args := range [][]string{{"explain", event}, {"explain", incident}, {"incidents", "show", incident}, {"deliveries"}, {"runs", "-o", "json"}, {"check"}} {
		o := s.command(args...)
		said[strings.Join(args, " ")] = o.out + o.err
	}
	for _, name := range []string{"ops", "pager", "gone", "unreachable"} {
		o := s.command("send-test", name)
		if o.code != exitFailed {
			t.Errorf("send-test %s: %v\nwant exit 1", name, o)
		}
		said["send-test "+name] = o.out + o.err
	}
	return said
}
