package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

func TestMissingScopeIsRefused(t *testing.T) {
	for _, tt := range []struct{ scope, method, path string }{
		{sandbox.ScopePartnersWrite, "POST", "/partners"},
		{sandbox.ScopePartnersRead, "GET", "/partners/par_1"},
		{sandbox.ScopeWebhooks, "POST", "/webhooks/subscriptions"},
		{sandbox.ScopeAutomations, "POST", "/automations/run"},
		{sandbox.ScopeTransactions, "GET", "/transactions"},
		{sandbox.ScopeTransactions, "GET", "/transactions/txn_1"},
	} {
		others := slices.DeleteFunc(sandbox.AllScopes(), func(s string) bool { return s == tt.scope })
		_, base := start(t, sandbox.Options{Scopes: others})
		status, body := call(t, tt.method, base+"/v1"+tt.path, token(t, base), map[string]any{})
		if refusal := body["error"].(map[string]any); status != 403 || refusal["code"] != "missing_scope" || !strings.Contains(refusal["message"].(string), tt.scope) {
			t.Errorf("%s %s without %s: %d %v", tt.method, tt.path, tt.scope, status, body)
		}
	}
}

func TestExpiredTokensAreRefusedAndNewOnesAreNot(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	old := token(t, base)
	s.ExpireTokens()
	if status, body := call(t, "GET", base+"/v1/transactions", old, nil); status != 401 || body["error"].(map[string]any)["code"] != "expired_token" {
		t.Errorf("old token: %d %v", status, body)
	}
	next := token(t, base)
	if status, _ := call(t, "GET", base+"/v1/transactions", next, nil); status != 200 {
		t.Errorf("new token: %d", status)
	}
	call(t, "POST", base+"/_control/expire-tokens", "", map[string]any{})
	if status, _ := call(t, "GET", base+"/v1/transactions", next, nil); status != 401 {
		t.Errorf("expired by control: %d", status)
	}
}

func TestTruncatedAnswerBreaksInItsMiddle(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	bearer := token(t, base)
	for name, f := range map[string]sandbox.Fault{"an answer": {Truncate: true}, "a refusal": {Truncate: true, Status: 500}} {
		s.FailNext("/v1/transactions", f)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/transactions", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(text) == 0 || int64(len(text)) != resp.ContentLength/2 {
			t.Errorf("%s: read %d of %d bytes, %v", name, len(text), resp.ContentLength, err)
		}
	}
}

func TestFaultsMeetTheCallsTheyAreMeantFor(t *testing.T) {
	for _, tt := range []struct {
		path string
		want []int // GET partner, GET transactions
	}{
		{"/v1/partners/par_1", []int{418, 200}},
		{"/v1/partners/*", []int{418, 200}},
		{"/v1/*", []int{418, 418}},
		{"GET /v1/transactions", []int{200, 418}},
		{"POST /v1/transactions", []int{200, 200}},
		{"/v1/partners", []int{200, 200}},
	} {
		s, base := start(t, sandbox.Options{})
		s.PutPartner(sandbox.Partner{ID: "par_1"})
		bearer := token(t, base)
		s.FailNext(tt.path, sandbox.Fault{Status: 418, Times: 2})
		var got []int
		for _, path := range []string{"/v1/partners/par_1", "/v1/transactions"} {
			status, _ := call(t, "GET", base+path, bearer, nil)
			got = append(got, status)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.path, got, tt.want)
		}
	}
}

func TestFaultHappensAsOftenAsItSays(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	bearer := token(t, base)
	s.FailNext("/v1/transactions", sandbox.Fault{Status: 503, Times: 3})
	var got []int
	for range 4 {
		status, _ := call(t, "GET", base+"/v1/transactions", bearer, nil)
		got = append(got, status)
	}
	if !slices.Equal(got, []int{503, 503, 503, 200}) {
		t.Errorf("answers %v", got)
	}
	if n := s.Calls()["GET /v1/transactions"]; n != 4 {
		t.Errorf("%d calls are counted, want 4 with those that failed", n)
	}
}

func TestWebhooksGoOnWhileTheAPIIsDown(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	bearer := token(t, base)
	s.Down(true)
	s.Fail(s.Put(sandbox.Transaction{}), sandbox.Failure{})
	settled(t, s)
	for _, path := range []string{"/v1/transactions", "/v1/auth/token", "/v1/nothing"} {
		if status, body := call(t, "GET", base+path, bearer, nil); status != 503 || body["request_id"] == nil {
			t.Errorf("%s while down: %d %v", path, status, body)
		}
	}
	if got := h.types(); len(got) != 1 {
		t.Errorf("webhooks %v while the API is down, want one", got)
	}
	s.Down(false)
	if status, _ := call(t, "GET", base+"/v1/transactions", bearer, nil); status != 200 {
		t.Errorf("up again: %d", status)
	}
	call(t, "POST", base+"/_control/down", "", map[string]any{"down": true, "reset": true})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/auth/token", strings.NewReader("{}"))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		t.Errorf("a reset answered %d", resp.StatusCode)
	}
	call(t, "POST", base+"/_control/heal", "", map[string]any{})
	if status, _ := call(t, "GET", base+"/v1/transactions", bearer, nil); status != 200 {
		t.Errorf("healed: %d", status)
	}
}

