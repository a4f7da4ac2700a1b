package datasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/outbound"
)

// stand is a sandbox on loopback with a clock that the test moves.
type stand struct {
	*sandbox.Sandbox
	base string
	mu   sync.Mutex
	now  time.Time
}

func newStand(t *testing.T, change ...func(*sandbox.Options)) *stand {
	t.Helper()
	s := &stand{now: time.Now().Truncate(time.Second)}
	o := sandbox.Options{Clock: s.clock, ClientID: "id", ClientSecret: "secret"}
	for _, f := range change {
		f(&o)
	}
	s.Sandbox = sandbox.New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + ln.Addr().String() + "/v1"
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stand) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stand) move(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stand) client(secret event.Secret, change ...func(*datasync.Config)) *datasync.Client {
	cfg := datasync.Config{BaseURL: s.base, ClientID: "id", ClientSecret: secret}
	for _, f := range change {
		f(&cfg)
	}
	return datasync.New(cfg,
		outbound.New(outbound.Config{Timeout: 2 * time.Second}), datasync.Options{Now: s.clock})
}

// What is documented of the API, asked over plain HTTP: a stand-in that passes
// does not flatter the client.
func TestSandboxIsWhatIsDocumented(t *testing.T) {
	s := newStand(t)
	txn := s.Put(sandbox.Transaction{DocumentType: "214"})
	const anyone, bearer, expired = "", "bearer", "expired"
	for _, tt := range []struct {
		name, method, path, who, kind, body string
		want                                int
	}{
		{"token by JSON", "POST", "/auth/token", anyone, "application/json", `{"client_id":"id","client_secret":"secret"}`, 200},
		{"no token by form", "POST", "/auth/token", anyone, "application/x-www-form-urlencoded", `client_id=id&client_secret=secret`, 415},
		{"no token for strangers", "POST", "/auth/token", anyone, "application/json", `{"client_id":"id","client_secret":"wrong"}`, 401},
		{"subscription", "POST", "/webhooks/subscriptions", bearer, "application/json", `{"name":"as2-failures","url":"http://127.0.0.1:1/hooks/datasync","events":["transaction.failed","mdn.timeout"]}`, 201},
		{"subscription needs a token", "POST", "/webhooks/subscriptions", anyone, "application/json", `{}`, 401},
		{"subscription with an invalid payload", "POST", "/webhooks/subscriptions", bearer, "application/json", `{"name":"n","url":"x","events":[]}`, 422},
		{"subscription elsewhere", "POST", "/webhooks/subscriptions", bearer, "application/json", `{"name":"n","url":"https://ops.example.com/h","events":["*"]}`, 422},
		{"run", "POST", "/automations/run", bearer, "application/json", `{"workflow":"resend_status","params":{"transaction_id":"` + txn + `"}}`, 202},
		{"run with an expired token", "POST", "/automations/run", expired, "application/json", `{}`, 401},
		{"run with an invalid payload", "POST", "/automations/run", bearer, "application/json", `{"workflow":"resend_status","params":{}}`, 422},
		{"run that is no JSON", "POST", "/automations/run", bearer, "application/json", `{`, 400},
		{"failed transactions", "GET", "/transactions?status=failed", bearer, "", ``, 200},
		{"transactions need a token", "GET", "/transactions?status=failed", anyone, "", ``, 401},
		{"unknown address", "GET", "/nothing", bearer, "", ``, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := ""
			if tt.who != anyone {
				_, body := raw(t, "POST", s.base+"/auth/token", "", "application/json", `{"client_id":"id","client_secret":"secret"}`)
				token, _ = body["access_token"].(string)
			}
			if tt.who == expired {
				s.move(61 * time.Minute)
			}
			status, body := raw(t, tt.method, s.base+tt.path, token, tt.kind, tt.body)
			if status != tt.want {
				t.Errorf("%d %v, want %d", status, body, tt.want)
			}
			if id, _ := body["request_id"].(string); (status >= 400) != (id != "") {
				t.Errorf("%d with request_id %q: errors have one", status, id)
			}
		})
	}
}

func raw(t *testing.T, method, address, token, kind, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s is no JSON object", text)
	}
	return resp.StatusCode, out
}

