package datasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"datasync-bridge/datasync"
	"datasync-bridge/outbound"
)

// far is the other side: it counts token requests and runs, and answers as told.
type far struct {
	*httptest.Server
	tokens atomic.Int32
	runs   atomic.Int32
	token  func(n int32) (status int, body any)
	run    http.HandlerFunc
	http   *http.Client

	mu   sync.Mutex
	last *http.Request
	body map[string]any
}

func newFar(t *testing.T) *far {
	f := &far{
		token: func(n int32) (int, any) {
			return 200, map[string]any{"access_token": fmt.Sprint("token-", n), "expires_in": 3600}
		},
		run: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"run_id":"run_1"}`) },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("token was asked as %q, want JSON", r.Header.Get("Content-Type"))
		}
		status, body := f.token(f.tokens.Add(1))
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	})
	mux.HandleFunc("POST /v1/automations/run", func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.mu.Lock()
		f.last, f.body = r, body
		f.mu.Unlock()
		f.runs.Add(1)
		f.run(w, r)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *far) client(o datasync.Options) *datasync.Client {
	cfg := datasync.Config{BaseURL: f.URL + "/v1/", ClientID: "id", ClientSecret: "s3cret-of-ours"}
	f.http = outbound.New(outbound.Config{Timeout: 2 * time.Second})
	return datasync.New(cfg, f.http, o)
}

func run(t *testing.T, c *datasync.Client) (datasync.RunAnswer, *datasync.Error) {
	t.Helper()
	a, err := c.Run(t.Context(), "resend_status", map[string]any{"transaction_id": "txn_1", "times": 3}, "resend_status:txn_1:1")
	if err == nil {
		return a, nil
	}
	e, ok := errors.AsType[*datasync.Error](err)
	if !ok {
		t.Fatalf("error %v (%T), want *datasync.Error", err, err)
	}
	return a, e
}

func TestRunSendsItsKeyInHeaderAndBody(t *testing.T) {
	f := newFar(t)
	a, err := run(t, f.client(datasync.Options{}))
	if err != nil || a.RunID != "run_1" {
		t.Fatalf("answer %+v, error %v", a, err)
	}
	if got := f.last.Header.Get("Idempotency-Key"); got != "resend_status:txn_1:1" {
		t.Errorf("header holds key %q", got)
	}
	if f.body["idempotency_key"] != "resend_status:txn_1:1" || f.body["workflow"] != "resend_status" {
		t.Errorf("body %v", f.body)
	}
	if p, _ := f.body["params"].(map[string]any); p["transaction_id"] != "txn_1" || p["times"] != 3.0 {
		t.Errorf("params %v, want kinds kept", f.body["params"])
	}
	if got := f.last.Header.Get("Authorization"); got != "Bearer token-1" {
		t.Errorf("authorization %q", got)
	}
}

func TestFiftyCallersMakeOneTokenRequest(t *testing.T) {
	f := newFar(t)
	c := f.client(datasync.Options{})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = run(t, c) })
	}
	all.Wait()
	if f.tokens.Load() != 1 || f.runs.Load() != 50 {
		t.Errorf("%d token requests for %d runs, want 1 for 50", f.tokens.Load(), f.runs.Load())
	}
}

func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	signed := func(claims jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("k"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	start := time.Unix(1_800_000_000, 0)
	skewed := start.Add(-48 * time.Hour).Unix() // Datasync's clock, as seen from here
	for _, tt := range []struct {
		name   string
		answer map[string]any
		kept   time.Duration // still the first token
		gone   time.Duration // a second one was asked for
	}{
		{"a minute before an hour ends", map[string]any{"access_token": "a", "expires_in": 3600}, 58 * time.Minute, 59*time.Minute + time.Second},
		{"early by a quarter when it is short", map[string]any{"access_token": "a", "expires_in": 20}, 14 * time.Second, 15 * time.Second},
		{"told as text", map[string]any{"access_token": "a", "expires_in": "3600"}, 58 * time.Minute, 59*time.Minute + time.Second},
		{"by the JWT where expires_in is missing", map[string]any{"access_token": signed(jwt.MapClaims{"exp": start.Unix() + 3600})}, 58 * time.Minute, 59*time.Minute + time.Second},
		{"by the JWT's own span where clocks differ", map[string]any{"access_token": signed(jwt.MapClaims{"iat": skewed, "exp": skewed + 3600})}, 58 * time.Minute, 59*time.Minute + time.Second},
		{"after five minutes where nothing is told", map[string]any{"token": "opaque"}, 3*time.Minute + 59*time.Second, 4*time.Minute + time.Second},
		{"after five minutes where nonsense is told", map[string]any{"access_token": "a", "expires_in": -1}, 3*time.Minute + 59*time.Second, 4*time.Minute + time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFar(t)
			f.token = func(int32) (int, any) { return 200, tt.answer }
			now := start
			c := f.client(datasync.Options{Now: func() time.Time { return now }})
			for _, step := range []struct {
				after time.Duration
				want  int32
			}{{0, 1}, {tt.kept, 1}, {tt.gone, 2}} {
				now = start.Add(step.after)
				if _, err := run(t, c); err != nil {
					t.Fatal(err)
				}
				if got := f.tokens.Load(); got != step.want {
					t.Errorf("after %v: %d token requests, want %d", step.after, got, step.want)
				}
			}
		})
	}
}

func TestRefusedCredentialsAreNotTriedByEveryCaller(t *testing.T) {
	f := newFar(t)
	f.token = func(int32) (int, any) {
		return 401, map[string]any{"error": map[string]any{"message": "wrong client_secret s3cret-of-ours"}, "request_id": "req_7"}
	}
	now := time.Unix(1_800_000_000, 0)
	c := f.client(datasync.Options{Now: func() time.Time { return now }})
	for range 20 {
		_, err := run(t, c)
		if err == nil || err.Kind != datasync.Token || err.RequestID != "req_7" || err.Sent {
			t.Fatalf("error %+v, want an unsent one of kind token with its request id", err)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Fatalf("the secret is in %q", err)
		}
	}
	if got := f.tokens.Load(); got != 1 {
		t.Errorf("%d token requests within the same moment, want 1", got)
	}
	now = now.Add(6 * time.Second)
	_, _ = run(t, c)
	if got := f.tokens.Load(); got != 2 {
		t.Errorf("%d token requests after 6s, want 2", got)
	}
	if f.runs.Load() != 0 {
		t.Error("a run left without a token")
	}
}

func TestCallerThatGivesUpSpoilsNothingForTheNext(t *testing.T) {
	f := newFar(t)
	asked, hold := make(chan struct{}), make(chan struct{})
	f.token = func(n int32) (int, any) {
		if n == 1 {
			close(asked)
			<-hold
		}
		return 200, map[string]any{"access_token": "a", "expires_in": 3600}
	}
	c := f.client(datasync.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := c.Run(ctx, "w", nil, "k"); ended <- err }()
	<-asked
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the caller's own", err)
	}
	close(hold)
	if _, err := run(t, c); err != nil {
		t.Errorf("the next caller got %v", err)
	}
}

func TestOneRenewalAfterA401(t *testing.T) {
	for _, tt := range []struct {
		name   string
		accept string
		ok     bool
		runs   int32
	}{
		{"that helps", "Bearer token-2", true, 2},
		{"that does not", "none", false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFar(t)
			f.run = func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != tt.accept {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}
			_, err := run(t, f.client(datasync.Options{}))
			if (err == nil) != tt.ok || f.runs.Load() != tt.runs || f.tokens.Load() != 2 {
				t.Errorf("error %v after %d runs and %d tokens, want ok %v after %d and 2", err, f.runs.Load(), f.tokens.Load(), tt.ok, tt.runs)
			}
			if err != nil && err.Kind != datasync.Token {
				t.Errorf("kind %q", err.Kind)
			}
		})
	}
}

func TestAnswersBecomeKinds(t *testing.T) {
	for _, tt := range []struct {
		status int
		kind   datasync.Kind
	}{
		{200, ""}, {201, ""}, {202, ""}, {204, ""},
		{400, datasync.Payload}, {413, datasync.Payload}, {422, datasync.Payload},
		{403, datasync.Scope}, {404, datasync.NotFound}, {410, datasync.NotFound},
		{429, datasync.RateLimit}, {500, datasync.Server}, {503, datasync.Server}, {599, datasync.Server},
		{307, datasync.Unexpected}, {408, datasync.Unexpected}, {409, datasync.Unexpected},
	} {
		t.Run(strconv.Itoa(tt.status), func(t *testing.T) {
			f := newFar(t)
			f.run = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Request-Id", "req_1")
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Location", "/v1/auth/token")
				w.WriteHeader(tt.status)
			}
			a, err := run(t, f.client(datasync.Options{}))
			if tt.kind == "" {
				if err != nil || a.RequestID != "req_1" {
					t.Errorf("answer %+v, error %v, want accepted", a, err)
				}
				return
			}
			if err == nil || err.Kind != tt.kind || !err.Sent || err.Status != tt.status || err.RequestID != "req_1" || err.RetryAfter != 7*time.Second {
				t.Errorf("error %+v, want kind %q, sent, with request id and pause", err, tt.kind)
			}
			if f.runs.Load() != 1 {
				t.Errorf("%d runs left, want 1", f.runs.Load())
			}
		})
	}
}

func TestAcceptedRunStandsWhateverItsBody(t *testing.T) {
	for name, body := range map[string]string{"empty": "", "HTML": "<html>", "an array": "[1]", "another form": `{"data":{"run_id":"run_1"}}`} {
		f := newFar(t)
		f.run = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
		if _, err := run(t, f.client(datasync.Options{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForeignWordsAreBoundedAndClean(t *testing.T) {
	f := newFar(t)
	f.run = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"request_id": "req\u202e_1\n", "error": map[string]any{
				"message": r.Header.Get("Authorization") + "\x1b[31m s3cret-of-ours " + strings.Repeat("é", 5000)}})
	}
	_, err := run(t, f.client(datasync.Options{}))
	if err == nil || err.RequestID != "req_1" {
		t.Fatalf("error %+v", err)
	}
	for _, never := range []string{"token-1", "s3cret", "\x1b", "\n"} {
		if strings.Contains(err.Error(), never) {
			t.Errorf("%q is in %q", never, err)
		}
	}
	if n := len([]rune(err.Message)); n > 300 {
		t.Errorf("message of %d runes", n)
	}
}

// Sent decides whether a run may be repeated, so it must never be false when a
// byte may have left.
func TestSentTellsWhetherAnythingMayHaveHappened(t *testing.T) {
	t.Run("nobody listens: nothing left", func(t *testing.T) {
		f := newFar(t)
		c := f.client(datasync.Options{})
		if _, err := run(t, c); err != nil { // gets a token
			t.Fatal(err)
		}
		f.http.CloseIdleConnections()
		f.Close()
		_, err := run(t, c)
		if err == nil || err.Kind != datasync.Network || err.Sent {
			t.Errorf("error %+v, want an unsent one", err)
		}
		if err != nil && strings.Contains(err.Error(), "/v1") {
			t.Errorf("%q holds the URL", err)
		}
	})
	t.Run("reset after the request: unknown, and sent once", func(t *testing.T) {
		f := newFar(t)
		f.run = func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
		c := f.client(datasync.Options{})
		for n := range int32(3) { // later ones meet a connection that was used before
			_, err := run(t, c)
			if err == nil || err.Kind != datasync.Network || !err.Sent {
				t.Errorf("error %+v, want a sent one", err)
			}
			if f.runs.Load() != n+1 {
				t.Fatalf("%d requests arrived for %d runs", f.runs.Load(), n+1)
			}
		}
	})
	t.Run("no answer in time: unknown", func(t *testing.T) {
		f := newFar(t)
		hold := make(chan struct{})
		t.Cleanup(func() { close(hold) })
		f.run = func(http.ResponseWriter, *http.Request) { <-hold }
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := f.client(datasync.Options{}).Run(ctx, "w", nil, "k")
		e, ok := errors.AsType[*datasync.Error](err)
		if !ok || !e.Sent || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %+v, want a sent one that ran out of time", err)
		}
	})
	t.Run("token server broken: nothing left", func(t *testing.T) {
		f := newFar(t)
		f.token = func(int32) (int, any) { return 503, map[string]any{} }
		_, err := run(t, f.client(datasync.Options{}))
		if err == nil || err.Kind != datasync.Server || err.Sent || f.runs.Load() != 0 {
			t.Errorf("error %+v, want an unsent one", err)
		}
	})
	t.Run("a key that no header holds: nothing left", func(t *testing.T) {
		f := newFar(t)
		c := f.client(datasync.Options{})
		for _, key := range []string{"", "a\r\nX: y", "a b", "é", strings.Repeat("k", 300)} {
			_, err := c.Run(t.Context(), "w", nil, key)
			if e, ok := errors.AsType[*datasync.Error](err); !ok || e.Kind != datasync.Payload || e.Sent {
				t.Errorf("key %q: error %+v, want an unsent one of kind payload", key, err)
			}
		}
		if f.tokens.Load()+f.runs.Load() != 0 {
			t.Error("something left")
		}
	})
	t.Run("params that no JSON holds: nothing left", func(t *testing.T) {
		f := newFar(t)
		_, err := f.client(datasync.Options{}).Run(t.Context(), "w", map[string]any{"x": func() {}}, "k")
		if e, ok := errors.AsType[*datasync.Error](err); !ok || e.Kind != datasync.Payload || e.Sent {
			t.Errorf("error %+v, want an unsent one of kind payload", err)
		}
	})
}
