package receiver_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/signature"
)

const failure = `{"id":"evt_1","type":"transaction.failed","data":{}}`

func TestNewEventIsAcceptedWithItsID(t *testing.T) {
	b := start(t, setup{})
	r := b.post(failure)
	b.want(r, 202, "accepted")
	if r.EventID != eventID(0) {
		t.Errorf("event_id %q, want %q", r.EventID, eventID(0))
	}
	got := b.inbox.all()[0]
	if got.Source != "datasync" || got.Environment != event.Production || got.Type != "transaction.failed" ||
		got.ForeignID != "evt_1" || !got.Authentic || got.Origin != event.OriginWebhook || string(got.Body) != failure {
		t.Errorf("stored %+v", got)
	}
}

func TestDuplicateIsAnsweredWithTheFirstsID(t *testing.T) {
	b := start(t, setup{})
	b.post(failure)
	r := b.post(failure)
	b.want(r, 200, "duplicate")
	if r.EventID != eventID(0) {
		t.Errorf("event_id %q, want the first's", r.EventID)
	}
}

func TestSameIDWithOtherBytesIsAConflict(t *testing.T) {
	b := start(t, setup{})
	b.post(failure)
	r := b.post(failure + " ")
	b.want(r, 202, "conflict")
	if r.EventID != eventID(1) {
		t.Errorf("event_id %q, want one of its own", r.EventID)
	}
}

func TestSixteenSimultaneousPostsAreOneEvent(t *testing.T) {
	b := start(t, setup{})
	var wg sync.WaitGroup
	codes := make(chan string, 16)
	gate := make(chan struct{})
	for range 16 {
		wg.Go(func() {
			<-gate
			codes <- b.post(failure).Code
		})
	}
	close(gate)
	wg.Wait()
	close(codes)
	count := map[string]int{}
	for c := range codes {
		count[c]++
	}
	if count["accepted"] != 1 || count["duplicate"] != 15 || len(b.inbox.all()) != 1 {
		t.Errorf("%v and %d events, want 1 accepted, 15 duplicates, 1 event", count, len(b.inbox.all()))
	}
}

func TestWhatCannotBeMappedIsQuarantinedNotLost(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"not JSON", "what?"}, {"cut JSON", `{"type":"transaction.failed"`}, {"an array", `[{"type":"x"}]`},
		{"no type", `{"id":"evt_9"}`}, {"an empty type", `{"type":""}`}, {"a type that is no text", `{"type":7}`},
		{"no body", ""}, {"a deep body", strings.Repeat(`{"type":`, 100_000)},
		{"invalid UTF-8 alone", "\xff\xfe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			strict := source(func(s *receiver.Source) { s.Name, s.Path, s.StrictJSON = "strict", "/hooks/strict", true })
			b := start(t, setup{sources: []receiver.Source{source(nil), strict}})
			r := b.post(tt.body)
			b.want(r, 202, "quarantined")
			r = b.do(http.MethodPost, "/hooks/strict", strings.NewReader(tt.body), signature1([]byte(tt.body)))
			b.want(r, 400, "quarantined")
			got := b.inbox.all()
			if len(got) != 2 || got[0].Quarantine == "" || got[0].Type != "" || string(got[1].Body) != tt.body || r.EventID == "" {
				t.Errorf("stored %d events, want both, whole and with a cause", len(got))
			}
		})
	}
}

func TestSuccessStatusIsTheSources(t *testing.T) {
	b := start(t, setup{sources: []receiver.Source{source(func(s *receiver.Source) { s.SuccessStatus = 200 })}})
	b.want(b.post(failure), 200, "accepted")
	b.want(b.post(failure), 200, "duplicate")
	b.want(b.post(failure+" "), 200, "conflict")
	b.want(b.post("x"), 200, "quarantined")
}