// An API that acts, then fails, and whose keys mean nothing: whoever asks twice
// runs twice, and Runs tells.
func TestRunsTellWhatTrulyRan(t *testing.T) {
	for name, f := range map[string]sandbox.Fault{
		"500":     {Status: 500, AfterActing: true},
		"reset":   {Reset: true, AfterActing: true},
		"silence": {Delay: time.Minute, AfterActing: true},
	} {
		for ignored, want := range map[bool]int{true: 2, false: 1} {
			s, base := start(t, sandbox.Options{IgnoreKeys: ignored})
			txn := s.Put(sandbox.Transaction{})
			bearer := token(t, base)
			s.FailNext("/v1/automations/run", f)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			body := `{"workflow":"resend_status","idempotency_key":"k","params":{"transaction_id":"` + txn + `"}}`
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/automations/run", bytes.NewReader([]byte(body)))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+bearer)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode < 500 {
					t.Errorf("%s: answered %d", name, resp.StatusCode)
				}
			}
			cancel()
			if len(s.Runs()) != 1 {
				t.Errorf("%s: %d runs after the call that failed, want 1", name, len(s.Runs()))
			}
			if status, answer := call(t, "POST", base+"/v1/automations/run", bearer, map[string]any{
				"workflow": "resend_status", "idempotency_key": "k", "params": map[string]any{"transaction_id": txn}}); status >= 300 {
				t.Errorf("%s: the second call: %d %v", name, status, answer)
			}
			if got := len(s.Runs()); got != want {
				t.Errorf("%s, keys ignored %v: it ran %d times, want %d", name, ignored, got, want)
			}
		}
	}
}

func TestLateAnswerIsTheRightOne(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	bearer := token(t, base)
	s.FailNext("/v1/transactions", sandbox.Fault{Delay: time.Millisecond, AfterActing: true})
	if status, body := call(t, "GET", base+"/v1/transactions", bearer, nil); status != 200 || body["transactions"] == nil {
		t.Errorf("%d %v", status, body)
	}
}

func TestWebhooksGoWrongAsTold(t *testing.T) {
	const all = "a b c d e"
	for _, tt := range []struct {
		name    string
		control map[string]any
		tell    func(*sandbox.Sandbox)
		want    string // before anything is released
		later   string
		lost    int
	}{
		{name: "nothing", want: all},
		{name: "lost", control: map[string]any{"lose": 2}, tell: func(s *sandbox.Sandbox) { s.LoseNext(2) }, want: "c d e", lost: 2},
		{name: "lost by pattern", tell: func(s *sandbox.Sandbox) {
			s.LoseWebhooks(func(n int, kind string) bool { return n == 5 || kind == "b" })
		}, want: "a c d", lost: 2},
		{name: "lost by type", control: map[string]any{"lose": 3, "type": "d*"}, want: "a b c e", lost: 1},
		{name: "late", control: map[string]any{"delay": 2}, tell: func(s *sandbox.Sandbox) { s.DelayWebhooks(2) }, want: "c d e", later: "a b"},
		{name: "doubled", control: map[string]any{"duplicate": 2}, tell: func(s *sandbox.Sandbox) { s.DuplicateWebhooks(2) }, want: "a a b b c d e"},
		{name: "turned round", control: map[string]any{"reorder": 3}, tell: func(s *sandbox.Sandbox) { s.ReorderWebhooks(3) }, want: "c b a d e"},
		{name: "turned round, too few", tell: func(s *sandbox.Sandbox) { s.ReorderWebhooks(7) }, want: "", later: "e d c b a"},
		{name: "lost, then late", tell: func(s *sandbox.Sandbox) { s.LoseNext(1); s.DelayWebhooks(1) }, want: "c d e", later: "b", lost: 1},
	} {
		for by, set := range map[string]bool{"code": tt.tell != nil, "control": tt.control != nil || tt.tell == nil} {
			if !set {
				continue
			}
			t.Run(tt.name+" by "+by, func(t *testing.T) {
				s, base := start(t, sandbox.Options{})
				h := newHook(t)
				subscribe(t, base, h.URL, "*")
				if by == "code" {
					tt.tell(s)
				} else if status, body := call(t, "POST", base+"/_control/webhooks", "", tt.control); tt.control != nil && status != 200 {
					t.Fatalf("%d %v", status, body)
				}
				for kind := range strings.FieldsSeq(all) {
					s.Emit(kind, "", nil)
				}
				settled(t, s)
				if got := strings.Join(h.types(), " "); got != tt.want {
					t.Errorf("delivered %q, want %q", got, tt.want)
				}
				call(t, "POST", base+"/_control/webhooks", "", map[string]any{"release": true})
				settled(t, s)
				if got := strings.TrimSpace(strings.TrimPrefix(strings.Join(h.types(), " "), tt.want)); got != tt.later {
					t.Errorf("delivered later %q, want %q", got, tt.later)
				}
				if got := s.Lost(); len(got) != tt.lost || (tt.lost > 0 && !s.Redeliver(got[0])) {
					t.Errorf("lost %v, want %d that are still known", got, tt.lost)
				}
			})
		}
	}
}
