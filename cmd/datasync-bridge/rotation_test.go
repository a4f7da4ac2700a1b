package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestASecretIsChangedWithoutARefusedEvent changes the secret of the real
// process under load: the new one beside the old, the sender changes, the old
// one goes. Nothing that is validly signed at its time is refused, and the old
// secret proves nothing afterwards.
func TestASecretIsChangedWithoutARefusedEvent(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, "defaults: {notify: [ops]}\n"))
	const other = "another-secret-of-more-than-16-bytes"
	both := `[{id: s1, value: "` + testSecret + `"}, {id: s2, value: "` + other + `"}]`
	var current atomic.Value
	current.Store(testSecret)
	var serial, refused atomic.Int64
	var posters sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		posters.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				n := int(serial.Add(1))
				if status := postSigned(t, s, eventBody(n, "transaction.failed", n), current.Load().(string)); status != http.StatusAccepted {
					refused.Add(1)
				}
			}
		})
	}
	some := func() {
		from := serial.Load()
		eventually(t, time.Minute, "events are posted meanwhile", func() bool { return serial.Load() > from+200 })
	}
	some()
	s.rewrite(`[{id: s1, value: "`+testSecret+`"}]`, both)
	some()
	current.Store(other)
	some()
	s.rewrite(both, `[{id: s2, value: "`+other+`"}]`)
	some()
	close(done)
	posters.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d of %d events were refused\n%s", n, serial.Load(), s.log())
	}
	if status := postSigned(t, s, []byte(`{"type":"transaction.failed"}`), testSecret); status != http.StatusUnauthorized {
		t.Errorf("the old secret is answered %d after it went, want 401", status)
	}
	if strings.Contains(s.log(), "needs a restart") {
		t.Errorf("a restart is asked for\n%s", s.log())
	}
}

// rewrite changes the configuration's text and reloads it.
func (s *served) rewrite(from, to string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(from)) {
		s.t.Fatalf("the configuration does not hold %s", from)
	}
	if err := os.WriteFile(s.config, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.works("reload")
}

// postSigned posts an event signed with some secret; 0 is no answer.
func postSigned(t *testing.T, s *served, body []byte, secret string) int {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.public+"/hooks/datasync", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	request.Header.Set("X-Datasync-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := hurried.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
