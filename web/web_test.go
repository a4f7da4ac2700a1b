package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web"
	"datasync-bridge/web/view"
)

var clock = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

var gets = []string{
	"/api/v1/status", "/api/v1/events", "/api/v1/events/ev_1", "/api/v1/incidents", "/api/v1/incidents/in_1",
	"/api/v1/deliveries", "/api/v1/deliveries/dl_1", "/api/v1/runs", "/api/v1/runs/rn_1", "/api/v1/audit", "/api/v1/silences",
}

var posts = []string{
	"/api/v1/incidents/in_1/acknowledge", "/api/v1/incidents/in_1/resolve", "/api/v1/deliveries/dl_1/retry",
}

// deeds on runs, with a body that is complete.
var (
	approvals = map[string]string{
		"/api/v1/runs/approve":   `{"ids":["rn_1"]}`,
		"/api/v1/runs/rn_1/deny": `{"why":"tested"}`,
	}
	operations = map[string]string{
		"/api/v1/runs/rn_1/stop":  `{"why":"tested"}`,
		"/api/v1/runs/stop":       `{"scope":"","why":"tested"}`,
		"/api/v1/runs/resume":     `{"scope":"","why":"tested"}`,
		"/api/v1/runs/rn_1/clear": `{"outcome":"done","why":"tested"}`,
		"/api/v1/audit":           `{"action":"exported","subject":"audit"}`,

		"/api/v1/silences":             `{"match":{"type":"mdn.*"},"for":"2h","why":"tested"}`,
		"/api/v1/silences/sl_1/expire": `{"why":"tested"}`,
	}
)