func TestUnverifiedRequestsAre401AndLeaveNothing(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	stamped := source(func(s *receiver.Source) {
		s.Verify.Timestamp = signature.Timestamp{Header: new("X-Time")}
		s.Verify.Signed = []string{"{timestamp}", "{body}"}
	})
	b := start(t, setup{sources: []receiver.Source{stamped}, options: receiver.Options{Now: func() time.Time { return now }}})
	with := func(stamp, text string) http.Header {
		return http.Header{"X-Time": {stamp}, "X-Datasync-Signature": {signed([]byte(text))}}
	}
	for _, tt := range []struct {
		code   string
		header http.Header
	}{
		{"signature_missing", nil},
		{"signature_malformed", http.Header{"X-Datasync-Signature": {"sha256=zz"}, "X-Time": {"1"}}},
		{"signature_malformed", http.Header{"X-Datasync-Signature": {signed(nil), signed([]byte("x"))}, "X-Time": {"1"}}},
		{"signature_mismatch", with("1795435200", failure)},
		{"timestamp_out_of_tolerance", with("1795431600", "1795431600"+failure)},
		{"timestamp_out_of_tolerance", with("1795438800", "1795438800"+failure)},
	} {
		b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), tt.header), 401, tt.code)
	}
	if n := len(b.inbox.all()); n != 0 {
		t.Errorf("%d unverified events were stored", n)
	}
	b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), with("1795435200", "1795435200"+failure)), 202, "accepted")
	sent := signed([]byte("1795431600" + failure))[7:]
	for _, shown := range []string{"transaction.failed", sent, "sha256=zz"} {
		if strings.Contains(b.log.String(), shown) {
			t.Errorf("the log shows %q: %s", shown, b.log)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	b := start(t, setup{})
	b.want(b.do(http.MethodPost, "/hooks/nobody", strings.NewReader("x"), nil), 404, "not_found")
	b.want(b.do(http.MethodPost, "/hooks/datasync/", strings.NewReader("x"), nil), 404, "not_found")
	b.want(b.do("BREW", "/pot", nil, nil), 404, "not_found")
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
		r := b.do(method, "/hooks/datasync", nil, nil)
		b.want(r, 405, "method_not_allowed")
		if r.header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow %q, want POST", method, r.header.Get("Allow"))
		}
	}
	if r := b.do(http.MethodHead, "/hooks/datasync", nil, nil); r.http != 405 {
		t.Errorf("HEAD: %d, want 405", r.http)
	}
	r := b.do(http.MethodPost, "/healthz", strings.NewReader("x"), nil)
	b.want(r, 405, "method_not_allowed")
	if r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow %q", r.header.Get("Allow"))
	}
}

func TestStoreFaultsAre503WithRetryAfter(t *testing.T) {
	b := start(t, setup{})
	for _, tt := range []struct {
		err  error
		code string
	}{
		{event.ErrBusy, "busy"},
		{event.ErrUnavailable, "unavailable"},
		{fmt.Errorf("keep: %w", event.ErrFull), "store_full"},
		{event.ErrQuarantineFull, "quarantine_full"},
		{errors.New("disk on fire at /secret/path"), "unavailable"},
	} {
		b.inbox.fail(tt.err)
		r := b.post(failure)
		b.want(r, 503, tt.code)
		if r.header.Get("Retry-After") == "" || r.EventID != "" || strings.Contains(r.raw, "fire") {
			t.Errorf("answer %s with Retry-After %q", r.raw, r.header.Get("Retry-After"))
		}
	}
	b.inbox.fail(nil)
	b.want(b.post(failure), 202, "accepted")
}

func TestAPanicIs500AndTheListenerLives(t *testing.T) {
	b := start(t, setup{options: receiver.Options{Ready: func() error { panic("canary") }}})
	r := b.do(http.MethodGet, "/readyz", nil, nil)
	b.want(r, 500, "internal_error")
	if strings.Contains(r.raw+b.log.String(), "canary") {
		t.Errorf("a panic's text was shown: %s %s", r.raw, b.log)
	}
	if !strings.Contains(b.log.String(), "panicked") {
		t.Error("the panic was not logged")
	}
	b.want(b.post(failure), 202, "accepted")
}

func TestRequestIDsAreEchoedOnlyIfHarmless(t *testing.T) {
	b := start(t, setup{})
	for _, tt := range []struct {
		sent   string
		echoed bool
	}{
		{"abc-1.2_3", true}, {strings.Repeat("a", 64), true},
		{strings.Repeat("a", 65), false}, {`x","status":1`, false}, {"<script>", false}, {"", false},
	} {
		h := signature1([]byte(failure))
		h.Set("X-Request-Id", tt.sent)
		r := b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), h)
		if (r.RequestID == tt.sent) != tt.echoed {
			t.Errorf("sent %q, got %q", tt.sent, r.RequestID)
		}
	}
}

func TestHealthAndReadinessSayNoDetails(t *testing.T) {
	var fault error
	b := start(t, setup{options: receiver.Options{Ready: func() error { return fault }}})
	b.want(b.do(http.MethodGet, "/readyz", nil, nil), 200, "ready")
	fault = errors.New("database /var/lib/x is locked")
	r := b.do(http.MethodGet, "/readyz", nil, nil)
	b.want(r, 503, "not_ready")
	if strings.Contains(r.raw, "locked") {
		t.Errorf("readiness tells strangers why: %s", r.raw)
	}
	b.want(b.do(http.MethodGet, "/healthz", nil, nil), 200, "ok")
	if r := b.do(http.MethodHead, "/healthz", nil, nil); r.http != 200 {
		t.Errorf("HEAD /healthz: %d", r.http)
	}
}

