package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"
)

// Every published signature that is valid is found again from its request, and
// none that is not.
func TestDiscoverFindsThePublishedSchemes(t *testing.T) {
	found := 0
	for _, v := range vectors(t) {
		d := signature.Discover(v.header(), []byte(v.Body), event.Secret(v.Secret), v.URL)
		if !v.Valid {
			// What is stale, or breaks another rule of its scheme, may be proved by
			// one of its kin; a body that was changed by none.
			if strings.Contains(v.Name, "tampered") && len(d.Found) > 0 {
				t.Errorf("%s: found %v for a body that was changed", v.Name, d.Found[0].Scheme)
			}
			continue
		}
		found++
		if len(d.Found) == 0 {
			t.Errorf("%s: nothing was found in %d tries over %v", v.Name, d.Tried, d.Headers)
			continue
		}
		if want := v.config().Scheme; want != "custom" && !slices.ContainsFunc(d.Found, func(f signature.Found) bool { return f.Scheme == want }) {
			t.Errorf("%s: found %v, not the preset %s", v.Name, d.Found[0].Scheme, want)
		}
	}
	if found < 15 {
		t.Fatalf("only %d vectors are valid", found)
	}
}

func TestDiscoverFindsCustomSchemesAndPutsTheSafestFirst(t *testing.T) {
	body, secret := `{"id":"evt_1"}`, "whsec_"+base64.StdEncoding.EncodeToString([]byte("twenty-four bytes of key"))
	mac := func(key []byte, parts ...string) []byte {
		m := hmac.New(sha256.New, key)
		_, _ = m.Write([]byte(strings.Join(parts, "")))
		return m.Sum(nil)
	}
	utf8, raw := []byte(secret), []byte("twenty-four bytes of key")
	hexed, b64 := hex.EncodeToString, base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct {
		headers     map[string]string
		signed      string
		timestamped bool
	}{
		"hex of the body":           {map[string]string{"X-Datasync-Signature": "sha256=" + hexed(mac(utf8, body))}, "{body}", false},
		"base64, decoded key":       {map[string]string{"X-Sig": b64(mac(raw, body))}, "{body}", false},
		"time in another header":    {map[string]string{"X-Sig": "v1=" + hexed(mac(utf8, "1764200000", ".", body)), "X-Time": "1764200000"}, "{timestamp}.{body}", true},
		"time in milliseconds":      {map[string]string{"X-Sig": hexed(mac(utf8, "1764200000123", body)), "X-Time": "1764200000123"}, "{timestamp}{body}", true},
		"pairs":                     {map[string]string{"X-Sig": "t=1764200000,v1=" + hexed(mac(utf8, "1764200000", ":", body))}, "{timestamp}:{body}", true},
		"id and time":               {map[string]string{"X-Sig": "v1," + b64(mac(raw, "evt_1", ".", "1764200000", ".", body)), "X-Event-Id": "evt_1", "X-Time": "1764200000"}, "{id}.{timestamp}.{body}", true},
		"the address before it":     {map[string]string{"X-Sig": b64(mac(utf8, "https://ops.example.com/h", body))}, "{url}{body}", false},
		"two schemes, one safer":    {map[string]string{"A-Sig": hexed(mac(utf8, body)), "X-Sig": hexed(mac(utf8, "1764200000", ".", body)), "X-Time": "1764200000"}, "{timestamp}.{body}", true},
		"one of several, in a list": {map[string]string{"X-Sig": "v1=" + hexed(mac([]byte("old"), body)) + ",v1=" + hexed(mac(utf8, body))}, "{body}", false},
	} {
		h := http.Header{"Content-Type": {"application/json"}, "Date": {"Wed, 26 Nov 2025 23:33:20 GMT"}}
		for k, v := range c.headers {
			h.Set(k, v)
		}
		d := signature.Discover(h, []byte(body), event.Secret(secret), "https://ops.example.com/h")
		if len(d.Found) == 0 {
			t.Errorf("%s: nothing was found in %d tries over %v", name, d.Tried, d.Headers)
			continue
		}
		if got := strings.Join(d.Found[0].Signed, ""); got != c.signed || d.Found[0].Timestamped != c.timestamped {
			t.Errorf("%s: found %q first (timestamped %v), want %q", name, got, d.Found[0].Timestamped, c.signed)
		}
		if d := signature.Discover(h, []byte(body), "another-secret-altogether", "https://ops.example.com/h"); len(d.Found) > 0 {
			t.Errorf("%s: found with a wrong secret", name)
		}
	}
}
