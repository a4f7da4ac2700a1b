package tracing_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"datasync-bridge/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told collects the spans that a Recorder sends to a stand-in.
func told(t *testing.T, sample tracing.Share, spans ...tracing.Span) (all []*tracepb.Span) {
	t.Helper()
	var mu sync.Mutex
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, of := range data.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				all = append(all, scope.GetSpans()...)
			}
		}
	}))
	defer far.Close()
	r, err := tracing.New(tracing.Config{Endpoint: far.URL, Sample: &sample}, tracing.Options{Client: far.Client()})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range spans {
		r.Tell(s)
	}
	r.Close()
	return all
}

func TestSpansOfOneEventMeetThoughNobodyKeepsAnything(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	first := told(t, 1, tracing.Span{Name: "receive", Event: "ev_1", At: tracing.Receive, Began: at, Ended: at.Add(time.Second), Outcome: "accepted",
		Facts: []string{"source", "datasync", "type", strings.Repeat("x", 1000), "none", ""}})
	later := told(t, 1, // as by another process, hours later
		tracing.Span{Name: "plan", Event: "ev_1", At: tracing.Plan, Under: tracing.Receive},
		tracing.Span{Name: "deliver", Event: "ev_1", Under: tracing.Plan, Outcome: "dead", Failed: true},
		tracing.Span{Name: "deliver", Event: "ev_1", Under: tracing.Plan},
		tracing.Span{Name: "plan", Event: "ev_2", At: tracing.Plan},
		tracing.Span{Name: "deliver"})
	if len(first) != 1 || len(later) != 4 {
		t.Fatalf("%d and %d spans, want 1 and 4", len(first), len(later))
	}
	receive, plan, dead, sent, other := first[0], later[0], later[1], later[2], later[3]
	for _, s := range later[:3] {
		if !bytes.Equal(s.GetTraceId(), receive.GetTraceId()) {
			t.Errorf("%s is in another trace", s.GetName())
		}
	}
	switch {
	case len(receive.GetParentSpanId()) != 0 || len(other.GetParentSpanId()) != 0:
		t.Error("a root has a parent")
	case !bytes.Equal(plan.GetParentSpanId(), receive.GetSpanId()):
		t.Error("the plan does not hang from the request")
	case !bytes.Equal(dead.GetParentSpanId(), plan.GetSpanId()) || !bytes.Equal(sent.GetParentSpanId(), plan.GetSpanId()):
		t.Error("a delivery does not hang from the plan")
	case bytes.Equal(dead.GetSpanId(), sent.GetSpanId()):
		t.Error("two deliveries have one id")
	case bytes.Equal(other.GetTraceId(), plan.GetTraceId()):
		t.Error("two events are in one trace")
	case dead.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR:
		t.Error("a failure does not look like one, or a success does")
	case receive.GetEndTimeUnixNano()-receive.GetStartTimeUnixNano() != uint64(time.Second):
		t.Error("a span does not take as long as it took")
	case len(receive.GetAttributes()) != 4:
		t.Errorf("attributes %v, want event, outcome, source and type", receive.GetAttributes())
	case len(receive.GetAttributes()[3].GetValue().GetStringValue()) != 200:
		t.Error("a long value is not cut")
	}
}

func TestAnEventIsTracedWholeOrNotAtAll(t *testing.T) {
	var spans []tracing.Span
	for i := range 500 {
		event := fmt.Sprint("ev_", i)
		spans = append(spans, tracing.Span{Name: "receive", Event: event, At: tracing.Receive},
			tracing.Span{Name: "plan", Event: event, At: tracing.Plan, Under: tracing.Receive})
	}
	of := map[string]int{}
	for _, s := range told(t, 0.1, spans...) {
		of[string(s.GetTraceId())]++
	}
	for trace, n := range of {
		if n != 2 {
			t.Errorf("%x has %d spans, want 2", trace, n)
		}
	}
	if len(of) < 20 || len(of) > 100 {
		t.Errorf("%d of 500 events are traced, want about 50", len(of))
	}
	if none := told(t, 0, spans...); len(none) != 0 {
		t.Errorf("%d spans of no event", len(none))
	}
}

func TestACollectorThatHangsDelaysNobody(t *testing.T) {
	hang := make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer far.Close()
	defer close(hang)
	r, err := tracing.New(tracing.Config{Endpoint: far.URL}, tracing.Options{Client: far.Client()})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range 20_000 {
		r.Tell(tracing.Span{Name: "plan", Event: fmt.Sprint("ev_", i), At: tracing.Plan})
	}
	if took := time.Since(began); took > 4*time.Second { // less than the collector's time
		t.Errorf("20,000 spans took %v", took)
	}
	began = time.Now()
	r.Close()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the end took %v", took)
	}
}

func TestWhatIsLostIsCountedAndSaidOnce(t *testing.T) {
	var log bytes.Buffer
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer far.Close()
	lost := 0
	r, err := tracing.New(tracing.Config{Endpoint: far.URL}, tracing.Options{
		Client: far.Client(), Log: slog.New(slog.NewTextHandler(&log, nil)), Failed: func() { lost++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 600 { // three batches
		r.Tell(tracing.Span{Name: "plan", Event: fmt.Sprint("ev_", i), At: tracing.Plan})
	}
	r.Close()
	if lost < 2 || strings.Count(log.String(), "403") != 1 {
		t.Errorf("%d batches are lost, and the log says\n%s", lost, &log)
	}
}

func TestAnEndpointIsChecked(t *testing.T) {
	for _, c := range []struct{ endpoint, want string }{
		{"http://127.0.0.1:4318", ""},
		{"https://otel.example.com/custom/v1/traces", ""},
		{"http://otel.example.com:4318", "endpoint"},
		{"https://me:s3cret@otel.example.com", "endpoint"},
		{"https://otel.example.com/?key=s3cret", "endpoint"},
		{"https://169.254.169.254", "endpoint"},
		{"otel.example.com:4318", "endpoint"},
		{"", "endpoint"},
	} {
		got := ""
		tracing.Config{Endpoint: c.endpoint}.Validate(func(path, text string) {
			got = path
			if strings.Contains(text, "s3cret") {
				t.Errorf("%s: the fault prints the secret: %s", c.endpoint, text)
			}
		})
		if got != c.want {
			t.Errorf("%s: fault at %q, want %q", c.endpoint, got, c.want)
		}
	}
	var s tracing.Share
	for text, ok := range map[string]bool{"0": true, "0.25": true, "1": true, "1.1": false, "-1": false, "NaN": false, "10%": false} {
		if err := s.UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("sample %s: %v", text, err)
		}
	}
}
