package sandbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
)

func ids(body map[string]any) []string {
	var list []string
	for _, one := range body["transactions"].([]any) {
		list = append(list, one.(map[string]any)["transaction"].(map[string]any)["id"].(string))
	}
	return list
}

func TestPagesHoldEachTransactionOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5, 6, 100} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			s, base := start(t, sandbox.Options{})
			bearer := token(t, base)
			var want []string
			for i := range 5 {
				s.Put(sandbox.Transaction{Status: "delivered"})
				want = append(want, s.Put(sandbox.Transaction{ID: fmt.Sprint("txn_", i), Status: "failed"}))
			}
			var got []string
			for cursor := ""; ; {
				status, body := call(t, "GET", fmt.Sprintf("%s/v1/transactions?status=failed&limit=%d&cursor=%s", base, size, url.QueryEscape(cursor)), bearer, nil)
				if status != 200 || len(ids(body)) > size {
					t.Fatalf("%d %v", status, body)
				}
				got = append(got, ids(body)...)
				// What is listed already may change between two pages.
				s.Deliver(got[0])
				next, more := body["next_cursor"].(string)
				if more != (body["has_more"] == true) {
					t.Fatalf("next_cursor %v beside has_more %v", body["next_cursor"], body["has_more"])
				}
				if !more {
					break
				}
				cursor = next
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v, want %v", size, got, want)
			}
		})
	}
}

func TestForeignCursorIsRefused(t *testing.T) {
	_, base := start(t, sandbox.Options{})
	for _, cursor := range []string{"1", "YWZ0ZXI6eA", "!"} {
		if status, _ := call(t, "GET", base+"/v1/transactions?cursor="+cursor, token(t, base), nil); status != 422 {
			t.Errorf("cursor %s: %d, want 422", cursor, status)
		}
	}
}

func TestItemIsWhatAnEventTellsWithTheLastError(t *testing.T) {
	s, base := start(t, sandbox.Options{Environment: event.Sandbox})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	id := s.Put(sandbox.Transaction{DocumentType: "810", Amount: "12.50", Currency: "USD", Partner: sandbox.Partner{ID: "par_1", Name: "One"}})
	s.Retry(id, sandbox.Failure{Code: "FIRST", Category: "connectivity"}, 1, 4, 0)
	s.Fail(id, sandbox.Failure{Code: "LAST", Category: "connectivity", Message: "m"})
	settled(t, s)
	bearer := token(t, base)
	_, list := call(t, "GET", base+"/v1/transactions", bearer, nil)
	_, one := call(t, "GET", base+"/v1/transactions/"+id, bearer, nil)
	for name, item := range map[string]any{"listed": list["transactions"].([]any)[0], "read": one} {
		got := item.(map[string]any)
		transaction := got["transaction"].(map[string]any)
		if got["error"].(map[string]any)["code"] != "LAST" || got["environment"] != "sandbox" || transaction["status"] != "failed" ||
			transaction["amount"].(map[string]any)["value"] != "12.50" || got["partner"].(map[string]any)["id"] != "par_1" {
			t.Errorf("%s: %v", name, got)
		}
	}
	s.Deliver(id)
	if _, body := call(t, "GET", base+"/v1/transactions/"+id, bearer, nil); body["error"] != nil {
		t.Errorf("a delivered one still has the error %v", body["error"])
	}
	call(t, "POST", base+"/_control/events", "", map[string]any{"type": "transaction.failed", "transaction": id,
		"data": map[string]any{"error": map[string]any{"code": "BY_HAND"}}})
	if _, body := call(t, "GET", base+"/v1/transactions/"+id, bearer, nil); body["error"].(map[string]any)["code"] != "BY_HAND" {
		t.Errorf("told by hand, then read: %v", body)
	}
}

