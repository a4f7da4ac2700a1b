package receiver_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/signature"
)

const otherSecret event.Secret = "another-secret-of-32-bytes-length"

func rekeyed(path string) receiver.Source {
	return source(func(s *receiver.Source) {
		s.Path, s.Verify.Secrets = path, []signature.Secret{{ID: "s2", Value: otherSecret}}
	})
}

// use puts sources in force while the listener serves.
func (b *bridge) use(sources ...receiver.Source) {
	b.t.Helper()
	use, err := b.server.Prepare(sources)
	if err != nil {
		b.t.Fatal(err)
	}
	use()
}

func TestOtherSourcesTakeEffectAtOnce(t *testing.T) {
	b := start(t, setup{})
	b.want(b.post(`{"id":1}`), 202, "quarantined")
	b.use(rekeyed("/hooks/datasync"))
	b.want(b.post(`{"id":2}`), 401, "signature_mismatch")
	b.use(source(func(s *receiver.Source) { s.Path = "/hooks/moved" }))
	b.want(b.post(`{"id":3}`), 404, "not_found")
	body := `{"id":4}`
	b.want(b.do(http.MethodPost, "/hooks/moved", strings.NewReader(body), signature1([]byte(body))), 202, "quarantined")
	got := b.do(http.MethodGet, "/hooks/moved", nil, nil)
	b.want(got, 405, "method_not_allowed")
	if allow := got.header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow is %q", allow)
	}
}

func TestSourcesWithAFaultChangeNothing(t *testing.T) {
	b := start(t, setup{})
	for _, tt := range []struct {
		says    string
		sources []receiver.Source
	}{
		{"sources", nil},
		{"sources[1].path", []receiver.Source{source(nil), source(func(s *receiver.Source) { s.Name = "b" })}},
		{"server.public_url", []receiver.Source{source(func(s *receiver.Source) { s.Verify.Signed = []string{"{url}", "{body}"} })}},
	} {
		if use, err := b.server.Prepare(tt.sources); use != nil || err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Prepare says %v", tt.says, err)
		}
	}
	b.want(b.post(failure), 202, "accepted")
}

// TestARequestEndsByTheSourcesItBeganWith swaps between a body's last byte, at
// which the clock is asked, and its check.
func TestARequestEndsByTheSourcesItBeganWith(t *testing.T) {
	var armed atomic.Bool
	asked, goOn := make(chan struct{}), make(chan struct{})
	b := start(t, setup{options: receiver.Options{Now: func() time.Time {
		if armed.CompareAndSwap(true, false) {
			close(asked)
			<-goOn
		}
		return time.Now()
	}}})
	b.want(b.post(`{"id":0}`), 202, "quarantined") // the start asked too
	armed.Store(true)
	began := make(chan reply, 1)
	go func() { began <- b.post(failure) }()
	<-asked
	b.use(rekeyed("/hooks/moved"))
	b.want(b.post(`{"id":1}`), 404, "not_found")
	close(goOn)
	b.want(<-began, 202, "accepted")
}
