package signature_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"
)

// FuzzDiscover gives the search a stranger's capture: it ends, and finds nothing
// that does not verify.
func FuzzDiscover(f *testing.F) {
	for _, v := range vectors(f) {
		for name, value := range v.Headers {
			f.Add(name, value, v.Body, v.Secret)
		}
	}
	f.Fuzz(func(t *testing.T, name, value, body, secret string) {
		h := http.Header{http.CanonicalHeaderKey(name): {value}, "X-Time": {"1764200000"}, "X-Event-Id": {"1"}}
		if len(value)+len(body) > 4096 {
			return
		}
		for _, found := range signature.Discover(h, []byte(body), event.Secret(secret), "https://ops.example.com/h").Found {
			v, err := signature.New(found.Config, "https://ops.example.com/h")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(h, []byte(body), time.Now()); err != nil && !strings.Contains(err.Error(), string(signature.Stale)) {
				t.Fatalf("found, and it does not verify: %v", err)
			}
		}
	})
}