func TestWhoMayDoWhat(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct {
		who, token         string
		get, post, approve int
	}{
		{"nobody", "", 401, 401, 401},
		{"a wrong token", "wrong-token-canary", 401, 401, 401},
		{"a token's digest", digest(anaToken), 401, 401, 401},
		{"view and operate", anaToken, 200, 200, 403},
		{"view only", bobToken, 200, 403, 403},
		{"operate only", opToken, 403, 200, 403},
		{"approve only", approver, 403, 403, 200},
	} {
		for _, path := range gets {
			if got, body, _ := b.call(t, "GET", path, tt.token, "", nil); got != tt.get {
				t.Errorf("%s: GET %s answered %d, want %d: %s", tt.who, path, got, tt.get, body)
			}
		}
		for _, path := range posts {
			if got, body, _ := b.call(t, "POST", path, tt.token, `{"why":"tested"}`, nil); got != tt.post {
				t.Errorf("%s: POST %s answered %d, want %d: %s", tt.who, path, got, tt.post, body)
			}
		}
		for path, body := range operations {
			if got, body, _ := b.call(t, "POST", path, tt.token, body, nil); got != tt.post {
				t.Errorf("%s: POST %s answered %d, want %d: %s", tt.who, path, got, tt.post, body)
			}
		}
		for path, body := range approvals {
			for _, spelling := range []string{path, path + "/"} {
				if got, body, _ := b.call(t, "POST", spelling, tt.token, body, nil); got != tt.approve {
					t.Errorf("%s: POST %s answered %d, want %d: %s", tt.who, spelling, got, tt.approve, body)
				}
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if got, _, _ := b.call(t, "GET", path, tt.token, "", nil); got != 200 {
				t.Errorf("%s: GET %s answered %d, want 200 for everybody", tt.who, path, got)
			}
		}
		if got, _, _ := b.call(t, "GET", "/nothing", tt.token, "", nil); tt.get == 401 && got != 401 {
			t.Errorf("%s: an unknown path answered %d, want 401", tt.who, got)
		}
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.log.String(), "canary") || strings.Contains(b.log.String(), digest(anaToken)) {
		t.Errorf("the log holds a token:\n%s", b.log)
	}
	if n := strings.Count(b.log.String(), `"by":"ana"`); n != len(posts)+len(operations)+2*len(approvals) {
		t.Errorf("the log names ana %d times, want once for each deed, those refused among them:\n%s", n, b.log)
	}
}

func TestADeedIsDoneInTheUsersName(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	status, body, _ := b.call(t, "POST", "/api/v1/incidents/in_1/resolve", anaToken, `{"why":" partner confirmed "}`, header{"X-Request-Id": "req-7"})
	if status != 200 || body != `{"status":200,"code":"resolved","request_id":"req-7"}` {
		t.Errorf("got %d %s", status, body)
	}
	if b.by != "ana" || b.why != "partner confirmed" || !slices.Equal(b.deeds, []string{"resolve"}) {
		t.Errorf("the operator did %v by %q because %q, want resolve by ana because of the trimmed reason", b.deeds, b.by, b.why)
	}
}

func TestWhatIsRefused(t *testing.T) {
	b := start(t, web.Config{Users: users(), Hosts: []string{"bridge.example.com"}}, web.Options{})
	get, post := "/api/v1/status", "/api/v1/incidents/in_1/resolve"
	why := `{"why":"tested"}`
	for _, tt := range []struct {
		name         string
		method, path string
		body         string
		h            header
		want         int
		code         string
	}{
		{"a rebound name", "GET", get, "", header{"Host": "evil.example.net"}, 421, "host_not_allowed"},
		{"a rebound name at health", "GET", "/healthz", "", header{"Host": "evil.example.net:9090"}, 421, "host_not_allowed"},
		{"a listed name", "GET", get, "", header{"Host": "Bridge.example.com:9090"}, 200, ""},
		{"localhost", "GET", get, "", header{"Host": "localhost"}, 200, ""},
		{"IPv6 loopback", "GET", get, "", header{"Host": "[::1]:9090"}, 200, ""},
		{"another site's page", "POST", post, why, header{"Origin": "https://evil.example.net"}, 403, "origin_not_allowed"},
		{"a sandboxed page", "POST", post, why, header{"Origin": "null"}, 403, "origin_not_allowed"},
		{"another port of this machine", "GET", get, "", header{"Origin": "http://127.0.0.1:1"}, 403, "origin_not_allowed"},
		{"its own page", "POST", post, why, header{"Host": "localhost:9090", "Origin": "http://localhost:9090"}, 200, ""},
		{"a cross-site fetch", "GET", get, "", header{"Sec-Fetch-Site": "cross-site"}, 403, "origin_not_allowed"},
		{"a form", "POST", post, "why=x", header{"Content-Type": "application/x-www-form-urlencoded"}, 415, "json_only"},
		{"text that is JSON", "POST", post, why, header{"Content-Type": "text/plain"}, 415, "json_only"},
		{"JSON with a charset", "POST", post, why, header{"Content-Type": "application/json; charset=utf-8"}, 200, ""},
		{"a compressed body", "POST", post, why, header{"Content-Encoding": "gzip"}, 415, "unsupported_encoding"},
		{"broken JSON", "POST", post, `{"why":`, nil, 400, "bad_json"},
		{"two values", "POST", post, why + why, nil, 400, "bad_json"},
		{"no object", "POST", post, `["x"]`, nil, 400, "bad_json"},
		{"a number for a text", "POST", post, `{"why":7}`, nil, 400, "bad_json"},
		{"an unknown key", "POST", post, `{"wy":"x"}`, nil, 400, "bad_json"},
		{"no reason", "POST", post, `{}`, nil, 422, "why_missing"},
		{"a blank reason", "POST", post, `{"why":"  "}`, nil, 422, "why_missing"},
		{"an endless reason", "POST", post, `{"why":"` + strings.Repeat("x", 1001) + `"}`, nil, 422, "why_too_long"},
		{"a large body", "POST", post, `{"why":"` + strings.Repeat("x", 70<<10) + `"}`, nil, 413, "request_entity_too_large"},
		{"an unknown incident", "POST", "/api/v1/incidents/in_2/resolve", why, nil, 404, "not_found"},
		{"an id that is none", "GET", "/api/v1/events/%2e%2e%2fx", "", nil, 404, "not_found"},
		{"an unknown address", "GET", "/api/v1/nothing", "", nil, 404, "not_found"},
		{"another spelling of an address, which the log would not know", "POST", "/API/v1/incidents/in_1/resolve", why, nil, 404, "not_found"},
		{"a wrong method", "DELETE", "/api/v1/events/ev_1", "", nil, 405, "method_not_allowed"},
		{"an unknown parameter", "GET", "/api/v1/events?stat=pending", "", nil, 400, "bad_parameter"},
		{"an unknown state", "GET", "/api/v1/incidents?state=pending", "", nil, 400, "bad_parameter"},
		{"a state of the audit", "GET", "/api/v1/audit?state=done", "", nil, 400, "bad_parameter"},
		{"an unknown action", "GET", "/api/v1/audit?action=run.aproved", "", nil, 400, "bad_parameter"},
		{"an action of runs", "GET", "/api/v1/runs?action=run.approved", "", nil, 400, "bad_parameter"},
		{"no limit", "GET", "/api/v1/runs?limit=0", "", nil, 400, "bad_parameter"},
		{"a large limit", "GET", "/api/v1/runs?limit=1001", "", nil, 400, "bad_parameter"},
		{"a time that is none", "GET", "/api/v1/runs?since=yesterday", "", nil, 400, "bad_parameter"},
	} {
		status, body, h := b.call(t, tt.method, tt.path, anaToken, tt.body, tt.h)
		if status != tt.want {
			t.Errorf("%s: answered %d, want %d: %s", tt.name, status, tt.want, body)
			continue
		}
		if tt.code == "" {
			continue
		}
		var e view.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Code != tt.code || e.Status != tt.want || e.Message == "" || e.RequestID == "" {
			t.Errorf("%s: body is %s, want code %q with status, message and request_id", tt.name, body, tt.code)
		}
		if strings.Contains(e.Message, "Go ") {
			t.Errorf("%s: the message speaks of Go to a person: %s", tt.name, e.Message)
		}
		if h.Get("X-Request-Id") != e.RequestID {
			t.Errorf("%s: X-Request-Id is %q, the body's %q", tt.name, h.Get("X-Request-Id"), e.RequestID)
		}
	}
	if _, _, h := b.call(t, "DELETE", "/api/v1/events/ev_1", anaToken, "", nil); !strings.Contains(h.Get("Allow"), "GET") {
		t.Errorf("a 405 has Allow %q, want GET in it", h.Get("Allow"))
	}
}

func TestErrorsOfTheStoreHaveTheirStatus(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct {
		err  error
		want int
	}{
		{event.ErrNotFound, 404},
		{incident.ErrConflict, 409},
		{event.ErrBusy, 503},
		{event.ErrUnavailable, 503},
		{errors.New("disk /secret/path is on fire"), 500},
	} {
		b.err = tt.err
		for _, path := range []string{"/api/v1/events/ev_1", "/api/v1/incidents", "/api/v1/incidents/in_1"} {
			status, body, _ := b.call(t, "GET", path, anaToken, "", nil)
			if status != tt.want || strings.Contains(body, "secret") {
				t.Errorf("%v: %s answered %d %s, want %d without the inner text", tt.err, path, status, body, tt.want)
			}
		}
	}
}

func TestARefusedDeedIsToldInTheOperatorsWords(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct {
		err     error
		want    int
		message string
	}{
		{errors.New("it is sent; only a dead delivery can be retried"), 409, "it is sent"},
		{event.ErrNotFound, 404, "no such thing"},
		{event.ErrUnavailable, 503, "try again"},
	} {
		b.err = tt.err
		if status, body, _ := b.call(t, "POST", posts[2], anaToken, "", nil); status != tt.want || !strings.Contains(body, tt.message) {
			t.Errorf("%v: got %d %s, want %d with %q", tt.err, status, body, tt.want, tt.message)
		}
	}
}

func TestAPanicIsAnsweredAndTheServerLivesOn(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	b.panics = true
	if status, body, _ := b.call(t, "GET", "/api/v1/runs/rn_1", anaToken, "", nil); status != 500 || strings.Contains(body, "boom") {
		t.Errorf("got %d %s, want 500 without the panic's text", status, body)
	}
	b.panics = false
	if status, _, _ := b.call(t, "GET", "/api/v1/runs/rn_1", anaToken, "", nil); status != 200 {
		t.Errorf("after a panic: %d, want 200", status)
	}
}

func TestAListPassesItsFilterOnAndNamesTheNextPage(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	_, body, _ := b.call(t, "GET", "/api/v1/events?limit=1&state=planned&before=ev_9&source=s&since=2026-11-01T00:00:00Z", anaToken, "", nil)
	want := incident.Filter{State: "planned", Source: "s", Before: "ev_9", Limit: 1, Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	if b.filter != want {
		t.Errorf("the reader got %+v, want %+v", b.filter, want)
	}
	var page view.List[view.Event]
	if err := json.Unmarshal([]byte(body), &page); err != nil || page.Next != "ev_1" || len(page.Items) != 1 {
		t.Errorf("page is %s (%v), want one item and next ev_1", body, err)
	}
	if _, body, _ = b.call(t, "GET", "/api/v1/events", anaToken, "", nil); strings.Contains(body, `"next"`) {
		t.Errorf("a page that is not full names a next one: %s", body)
	}
}

func TestTheFormsOfSingleThings(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct {
		path string
		want []string
		not  []string
	}{
		{"/api/v1/events/ev_1", []string{`"id":"ev_1"`, `"body":"{\"id\":\"x\"}"`, `"decision":{`, `"outcome":"opened"`, `"rules":[{"name":"r","line":7}]`, `"received_at":"2026-11-23T09:00:00Z"`}, []string{"last_seen", "Outcome"}},
		{"/api/v1/events", []string{`"items":[{"id":"ev_1"`}, []string{"body", "decision"}},
		{"/api/v1/incidents/in_1", []string{`"members":[{"id":"txn:1"`, `"timeline":[{`, `"deliveries":[{"id":"dl_1"`, `"runs":[{"id":"rn_1"`, `"open_by_severity":{"critical":2}`, `"open_members":2`}, []string{"resolved_at", "fp"}},
		{"/api/v1/deliveries/dl_1", []string{`"state":"dead"`, `"error":"no"`}, []string{"next_at"}},
		{"/api/v1/runs/rn_1", []string{`"state":"dry-run"`}, nil},
		{"/api/v1/status", []string{`"version":"v1"`, `"ready":true`}, nil},
	} {
		_, body, h := b.call(t, "GET", tt.path, anaToken, "", nil)
		for _, w := range tt.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s lacks %s: %s", tt.path, w, body)
			}
		}
		for _, n := range tt.not {
			if strings.Contains(body, n) {
				t.Errorf("%s has %s: %s", tt.path, n, body)
			}
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" {
			t.Errorf("%s lacks security headers: %v", tt.path, h)
		}
	}
}