func TestOneTransactionIsReadOnlyWhereThatIsAssumed(t *testing.T) {
	for _, tt := range []struct {
		o    sandbox.Options
		id   string
		want int
	}{
		{sandbox.Options{}, "txn_1", 200},
		{sandbox.Options{}, "txn_2", 404},
		{sandbox.Options{WithoutReadOne: true}, "txn_1", 404},
	} {
		s, base := start(t, tt.o)
		s.Put(sandbox.Transaction{ID: "txn_1"})
		if status, _ := call(t, "GET", base+"/v1/transactions/"+tt.id, token(t, base), nil); status != tt.want {
			t.Errorf("%s with %v: %d, want %d", tt.id, tt.o.WithoutReadOne, status, tt.want)
		}
	}
}

func TestNothingCrossesBetweenTheWorlds(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	within := base + "/v1/sandbox"
	inner := s.InSandbox()
	bearer := token(t, base)
	_, body := call(t, "POST", within+"/auth/token", "", map[string]string{"client_id": "sandbox", "client_secret": "sandbox-secret"})
	innerBearer := body["access_token"].(string)

	outside, inside := newHook(t), newHook(t)
	for address, one := range map[string]struct {
		bearer string
		h      *hook
	}{base + "/v1": {bearer, outside}, within: {innerBearer, inside}} {
		if status, _ := call(t, "POST", address+"/webhooks/subscriptions", one.bearer, map[string]any{"name": "n", "url": one.h.URL, "events": []string{"*"}}); status != 201 {
			t.Fatalf("subscription at %s: %d", address, status)
		}
	}
	id := inner.Put(sandbox.Transaction{Status: "failed", DocumentType: "214", Partner: sandbox.Partner{ID: "par_in"}})
	if again := s.Put(sandbox.Transaction{}); again == id {
		t.Errorf("id %s is in both worlds", id)
	}
	run := map[string]any{"workflow": "resend_status", "params": map[string]any{"transaction_id": id}, "idempotency_key": "k"}
	for _, tt := range []struct {
		name, method, address, bearer string
		body                          any
		want                          int
	}{
		{"token of the other", "GET", within + "/transactions", bearer, nil, 401},
		{"token of the other", "GET", base + "/v1/transactions", innerBearer, nil, 401},
		{"transaction of the other", "GET", base + "/v1/transactions/" + id, bearer, nil, 404},
		{"partner of the other", "GET", base + "/v1/partners/par_in", bearer, nil, 404},
		{"run in the other", "POST", base + "/v1/automations/run", bearer, run, 422},
		{"its own transaction", "GET", within + "/transactions/" + id, innerBearer, nil, 200},
		{"its own partner", "GET", within + "/partners/par_in", innerBearer, nil, 200},
		{"its own run", "POST", within + "/automations/run", innerBearer, run, 202},
	} {
		if status, body := call(t, tt.method, tt.address, tt.bearer, tt.body); status != tt.want {
			t.Errorf("%s: %s %s: %d %v, want %d", tt.name, tt.method, tt.address, status, body, tt.want)
		}
	}
	settled(t, inner)
	settled(t, s)
	if len(s.Runs()) != 0 || len(inner.Runs()) != 1 || len(outside.types()) != 0 || len(inside.types()) != 2 {
		t.Errorf("runs %v and %v, events %v and %v; want all of it inside", s.Runs(), inner.Runs(), outside.types(), inside.types())
	}
	if text := string(inside.bodies[0]); !slices.Contains(shape(t, []byte(text)), "environment string") || inner.Environment() != event.Sandbox {
		t.Errorf("%s does not say sandbox", text)
	}
	if calls := s.Calls(); calls["POST /v1/automations/run"] != 1 || calls["POST /v1/sandbox/automations/run"] != 0 ||
		inner.Calls()["POST /v1/sandbox/automations/run"] != 1 {
		t.Errorf("calls %v and %v are counted in the wrong world", calls, inner.Calls())
	}
	s.FailNext("/v1/sandbox/auth/token", sandbox.Fault{Status: 503})
	s.Down(true)
	if status, _ := call(t, "GET", within+"/transactions", innerBearer, nil); status != 200 {
		t.Errorf("one world is down, the other answers %d", status)
	}
	if status, _ := call(t, "POST", within+"/auth/token", "", map[string]any{}); status != http.StatusServiceUnavailable {
		t.Errorf("the fault meant for the sandbox environment did not happen there: %d", status)
	}
}
