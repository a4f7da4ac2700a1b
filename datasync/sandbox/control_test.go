package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

func TestFaultsComeInOrderAndMayComeAfterActing(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	txn := s.Put(sandbox.Transaction{})
	bearer := token(t, base)
	const path = "/v1/automations/run"
	s.FailNext(path, sandbox.Fault{Status: 429, RetryAfter: "2"})
	s.FailNext(path, sandbox.Fault{Status: 500, AfterActing: true})
	s.FailNext(path, sandbox.Fault{Delay: time.Millisecond})
	ask := map[string]any{"workflow": "resend_status", "params": map[string]any{"transaction_id": txn}}
	for _, want := range []struct{ status, runs int }{{429, 0}, {500, 1}, {202, 2}, {202, 3}} {
		status, body := call(t, "POST", base+path, bearer, ask)
		if status != want.status || len(s.Runs()) != want.runs {
			t.Errorf("%d %v after %d runs, want %+v", status, body, len(s.Runs()), want)
		}
		if status >= 400 && body["request_id"] == nil {
			t.Errorf("%d without request_id", status)
		}
	}
	s.FailNext(path, sandbox.Fault{Reset: true})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader("{}"))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		t.Errorf("a reset answered %d", resp.StatusCode)
	}
}

func TestControlDrivesASandboxThatRunsByItself(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	for _, step := range []struct {
		path string
		body any
		want int
	}{
		{"transactions", map[string]any{"id": "txn_1", "document_type": "856"}, 201},
		{"events", map[string]any{"type": "transaction.failed", "transaction": "txn_1"}, 202},
		{"events", map[string]any{"type": "transaction.failed", "transaction": "txn_2"}, 422},
		{"events", map[string]any{}, 422},
		{"faults", map[string]any{"path": "/v1/auth/token", "status": 503, "delay": "1ms", "times": 2}, 202},
		{"faults", map[string]any{"path": "/v1/auth/token", "delay": "1h"}, 422},
		{"redeliver", map[string]any{"event": "evt_none"}, 404},
	} {
		if status, body := call(t, "POST", base+"/_control/"+step.path, "", step.body); status != step.want {
			t.Errorf("%s %v: %d %v, want %d", step.path, step.body, status, body, step.want)
		}
	}
	settled(t, s)
	if got, _ := s.Transaction("txn_1"); got.Status != "failed" || !slices.Equal(h.types(), []string{"transaction.failed"}) {
		t.Errorf("status %q, events %v", got.Status, h.types())
	}
	for range 2 {
		if status, _ := call(t, "POST", base+"/v1/auth/token", "", map[string]any{}); status != 503 {
			t.Errorf("token: %d, want the fault", status)
		}
	}
	if status, body := call(t, "GET", base+"/_control/deliveries", "", nil); status != 200 || len(body["deliveries"].([]any)) != 1 {
		t.Errorf("deliveries: %d %v", status, body)
	}
}

func TestControlRefusesOtherHosts(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	for _, tt := range []struct {
		name, peer, host string
		want             int
	}{
		{"from here", "127.0.0.1:5000", "localhost:8081", 200},
		{"from the network", "10.0.0.9:5000", "localhost:8081", 403},
		{"by a rebound name", "127.0.0.1:5000", "evil.example:8081", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/_control/deliveries", nil)
		r.RemoteAddr, r.Host = tt.peer, tt.host
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
		}
	}
}