func TestReadinessFollowsTheBridge(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	b.ready = errors.New("the disk at /secret is full")
	if status, body, _ := b.call(t, "GET", "/readyz", "", "", nil); status != 503 || strings.Contains(body, "secret") {
		t.Errorf("got %d %s, want 503 without details", status, body)
	}
	if status, _, _ := b.call(t, "GET", "/healthz", "", "", nil); status != 200 {
		t.Errorf("the process is alive, but healthz answered %d", status)
	}
}

func TestWithoutUsersATokenIsMadeForThisMachine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "admin.token")
	b := start(t, web.Config{}, web.Options{TokenFile: file})
	token := read(t, file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file has mode %v (%v), want 0600", info.Mode(), err)
	}
	if status, body, _ := b.call(t, "POST", posts[0], token, "", nil); status != 200 {
		t.Errorf("the generated token got %d %s", status, body)
	}
	if !strings.HasPrefix(b.by, "local:") || b.by != web.LocalName() {
		t.Errorf("the deed is by %q, want %q", b.by, web.LocalName())
	}
	start(t, web.Config{}, web.Options{TokenFile: file})
	if read(t, file) != token {
		t.Error("a restart replaced a good token")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, web.Config{}, web.Options{TokenFile: file})
	if read(t, file) == token {
		t.Error("a token that others could read is still in use")
	}
	if _, err := web.New(web.Config{}, web.Deps{}, web.Options{}); err == nil {
		t.Error("New made a server without users and without a token file")
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestADecisionThatCannotBeReadIsShownAsSuch(t *testing.T) {
	v := view.OfEventInFull(event.Stored{ID: "ev_1", Decision: []byte(`{"Outcome":7}`)})
	if v.Decision == nil || len(v.Decision.Errors) != 1 {
		t.Errorf("decision is %+v, want one that says it cannot be read", v.Decision)
	}
}

func TestRunStopsEvenBeforeItServed(t *testing.T) {
	s, err := web.New(web.Config{Users: users()}, web.Deps{Metrics: http.NotFoundHandler()}, web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx, ln); err != nil {
		t.Errorf("Run ended with %v", err)
	}
	if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the listener is still open")
	}
}
