package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"datasync-bridge/tracing"
)

// aCollector stands in for an OpenTelemetry collector.
type aCollector struct {
	url   string
	mu    sync.Mutex
	calls int
	spans []*tracepb.Span
	raw   strings.Builder
}

func newCollector(t *testing.T) *aCollector {
	t.Helper()
	c := &aCollector{}
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls++
		c.raw.Write(body)
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil {
			t.Error(err)
		}
		for _, of := range data.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(far.Close)
	c.url = far.URL
	return c
}

// of returns the spans of an event that have a name.
func (c *aCollector) of(event, name string) (found []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := tracing.TraceID(event)
	for _, s := range c.spans {
		if s.GetName() == name && bytes.Equal(s.GetTraceId(), id[:]) {
			found = append(found, s)
		}
	}
	return found
}

// TestOneTraceLeadsFromTheRequestToTheNotification, over a crash in between.
func TestOneTraceLeadsFromTheRequestToTheNotification(t *testing.T) {
	t.Parallel()
	far, c := newFarSide(t), newCollector(t)
	path := configuration(t, far.url, fmt.Sprintf(`
telemetry: {traces: {endpoint: %q}}
defaults: {notify: [ops]}
rules: []
`, c.url))
	s := startServe(t, path)
	body := happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body()
	id := s.accept(body)
	if again, err := post(hurried, s.public, body); err != nil || again.Code != "duplicate" {
		t.Fatalf("the event again: %v, %v", again, err)
	}
	if forged, _ := s.refusedWith(body, sign([]byte("other"))); forged.Status != http.StatusUnauthorized {
		t.Fatalf("a forged event was answered %d, want 401", forged.Status)
	}
	eventually(t, 30*time.Second, "the trace is whole", func() bool {
		return len(c.of(id, "receive")) == 2 && len(c.of(id, "commit")) == 2 && len(c.of(id, "plan")) == 1 && len(c.of(id, "deliver")) >= 1
	})
	receive, plan, deliver := c.of(id, "receive"), c.of(id, "plan")[0], c.of(id, "deliver")[0]
	root, repeat := receive[0], receive[1]
	if len(root.GetParentSpanId()) != 0 {
		root, repeat = repeat, root
	}
	if len(root.GetParentSpanId()) != 0 || root.GetStartTimeUnixNano() >= root.GetEndTimeUnixNano() {
		t.Errorf("the request is no root, or took no time: %v", root)
	}
	for name, pair := range map[string][2]*tracepb.Span{
		"the repeat under the request": {repeat, root}, "the commit under the request": {c.of(id, "commit")[0], root},
		"the plan under the request": {plan, root}, "the delivery under the plan": {deliver, plan},
	} {
		if !bytes.Equal(pair[0].GetParentSpanId(), pair[1].GetSpanId()) {
			t.Errorf("not %s", name)
		}
	}
	s.kill()
	again := startServe(t, path)
	recovered := again.accept(happening{id: 2, kind: "transaction.delivered", transaction: 1, document: "850", partner: "01"}.body())
	eventually(t, 30*time.Second, "after a crash the end is told in the same trace", func() bool {
		return len(c.of(recovered, "plan")) == 1 && len(c.of(id, "deliver")) >= 2
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, business := range []string{"PO-", "Harrowgate", "txn_", testSecret, "signature"} {
		if strings.Contains(c.raw.String(), business) {
			t.Errorf("the spans hold %q", business)
		}
	}
	if !strings.Contains(string(body), "txn_") {
		t.Errorf("the event itself has no business in it: %s", body)
	}
}

func TestWithoutTracesNobodyIsCalled(t *testing.T) {
	far, c := newFarSide(t), newCollector(t)
	// What other programs read from the environment is not meant for the bridge.
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	s := startServe(t, configuration(t, far.url, "\ndefaults: {notify: [ops]}\nrules: []\n"))
	s.accept(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body())
	eventually(t, 30*time.Second, "the failure is told", func() bool { return len(far.roots()) == 1 })
	if code := s.stop(); code != exitOK {
		t.Errorf("serve ended with %d", code)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls != 0 {
		t.Errorf("the collector was called %d times", c.calls)
	}
}