func TestEveryRequestIsObserved(t *testing.T) {
	type seen struct {
		source, code string
		kept         bool
	}
	all := make(chan seen, 10)
	b := start(t, setup{options: receiver.Options{Observe: func(a receiver.Answered) {
		if a.Took < 0 {
			t.Errorf("took %v", a.Took)
		}
		all <- seen{a.Source, a.Code, a.Event != ""}
	}}})
	b.post(failure)
	b.do(http.MethodPost, "/hooks/datasync", strings.NewReader("x"), nil)
	b.do(http.MethodGet, "/nowhere", nil, nil)
	for _, want := range []seen{{"datasync", "accepted", true}, {"datasync", "signature_missing", false}, {"", "not_found", false}} {
		if got := <-all; got != want {
			t.Errorf("observed %v, want %v", got, want)
		}
	}
}

func TestSandboxIsSaidByEitherSide(t *testing.T) {
	sandbox := source(func(s *receiver.Source) {
		s.Name, s.Path, s.Environment = "sandbox", "/hooks/sandbox", event.Sandbox
		s.Verify.Secrets = []signature.Secret{{Value: "another-secret-of-32-bytes-length"}}
		s.Verify.Scheme, s.Verify.Unauthenticated, s.Verify.Secrets = "none", true, nil
	})
	b := start(t, setup{sources: []receiver.Source{source(nil), sandbox}})
	b.post(`{"id":"1","type":"mdn.timeout","environment":"sandbox"}`)
	b.do(http.MethodPost, "/hooks/sandbox", strings.NewReader(`{"id":"2","type":"mdn.timeout","environment":"production"}`), nil)
	for i, r := range b.inbox.all() {
		if r.Environment != event.Sandbox {
			t.Errorf("event %d is of %s, want sandbox", i, r.Environment)
		}
	}
	if last := b.inbox.all()[1]; last.Authentic {
		t.Error("an unverified event was called authentic")
	}
}

func TestEveryStartWarnsOfWhatIsNotVerified(t *testing.T) {
	open := source(func(s *receiver.Source) {
		s.Verify.Scheme, s.Verify.Unauthenticated, s.Verify.Secrets = "none", true, nil
	})
	b := start(t, setup{sources: []receiver.Source{open}})
	b.do(http.MethodGet, "/healthz", nil, nil)
	if !strings.Contains(b.log.String(), "nothing is verified") {
		t.Errorf("no warning in %q", b.log)
	}
}

func TestRefusalsCannotFillTheLog(t *testing.T) {
	b := start(t, setup{})
	for range 200 {
		b.do(http.MethodPost, "/hooks/datasync", strings.NewReader("x"), nil)
	}
	if lines := strings.Count(b.log.String(), "request refused"); lines == 0 || lines > 60 {
		t.Errorf("%d lines for 200 refusals, want the burst and about one a second", lines)
	}
}

func TestTheSignedAddressIsThePublicOne(t *testing.T) {
	b := start(t, setup{
		cfg:     receiver.Config{PublicURL: "https://ops.example.com/edi/"},
		sources: []receiver.Source{source(func(s *receiver.Source) { s.Verify.Signed = []string{"{url}|{body}"} })},
	})
	h := signature1([]byte("https://ops.example.com/edi/hooks/datasync|" + failure))
	b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), h), 202, "accepted")
}

func TestChecksComeInTheirOrder(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{BodyLimit: 64}})
	long := strings.Repeat("x", 65)
	gzipped := http.Header{"Content-Encoding": {"gzip"}}
	b.want(b.do(http.MethodGet, "/nowhere", nil, gzipped), 404, "not_found")
	b.want(b.do(http.MethodPut, "/hooks/datasync", strings.NewReader(long), gzipped), 405, "method_not_allowed")
	b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(long), gzipped), 415, "unsupported_content_encoding")
	b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(long), nil), 413, "body_too_large")
	b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader("not JSON"), signature1([]byte("other"))), 401, "signature_mismatch")
	// The shape of the headers is judged before a byte of the body has come.
	waiting := b.dial("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	if status, _ := b.status(waiting); status != 401 {
		t.Errorf("%d before the body, want 401", status)
	}
	if n := len(b.inbox.all()); n != 0 {
		t.Errorf("%d events were stored", n)
	}
}
