package signature_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/receiver/signature"

	"pgregory.net/rapid"
)

// standard builds a Standard Webhooks request, the scheme with the most signed parts.
func standard(id string, at time.Time, payload []byte) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := sum(newKey, id, ".", stamp, ".", string(payload))
	return http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac)},
	}
}

func standardVerifier(t testing.TB) *signature.Verifier {
	return mustNew(t, signature.Config{Scheme: "standard-webhooks", Secrets: []signature.Secret{
		{Value: newKey, Encoding: "utf8"},
	}})
}

func flip(rt *rapid.T, b []byte) []byte {
	out := bytes.Clone(b)
	i := rapid.IntRange(0, len(out)-1).Draw(rt, "position")
	out[i] ^= rapid.ByteRange(1, 255).Draw(rt, "bits")
	return out
}

func TestAnyFlippedByteIsRefused(t *testing.T) {
	v := standardVerifier(t)
	rapid.Check(t, func(rt *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "body")
		id := rapid.StringMatching(`[A-Za-z0-9_-]{1,30}`).Draw(rt, "id")
		h := standard(id, noon, payload)
		if _, err := v.Verify(h, payload, noon); err != nil {
			rt.Fatalf("the untouched request: %v", err)
		}
		part := rapid.SampledFrom([]string{"body", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}).Draw(rt, "part")
		sent := payload
		if part == "body" {
			sent = flip(rt, payload)
		} else {
			h[part] = []string{string(flip(rt, []byte(h[part][0])))}
		}
		// A flipped prefix or separator may leave the same 32 bytes under another
		// version's name, never under ours.
		if _, err := v.Verify(h, sent, noon); err == nil {
			rt.Fatalf("passed with a flipped byte of %s: %q", part, h[part])
		}
	})
}

func TestAnyFlippedHexDigitIsRefused(t *testing.T) {
	v := mustNew(t, custom(nil))
	rapid.Check(t, func(rt *rapid.T) {
		payload := rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
		good := "sha256=" + hexSum(newKey, string(payload))
		bad := string(flip(rt, []byte(good)))
		if strings.EqualFold(good[7:], bad[7:]) && good[:7] == bad[:7] {
			return // the same digit in the other case
		}
		if _, err := v.Verify(http.Header{"X-Datasync-Signature": {bad}}, payload, noon); err == nil {
			rt.Fatalf("%q passed", bad)
		}
	})
}

// FuzzHeaders looks for headers that crash the parser or pass without the key.
func FuzzHeaders(f *testing.F) {
	for _, v := range vectors(f) {
		for _, value := range v.Headers {
			f.Add(value, "1614265330", "msg_1", uint8(len(v.Name)))
		}
	}
	f.Add("t=1,t=2,v1=,v1=00;h1= ", "", "\x00", uint8(3))
	f.Add("v1,"+strings.Repeat("A", 43), "9223372036854775807", strings.Repeat("x", 300), uint8(5))
	names := signature.Presets()
	verifiers := map[string]*signature.Verifier{}
	for _, name := range names {
		verifiers[name] = mustNew(f, signature.Config{Scheme: name, Secrets: []signature.Secret{{Value: newKey, Encoding: "utf8"}}})
	}
	f.Fuzz(func(t *testing.T, value, stamp, id string, pick uint8) {
		name := names[int(pick)%len(names)]
		cfg := signature.Config{Scheme: name}.WithDefaults()
		h := http.Header{}
		h.Set(*cfg.Signature.Header, value)
		if at := cfg.Timestamp.Header; at != nil && *at != *cfg.Signature.Header {
			h.Set(*at, stamp)
		}
		if cfg.ID.Header != nil {
			h.Set(*cfg.ID.Header, id)
		}
		if got, err := verifiers[name].Verify(h, body, noon); err == nil || got.Authentic {
			t.Fatalf("%s: %q passed without the key", name, value)
		}
	})
}
