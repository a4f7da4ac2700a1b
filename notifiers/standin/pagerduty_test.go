package standin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"datasync-bridge/notifiers/standin"
)

const key = "0123456789abcdef0123456789abcdef"

func pager(faults standin.Faults) *standin.PagerDuty {
	return standin.NewPagerDuty(standin.PagerDutyOptions{
		RoutingKeys: map[string]string{key: "edi", strings.Repeat("b", 32): "lead"}, Faults: faults,
	})
}

func event(routing, action, dedup, payload string) string {
	body := fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q`, routing, action, dedup)
	if payload != "" {
		body += `,"payload":` + payload
	}
	return body + "}"
}

const payload = `{"summary":"s","source":"x","severity":"error"}`

// TestPagerDutyAnswersAsDocumented holds the stand-in to the Events API v2 pages.
func TestPagerDutyAnswersAsDocumented(t *testing.T) {
	far := httptest.NewServer(pager(nil))
	defer far.Close()
	for _, tt := range []struct {
		name, path, body string
		status           int
		want             string // a piece of the body
	}{
		{"a trigger", "/v2/enqueue", event(key, "trigger", "k", payload), 202, `"status":"success"`},
		{"a trigger names its key", "/v2/enqueue", event(key, "trigger", "k", payload), 202, `"dedup_key":"k"`},
		{"a trigger without a key gets one", "/v2/enqueue", event(key, "trigger", "", payload), 202, `"dedup_key":"standin-`},
		{"an acknowledge", "/v2/enqueue", event(key, "acknowledge", "k", ""), 202, "Event processed"},
		{"a resolve of nothing open is accepted", "/v2/enqueue", event(key, "resolve", "none", ""), 202, "Event processed"},
		{"no JSON", "/v2/enqueue", "{", 400, `"status":"invalid event"`},
		{"an unknown routing key", "/v2/enqueue", event("x", "trigger", "k", payload), 400, "Invalid routing key"},
		{"an unknown action", "/v2/enqueue", event(key, "shout", "k", payload), 400, "event_action"},
		{"a resolve without a key", "/v2/enqueue", event(key, "resolve", "", ""), 400, "dedup_key"},
		{"a key too long", "/v2/enqueue", event(key, "trigger", strings.Repeat("k", 256), payload), 400, "dedup_key"},
		{"no payload", "/v2/enqueue", event(key, "trigger", "k", ""), 400, "'payload'"},
		{"no summary", "/v2/enqueue", event(key, "trigger", "k", `{"source":"x","severity":"error"}`), 400, "payload.summary"},
		{"a summary too long", "/v2/enqueue", event(key, "trigger", "k", `{"summary":"`+strings.Repeat("s", 1025)+`","source":"x","severity":"error"}`), 400, "payload.summary"},
		{"no source", "/v2/enqueue", event(key, "trigger", "k", `{"summary":"s","severity":"error"}`), 400, "payload.source"},
		{"no such severity", "/v2/enqueue", event(key, "trigger", "k", `{"summary":"s","source":"x","severity":"high"}`), 400, "payload.severity"},
		{"no such time", "/v2/enqueue", event(key, "trigger", "k", `{"summary":"s","source":"x","severity":"info","timestamp":"today"}`), 400, "timestamp"},
		{"details that are no object", "/v2/enqueue", event(key, "trigger", "k", `{"summary":"s","source":"x","severity":"info","custom_details":"x"}`), 400, "custom_details"},
		{"a link without an address", "/v2/enqueue", strings.Replace(event(key, "trigger", "k", payload), "{", `{"links":[{"text":"x"}],`, 1), 400, "links.href"},
		{"too large", "/v2/enqueue", event(key, "trigger", "k", `{"summary":"s","source":"x","severity":"info","custom_details":{"x":"`+strings.Repeat("x", 512<<10)+`"}}`), 413, ""},
		{"another path", "/v2/other", event(key, "trigger", "k", payload), 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := ask(t, far.URL, tt.path, "application/json", tt.body)
			if a.status != tt.status || !strings.Contains(a.body, tt.want) {
				t.Errorf("status %d %.300s, want %d with %q", a.status, a.body, tt.status, tt.want)
			}
			if a.status == http.StatusBadRequest && a.json != nil && a.json["errors"] == nil {
				t.Errorf("body %s: want errors", a.body)
			}
		})
	}
}

func TestPagerDutyKeepsOneOpenAlertPerServiceAndKey(t *testing.T) {
	p := pager(nil)
	far := httptest.NewServer(p)
	defer far.Close()
	for _, step := range []struct{ routing, action, key string }{
		{key, "acknowledge", "a"}, // nothing is open: dropped
		{key, "trigger", "a"},
		{key, "trigger", "a"},
		{key, "acknowledge", "a"},
		{strings.Repeat("b", 32), "resolve", "a"}, // through another key: dropped
		{key, "trigger", "a"},                     // joins; stays acknowledged
		{key, "resolve", "a"},
		{key, "resolve", "a"}, // dropped
		{key, "trigger", "a"}, // a new one
		{key, "trigger", "b"},
	} {
		ask(t, far.URL, "/v2/enqueue", "application/json", event(step.routing, step.action, step.key, payload))
	}
	var alerts, dropped []string
	for _, a := range p.Alerts() {
		alerts = append(alerts, fmt.Sprintf("%s %s %s %d", a.Service, a.DedupKey, a.State, len(a.History)))
	}
	for _, d := range p.Dropped() {
		dropped = append(dropped, d.Service+" "+d.Action)
	}
	if want := []string{"edi a resolved 5", "edi a triggered 1", "edi b triggered 1"}; !slices.Equal(alerts, want) {
		t.Errorf("alerts %q, want %q", alerts, want)
	}
	if want := []string{"edi acknowledge", "lead resolve", "edi resolve"}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %q, want %q", dropped, want)
	}
}