// What the client makes of it: each way in which a run can go.
func TestClientUnderstandsTheSandbox(t *testing.T) {
	const path = "/v1/automations/run"
	for _, tt := range []struct {
		name     string
		secret   event.Secret
		workflow string
		fault    *sandbox.Fault
		kind     datasync.Kind // "" is accepted
		sent     bool
		ran      int
	}{
		{name: "accepted", ran: 1},
		{name: "wrong secret", secret: "wrong", kind: datasync.Token},
		{name: "unknown workflow", workflow: "format_disk", kind: datasync.Payload, sent: true},
		{name: "missing scope", fault: &sandbox.Fault{Status: 403}, kind: datasync.Scope, sent: true},
		{name: "no such address", fault: &sandbox.Fault{Status: 404}, kind: datasync.NotFound, sent: true},
		{name: "too many", fault: &sandbox.Fault{Status: 429, RetryAfter: "3"}, kind: datasync.RateLimit, sent: true},
		{name: "one refused token is renewed", fault: &sandbox.Fault{Status: 401}, ran: 1},
		{name: "outage before it acted", fault: &sandbox.Fault{Status: 503}, kind: datasync.Server, sent: true},
		{name: "outage after it acted", fault: &sandbox.Fault{Status: 500, AfterActing: true}, kind: datasync.Server, sent: true, ran: 1},
		{name: "reset before it acted", fault: &sandbox.Fault{Reset: true}, kind: datasync.Network, sent: true},
		{name: "reset after it acted", fault: &sandbox.Fault{Reset: true, AfterActing: true}, kind: datasync.Network, sent: true, ran: 1},
		{name: "silence after it acted", fault: &sandbox.Fault{Delay: time.Minute, AfterActing: true}, kind: datasync.Network, sent: true, ran: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			txn := s.Put(sandbox.Transaction{DocumentType: "214", Status: "failed"})
			if tt.fault != nil {
				s.FailNext(path, *tt.fault)
			}
			if tt.secret == "" {
				tt.secret = "secret"
			}
			if tt.workflow == "" {
				tt.workflow = "resend_status"
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			a, err := s.client(tt.secret).Run(ctx, tt.workflow, map[string]any{"transaction_id": txn}, "k")
			if got := len(s.Runs()); got != tt.ran {
				t.Errorf("%d runs, want %d", got, tt.ran)
			}
			if tt.kind == "" {
				if err != nil || a.RunID == "" || a.RequestID == "" {
					t.Errorf("answer %+v, error %v, want an accepted run with its ids", a, err)
				}
				return
			}
			e, ok := errors.AsType[*datasync.Error](err)
			if !ok || e.Kind != tt.kind || e.Sent != tt.sent {
				t.Fatalf("error %+v, want kind %q, sent %v", err, tt.kind, tt.sent)
			}
			if e.Status != 0 && e.RequestID == "" {
				t.Errorf("%v has no request id", e)
			}
		})
	}
}

func TestClientListsWhatTheSandboxHolds(t *testing.T) {
	s := newStand(t)
	acme := sandbox.Partner{ID: "par_1", Name: "Acme"}
	at := s.clock().Add(-time.Hour).UTC()
	s.Put(sandbox.Transaction{ID: "txn_1", DocumentType: "810", Status: "failed", Amount: "12000.00", Currency: "USD", Partner: acme, OccurredAt: at})
	s.Put(sandbox.Transaction{ID: "txn_2", DocumentType: "856", Status: "failed", OccurredAt: at})
	s.Put(sandbox.Transaction{ID: "txn_3", DocumentType: "810", Status: "delivered", Partner: acme, OccurredAt: at})
	for _, tt := range []struct {
		name  string
		query datasync.TransactionQuery
		want  []string
	}{
		{"by status", datasync.TransactionQuery{Status: "failed"}, []string{"txn_1", "txn_2"}},
		{"by partner", datasync.TransactionQuery{Partner: "par_1"}, []string{"txn_1", "txn_3"}},
		{"by document type", datasync.TransactionQuery{Status: "failed", DocumentType: "856"}, []string{"txn_2"}},
		{"by time", datasync.TransactionQuery{Since: at.Add(-time.Minute), Until: at.Add(time.Minute)}, []string{"txn_1", "txn_2", "txn_3"}},
		{"none", datasync.TransactionQuery{Status: "lost"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			l, err := s.client("secret").Transactions(t.Context(), tt.query, func(x datasync.Transaction) bool {
				got = append(got, x.ID)
				if x.ID == "txn_1" && (x.Amount != "12000" || x.Currency != "USD" || x.PartnerName != "Acme" || x.DocumentType != "810" || !x.OccurredAt.Equal(at)) {
					t.Errorf("%+v", x)
				}
				return true
			})
			if err != nil || !l.Complete || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %+v, error %v, want all of %v", got, l, err, tt.want)
			}
		})
	}
}

func TestTokenThatExpiresIsRenewedInTime(t *testing.T) {
	s := newStand(t)
	txn := s.Put(sandbox.Transaction{})
	c := s.client("secret")
	for i, later := range []time.Duration{0, 30 * time.Minute, 29*time.Minute + 30*time.Second, 3 * time.Hour} {
		s.move(later)
		if _, err := c.Run(t.Context(), "resend_status", map[string]any{"transaction_id": txn}, fmt.Sprint("k", i)); err != nil {
			t.Errorf("%v later: %v", later, err)
		}
	}
}

func TestSubscribedBridgeGetsSignedEvents(t *testing.T) {
	s := newStand(t)
	got := make(chan string, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("X-Datasync-Signature")
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	sub, err := s.client("secret").Subscribe(t.Context(), "bridge", "http://"+ln.Addr().String()+"/hooks/datasync", []string{"transaction.failed"})
	if err != nil || sub.ID == "" {
		t.Fatalf("subscription %+v, error %v", sub, err)
	}
	id := s.Fail(s.Put(sandbox.Transaction{}), sandbox.Failure{})
	if deliveries, err := s.Answered(t.Context(), id); err != nil || !slices.ContainsFunc(deliveries, func(d sandbox.Delivery) bool { return d.Status == 200 }) {
		t.Errorf("deliveries %+v, error %v", deliveries, err)
	}
	if signature := <-got; !strings.HasPrefix(signature, "sha256=") {
		t.Errorf("signature %q", signature)
	}
}
