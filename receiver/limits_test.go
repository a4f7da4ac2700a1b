package receiver_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/receiver"
)

// TestOnlyFailuresAreCountedAndOnlyFailuresAreLimited goes through what ingest
// rule 3 says of 429, with the limit that is the default and a sender that no
// proxy stands before.
func TestOnlyFailuresAreCountedAndOnlyFailuresAreLimited(t *testing.T) {
	var ahead atomic.Int64 // of the clock, in nanoseconds
	begin := time.Now().Truncate(time.Minute).Add(10 * time.Second)
	b := start(t, setup{options: receiver.Options{Now: func() time.Time { return begin.Add(time.Duration(ahead.Load())) }}})
	serial := 0
	send := func(header string) reply {
		serial++
		h := http.Header{"X-Forwarded-For": {fmt.Sprintf("198.51.%d.%d", serial/200, serial%200)}} // the client's word, and no proxy's
		if header != "" {
			h.Set("X-Datasync-Signature", header)
		}
		return b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), h)
	}
	good := signed([]byte(failure))
	b.want(send(good), 202, "accepted")
	for range 350 { // verified ones count nothing, however many
		b.want(send(good), 200, "duplicate")
	}
	for range 10 { // nor does what is refused for another reason
		b.want(b.do(http.MethodPost, "/nowhere", nil, nil), 404, "not_found")
		b.want(b.do(http.MethodPost, "/hooks/datasync", nil, http.Header{"Content-Encoding": {"gzip"}}), 415, "unsupported_content_encoding")
	}
	failures := []struct{ header, code string }{
		{"", "signature_missing"}, {"sha256=nonsense", "signature_malformed"}, {signed([]byte("other")), "signature_mismatch"},
	}
	for n := range 300 { // every way to fail counts as one
		b.want(send(failures[n%3].header), 401, failures[n%3].code)
	}
	for _, f := range failures {
		r := send(f.header)
		b.want(r, 429, "too_many_failures")
		if wait := r.header.Get("Retry-After"); wait != "50" {
			t.Errorf("Retry-After is %q, want the 50 s that are left of the minute", wait)
		}
	}
	b.want(send(good), 200, "duplicate")
	b.want(b.post(`{"id":"another"}`), 202, "quarantined")
	if n := len(b.inbox.all()); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
	ahead.Store(int64(50 * time.Second))
	b.want(send(""), 401, "signature_missing")
}
