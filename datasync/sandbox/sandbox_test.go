package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

// hook is a receiver that answers as told and remembers what came.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	status []int // for the deliveries to come, then 202
	bodies [][]byte
	signed []string
}

func newHook(t *testing.T, status ...int) *hook {
	h := &hook{status: status}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies = append(h.bodies, body)
		h.signed = append(h.signed, r.Header.Get("X-Datasync-Signature"))
		code := http.StatusAccepted
		if len(h.status) > 0 {
			code, h.status = h.status[0], h.status[1:]
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) types() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, body := range h.bodies {
		var e struct{ Type string }
		_ = json.Unmarshal(body, &e)
		list = append(list, e.Type)
	}
	return list
}

// start serves a sandbox on loopback until the test ends.
func start(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, string) {
	t.Helper()
	o.Seed = "t"
	if o.Retries == nil {
		o.Retries = []time.Duration{time.Millisecond, time.Millisecond}
	}
	s := sandbox.New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s, "http://" + ln.Addr().String()
}

// call posts or gets and decodes the answer.
func call(t *testing.T, method, address, token string, body any) (int, map[string]any) {
	t.Helper()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatalf("%s %s: %d, %v", method, address, resp.StatusCode, err)
	}
	return resp.StatusCode, out
}

func token(t *testing.T, base string) string {
	t.Helper()
	status, body := call(t, "POST", base+"/v1/auth/token", "", map[string]string{"client_id": "sandbox", "client_secret": "sandbox-secret"})
	text, _ := body["access_token"].(string)
	if status != http.StatusOK || text == "" {
		t.Fatalf("no token: %d %v", status, body)
	}
	return text
}

func subscribe(t *testing.T, base, url string, events ...string) {
	t.Helper()
	status, body := call(t, "POST", base+"/v1/webhooks/subscriptions", token(t, base), map[string]any{"name": "n", "url": url, "events": events})
	if status != http.StatusCreated {
		t.Fatalf("subscription: %d %v", status, body)
	}
}

