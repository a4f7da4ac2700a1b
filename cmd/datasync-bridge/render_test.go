package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// eventFile writes an event that is older than stale_after.
func eventFile(t *testing.T, kind, document string) string {
	t.Helper()
	body := fmt.Sprintf(`{"id":"evt_1","type":%q,"created_at":%q,"data":{
		"transaction":{"id":"txn_1","document_type":%q},"partner":{"id":"par_1","name":"Oak <!channel> \u009b2J mere"},
		"error":{"category":"connectivity","message":"refused"}}}`, kind, time.Now().Add(-48*time.Hour).UTC().Format(time.RFC3339), document)
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRenderShowsTheVeryCallOfANotifierAndMakesNone(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	path := configuration(t, far.url, fmt.Sprintf(`
  - {name: hook, slack: {webhook_url: "%s/services/T0/B0/%s"}}
defaults: {notify: [ops, pager], group: {wait: 1h}}
`, far.url, canaryHook))
	file := eventFile(t, "transaction.failed", "856")
	for _, tt := range []struct {
		args []string
		url  string
		has  []string
	}{
		{[]string{"--notifier", "ops"}, "/api/chat.postMessage", []string{`"blocks": [`, "Oak &lt;!channel&gt; 2J mere", `"channel": "C0OPS"`}},
		{[]string{"--notifier", "ops", "--kind", "update"}, "/api/chat.update", []string{`"blocks": [`}},
		{[]string{"--notifier", "ops", "--kind", "resolve"}, "/api/chat.postMessage", []string{"RESOLVED", "thread_ts"}},
		{[]string{"--notifier", "pager"}, "/v2/enqueue", []string{`"event_action": "trigger"`, "856 ship notice", `"routing_key": "<redacted>"`}},
		{[]string{"--notifier", "pager", "--kind", "resolve"}, "/v2/enqueue", []string{`"event_action": "resolve"`}},
		{[]string{"--notifier", "hook"}, "/<redacted>", []string{`"blocks": [`}},
	} {
		args := append([]string{"render", file, "-c", path}, tt.args...)
		o := command(t, nil, args...)
		first, body, _ := strings.Cut(o.out, "\n")
		if o.code != exitOK || !strings.HasPrefix(first, "POST "+far.url) || !strings.HasSuffix(first, tt.url) {
			t.Errorf("%v: %v\nwant the address %s", tt.args, o, tt.url)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%v: the body is no JSON:\n%s", tt.args, body)
		}
		for _, words := range tt.has {
			if !strings.Contains(body, words) {
				t.Errorf("%v: the body lacks %s:\n%s", tt.args, words, body)
			}
		}
		whole := works(t, nil, append(args, "-o", "json")...)
		var call struct{ Notifier, Method, URL string }
		if err := json.Unmarshal([]byte(whole), &call); err != nil || call.Notifier != tt.args[1] || call.Method != http.MethodPost {
			t.Errorf("%v -o json: %v, %v", tt.args, call, err)
		}
		for _, secret := range []string{"xoxb-test", testRoutingKey, canaryHook} {
			if strings.Contains(o.out+o.err+whole, secret) {
				t.Errorf("%v: a secret is shown:\n%s", tt.args, o.out)
			}
		}
	}
	if n := len(far.slack.Requests()) + len(far.pager.Requests()); n > 0 {
		t.Errorf("render made %d calls", n)
	}
	if _, err := os.Stat(dataDir(path)); err == nil {
		t.Error("render made a store")
	}
	if out := works(t, nil, "render", file, "-c", path); !strings.Contains(out, "ship notice not delivered") || strings.ContainsRune(out, '\u009b') {
		t.Errorf("the readable form is wrong:\n%q", out)
	}
}

func TestRenderShowsWhatServeSends(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	event := s.accept(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "856", partner: "01"}.body())
	eventually(t, 20*time.Second, "the failure is told", func() bool { return len(far.pager.Alerts()) == 1 && len(far.roots()) == 1 })
	incident := s.idOf("incidents")
	var shown struct {
		Body struct{ Blocks json.RawMessage }
	}
	if err := json.Unmarshal([]byte(s.works("render", incident, "--notifier", "ops", "-o", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	if got, want := canonical(t, shown.Body.Blocks), canonical(t, far.roots()[0].Blocks); got != want {
		t.Errorf("render shows other blocks than were sent:\n%s\nwant\n%s", got, want)
	}
	for want, args := range map[string][]string{
		`"event_action": "trigger"`: {event, "--notifier", "pager"},
		"Partner 01":                {event},
		"RESOLVED after":            {incident, "--kind", "resolve", "--notifier", "ops"},
		`"event_action": "resolve"`: {incident, "--kind", "resolve", "--notifier", "pager"},
	} {
		if out := s.works(append([]string{"render"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("render %v does not show %s:\n%s", args, want, out)
		}
	}
	s.stop()
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestRenderSaysWhyThereIsNoMessage(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
	settles := eventFile(t, "transaction.delivered", "856")
	fails := eventFile(t, "transaction.failed", "856")
	nothing := filepath.Join(t.TempDir(), "nothing.json")
	if err := os.WriteFile(nothing, []byte("no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{settles}, exitFailed, "SETTLES"},
		{[]string{nothing}, exitFailed, "quarantined"},
		{[]string{"gone.json"}, exitFailed, "begins with ev_"},
		{[]string{"in_0000000000000"}, exitFailed, "there is no store at " + dataDir(path)},
		{[]string{fails, "--notifier", "opps"}, exitUsage, "there are ops, pager"},
		{[]string{fails, "--kind", "opened"}, exitUsage, "is none of opening"},
		{[]string{fails, "--kind", "update", "--notifier", "pager"}, exitFailed, "a pager takes no"},
		{[]string{fails, "-o", "json"}, exitUsage, "--notifier"},
		{nil, exitUsage, "render FILE | EVENT-ID | INCIDENT-ID"},
	} {
		o := command(t, nil, slices.Concat([]string{"render"}, tt.args, []string{"-c", path})...)
		if o.code != tt.code || !strings.Contains(o.err, tt.says) || o.out != "" {
			t.Errorf("render %v: %v\nwant exit %d and %q", tt.args, o, tt.code, tt.says)
		}
	}
}