func settled(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Settled(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSubscriptionGetsWhatItAskedForInOrder(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "transaction.*", "mdn.timeout")
	txn := s.Put(sandbox.Transaction{DocumentType: "856"})
	s.Retry(txn, sandbox.Failure{Category: "connectivity"}, 1, 4, time.Minute)
	s.Fail(txn, sandbox.Failure{Category: "connectivity"})
	s.Emit("sla.warning", txn, nil) // nobody asked for it
	s.MDNTimeout(txn, time.Minute)
	s.MDNReceived(txn, true) // nor for this
	s.Deliver(txn)
	settled(t, s)
	want := []string{"transaction.retrying", "transaction.failed", "mdn.timeout", "transaction.delivered"}
	if got := h.types(); !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

func TestEventsLookLikeTheSamples(t *testing.T) {
	s, base := start(t, sandbox.Options{Clock: func() time.Time { return time.Date(2026, 3, 10, 14, 46, 9, 0, time.UTC) }})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	s.Put(sandbox.Transaction{
		ID: "txn_01JP4F7S9A", DocumentType: "856", DocumentName: "shipment", Interchange: "000004512", Group: "4512", Set: "0001",
		References: map[string]string{"po_number": "PO-88214", "shipment_id": "SH-55120"},
		Partner: sandbox.Partner{ID: "par_7h2k9", Name: "Harrowgate Grocers", Contact: sandbox.Contact{
			Name: "EDI Desk", Email: "edi-desk@harrowgate.example", Phone: "+1-555-0110", Hours: "Mon-Fri 07:00-17:00 America/Chicago"}},
		EndpointHost: "as2.harrowgate.example", MessageID: "<DS-20260310-141102-4512@datasync.example>",
		Deadline: time.Date(2026, 3, 10, 19, 0, 0, 0, time.UTC), DeadlineName: "ASN before dock appointment",
	})
	s.Fail("txn_01JP4F7S9A", sandbox.Failure{Code: "CONNECTION_TIMEOUT", Category: "connectivity", Message: "no response", Retryable: true})
	settled(t, s)
	got, want := shape(t, h.bodies[0]), shape(t, sample(t, "02_failed_asn_final"))
	// The sample's transport also tells the MDN mode, which the sandbox does not keep.
	want = slices.DeleteFunc(want, func(p string) bool { return p == "data.transport.mdn_mode string" })
	if !slices.Equal(got, want) {
		t.Errorf("the event has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPartnerEventsNeedNoTransaction(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "partner.*")
	s.EmitPartner("partner.connection_failed", sandbox.Partner{ID: "par_5c1wb", Name: "Saltmarsh Fulfilment", Contact: sandbox.Contact{
		Name: "WMS Integration Desk", Email: "wms-integration@saltmarsh.example", Phone: "+1-555-0143"}}, map[string]any{
		"transport": map[string]any{"protocol": "SFTP", "endpoint_host": "h", "username": "u", "remote_path": "/inbound/940"},
		"error":     map[string]any{"code": "c", "category": "authentication", "message": "m", "retryable": false}, "queued_transactions": 17,
	})
	settled(t, s)
	if got, want := shape(t, h.bodies[0]), shape(t, sample(t, "15_connection_failed_sftp")); !slices.Equal(got, want) {
		t.Errorf("the event has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDeliveriesAreSignedOverTheirBytes(t *testing.T) {
	s, base := start(t, sandbox.Options{Secret: "whsec"})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	s.EmitRaw([]byte(`{"id": 1}`), false)
	s.EmitRaw([]byte(`{"id": 1}`), true)
	settled(t, s)
	// printf '{"id": 1}' | openssl dgst -sha256 -hmac whsec
	const right = "sha256=7746e3ba36d3697e4efb1a3cc2ee60abe65b73c6562505d963dab0b44dd1d548"
	if h.signed[0] != right || h.signed[1] == right || len(h.signed[1]) != len(right) {
		t.Errorf("signatures %q, want the right one and a wrong one of the same form", h.signed)
	}
	if string(h.bodies[0]) != `{"id": 1}` {
		t.Errorf("body %q was changed", h.bodies[0])
	}
}

func TestRedeliveryIsTheSameBytes(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	id := s.Emit("transaction.failed", s.Put(sandbox.Transaction{}), nil)
	if !s.Redeliver(id) || s.Redeliver("evt_nothing") {
		t.Error("redelivery knows the wrong events")
	}
	settled(t, s)
	if len(h.bodies) != 2 || !bytes.Equal(h.bodies[0], h.bodies[1]) || h.signed[0] != h.signed[1] {
		t.Errorf("%d deliveries, or they differ", len(h.bodies))
	}
}

func TestDeliveryIsRetriedOnlyWhereItMayHelp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status []int
		want   []int
	}{
		{"accepted", nil, []int{202}},
		{"a 5xx is retried", []int{503, 500}, []int{503, 500, 202}},
		{"a 429 is retried", []int{429}, []int{429, 202}},
		{"a refusal is not", []int{401}, []int{401}},
		{"patience ends", []int{503, 503, 503, 503}, []int{503, 503, 503}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, base := start(t, sandbox.Options{})
			h := newHook(t, tt.status...)
			subscribe(t, base, h.URL, "*")
			id := s.Emit("webhook.test", "", nil)
			got, err := s.Answered(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			var statuses []int
			for i, d := range got {
				statuses = append(statuses, d.Status)
				if d.Attempt != i+1 || d.Last != (i == len(got)-1) {
					t.Errorf("attempt %+v at place %d", d, i)
				}
			}
			if !slices.Equal(statuses, tt.want) {
				t.Errorf("answers %v, want %v", statuses, tt.want)
			}
		})
	}
}

func TestDeadReceiverHoldsUpNobody(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	dead, alive := newHook(t), newHook(t)
	dead.Close()
	subscribe(t, base, dead.URL, "*")
	subscribe(t, base, alive.URL, "*")
	s.Emit("webhook.test", "", nil)
	settled(t, s)
	if got := alive.types(); len(got) != 1 {
		t.Errorf("the living receiver got %v", got)
	}
	if got := s.Deliveries(); len(got) != 4 || got[0].Status != 0 || got[0].Answer == "" {
		t.Errorf("deliveries %+v, want three without an answer and one with", got)
	}
}

func TestRunRepairsAndTellsOfIt(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	txn := s.Put(sandbox.Transaction{DocumentType: "214"})
	s.AcknowledgmentOverdue(txn, "997")
	bearer := token(t, base)
	ask := map[string]any{"workflow": "resend_status", "params": map[string]any{"transaction_id": txn}, "idempotency_key": "k1"}
	status, first := call(t, "POST", base+"/v1/automations/run", bearer, ask)
	if status != http.StatusAccepted {
		t.Fatalf("run: %d %v", status, first)
	}
	settled(t, s)
	want := []string{"acknowledgment.overdue", "automation.completed", "transaction.delivered", "acknowledgment.received"}
	if got := h.types(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	if got, want := shape(t, h.bodies[1]), []string{"data.automation.idempotency_key string", "data.automation.run_id string"}; !contains(got, want) {
		t.Errorf("automation.completed has %v, lacks some of %v", got, want)
	}
	again, second := call(t, "POST", base+"/v1/automations/run", bearer, ask)
	if again != http.StatusOK || second["run_id"] != first["run_id"] || len(s.Runs()) != 1 {
		t.Errorf("the same key: %d %v and %d runs, want the first answer and one run", again, second, len(s.Runs()))
	}
	ask["params"] = map[string]any{"transaction_id": txn, "other": 1}
	if other, body := call(t, "POST", base+"/v1/automations/run", bearer, ask); other != http.StatusConflict {
		t.Errorf("the same key for another request: %d %v, want 409", other, body)
	}
}

func TestIgnoredKeysRunAgain(t *testing.T) {
	s, base := start(t, sandbox.Options{IgnoreKeys: true})
	txn := s.Put(sandbox.Transaction{})
	bearer := token(t, base)
	for range 2 {
		call(t, "POST", base+"/v1/automations/run", bearer, map[string]any{
			"workflow": "resend_status", "params": map[string]any{"transaction_id": txn}, "idempotency_key": "k1"})
	}
	if len(s.Runs()) != 2 {
		t.Errorf("%d runs, want 2", len(s.Runs()))
	}
}

func TestFailedRunTellsItsRequestID(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "automation.*", "transaction.delivered")
	txn := s.Put(sandbox.Transaction{Status: "failed"})
	s.FailRun(sandbox.Failure{Code: "MAPPING_ERROR", Category: "mapping", Message: "not mapped"})
	call(t, "POST", base+"/v1/automations/run", token(t, base), map[string]any{
		"workflow": "reprocess_shipment", "params": map[string]any{"transaction_id": txn}})
	settled(t, s)
	if got := h.types(); !slices.Equal(got, []string{"automation.failed"}) {
		t.Fatalf("events %v", got)
	}
	if !contains(shape(t, h.bodies[0]), []string{"data.error.request_id string"}) {
		t.Errorf("no request_id in %s", h.bodies[0])
	}
	if got, _ := s.Transaction(txn); got.Status != "failed" {
		t.Errorf("status %q after a run that failed", got.Status)
	}
}

func TestTransactionsAreFiltered(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	noon := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, in := range []sandbox.Transaction{
		{ID: "a", Status: "failed", DocumentType: "856", Partner: sandbox.Partner{ID: "p1"}, OccurredAt: noon},
		{ID: "b", Status: "failed", DocumentType: "810", Partner: sandbox.Partner{ID: "p1"}, OccurredAt: noon.Add(time.Hour)},
		{ID: "c", Status: "failed", DocumentType: "856", Partner: sandbox.Partner{ID: "p2"}, OccurredAt: noon.Add(2 * time.Hour)},
		{ID: "d", Status: "delivered", DocumentType: "856", Partner: sandbox.Partner{ID: "p1"}, OccurredAt: noon},
	} {
		s.Put(in)
	}
	bearer := token(t, base)
	for query, want := range map[string]string{
		"":                                   "a b c d",
		"status=failed":                      "a b c",
		"status=failed&partner=p1":           "a b",
		"status=failed&document_type=856":    "a c",
		"since=2026-03-10T13:00:00Z":         "b c",
		"until=2026-03-10T13:00:00Z":         "a d",
		"status=failed&limit=2":              "a b more",
		"status=failed&partner=nobody":       "",
		"since=2026-03-10T13:00:00%2B01:00":  "a b c d",
		"status=delivered&document_type=856": "d",
	} {
		status, body := call(t, "GET", base+"/v1/transactions?"+query, bearer, nil)
		var got []string
		for _, one := range body["transactions"].([]any) {
			got = append(got, one.(map[string]any)["transaction"].(map[string]any)["id"].(string))
		}
		if body["has_more"] == true {
			got = append(got, "more")
		}
		if status != http.StatusOK || strings.Join(got, " ") != want {
			t.Errorf("%s: %d %v, want %s", query, status, got, want)
		}
	}
	for _, query := range []string{"since=yesterday", "limit=0"} {
		if status, body := call(t, "GET", base+"/v1/transactions?"+query, bearer, nil); status != http.StatusUnprocessableEntity || body["request_id"] == nil {
			t.Errorf("%s: %d %v, want 422 with request_id", query, status, body)
		}
	}
}
