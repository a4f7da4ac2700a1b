package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/receiver/signature"
)

const address = "https://ops.example.com/hooks/datasync" // of mustNew

// scheme signs as a sender documents it, written a second time and beside the
// presets. Where stamp or id is "", the sender has none of its own header.
type scheme struct {
	header, stamp, id string
	// unsigned reports that the id is not covered by the signature.
	unsigned bool
	at       func(time.Time) string
	sign     func(stamp, id string, body []byte) string
}

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func inBase64(signed ...string) string {
	return base64.StdEncoding.EncodeToString(sum(newKey, signed...))
}

var standardScheme = func(family string) scheme {
	return scheme{family + "Signature", family + "Timestamp", family + "Id", false, unix, func(stamp, id string, body []byte) string {
		return "v1," + inBase64(id, ".", stamp, ".", string(body))
	}}
}

var schemes = map[string]scheme{
	"github": {"X-Hub-Signature-256", "", "X-Github-Delivery", true, nil, func(_, _ string, body []byte) string {
		return "sha256=" + hexSum(newKey, string(body))
	}},
	"stripe": {"Stripe-Signature", "", "", false, unix, func(stamp, _ string, body []byte) string {
		return "t=" + stamp + ",v1=" + hexSum(newKey, stamp, ".", string(body))
	}},
	"slack": {"X-Slack-Signature", "X-Slack-Request-Timestamp", "", false, unix, func(stamp, _ string, body []byte) string {
		return "v0=" + hexSum(newKey, "v0:", stamp, ":", string(body))
	}},
	"shopify": {"X-Shopify-Hmac-Sha256", "", "X-Shopify-Webhook-Id", true, nil, func(_, _ string, body []byte) string {
		return inBase64(string(body))
	}},
	"standard-webhooks": standardScheme("Webhook-"),
	"svix":              standardScheme("Svix-"),
	"pagerduty": {"X-Pagerduty-Signature", "", "", false, nil, func(_, _ string, body []byte) string {
		return "v1=" + hexSum(newKey, string(body))
	}},
	"zendesk": {"X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp", "X-Zendesk-Webhook-Invocation-Id", true,
		func(at time.Time) string { return at.Format(time.RFC3339) },
		func(stamp, _ string, body []byte) string { return inBase64(stamp, string(body)) }},
	"paddle": {"Paddle-Signature", "", "", false, unix, func(stamp, _ string, body []byte) string {
		return "ts=" + stamp + ";h1=" + hexSum(newKey, stamp, ":", string(body))
	}},
	"square": {"X-Square-Hmacsha256-Signature", "", "", false, nil, func(_, _ string, body []byte) string {
		return inBase64(address, string(body))
	}},
}

// signed is a request as its sender makes it.
func (s scheme) signed(stamp, id string, body []byte) http.Header {
	h := http.Header{s.header: {s.sign(stamp, id, body)}}
	if s.stamp != "" {
		h[s.stamp] = []string{stamp}
	}
	if s.id != "" {
		h[s.id] = []string{id}
	}
	return h
}

func (s scheme) stamped(at time.Time) string {
	if s.at == nil {
		return ""
	}
	return s.at(at)
}

func presetVerifier(t testing.TB, name string) *signature.Verifier {
	return mustNew(t, signature.Config{Scheme: name, Secrets: []signature.Secret{{Value: newKey, Encoding: "utf8"}}})
}

// TestEveryFlippedByteOfEveryPresetIsRefused turns each byte of the body, the
// signature, the timestamp and the signed id into every other, one at a time.
func TestEveryFlippedByteOfEveryPresetIsRefused(t *testing.T) {
	if len(schemes) != len(signature.Presets()) {
		t.Errorf("%d schemes for %d presets", len(schemes), len(signature.Presets()))
	}
	for _, name := range signature.Presets() {
		t.Run(name, func(t *testing.T) {
			s, v := schemes[name], presetVerifier(t, name)
			h := s.signed(s.stamped(noon), "msg_2KWPBgLlAfxd", body)
			if _, err := v.Verify(h, body, noon); err != nil {
				t.Fatalf("the untouched request: %v", err)
			}
			flips := 0
			everyFlip(body, func(at int, bad []byte) {
				flips++
				if _, err := v.Verify(h, bad, noon); err == nil {
					t.Errorf("passed with byte %d of the body as %q", at, bad[at])
				}
			})
			for part, values := range h {
				if part == s.id && s.unsigned {
					continue
				}
				everyFlip([]byte(values[0]), func(at int, bad []byte) {
					flips++
					if sameHex(values[0], string(bad)) {
						return
					}
					touched := h.Clone()
					touched[part] = []string{string(bad)}
					if got, err := v.Verify(touched, body, noon); err == nil || got.Authentic {
						t.Errorf("passed with byte %d of %s as %q", at, part, bad[at])
					}
				})
			}
			if flips < 255*(len(body)+32) {
				t.Errorf("only %d flips", flips)
			}
		})
	}
}

func everyFlip(of []byte, try func(at int, bad []byte)) {
	for at := range of {
		for bits := 1; bits < 256; bits++ {
			bad := bytes.Clone(of)
			bad[at] ^= byte(bits)
			try(at, bad)
		}
	}
}

// sameHex reports that two texts differ only in the case of hexadecimal digits
// of a MAC: they are the same signature.
func sameHex(good, bad string) bool {
	n := len(good) - 64
	if n < 0 || len(bad) != len(good) || good[:n] != bad[:n] {
		return false
	}
	x, errX := hex.DecodeString(good[n:])
	y, errY := hex.DecodeString(bad[n:])
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// FuzzVerify looks, for every preset, for headers and a body that pass without
// the right MAC, for what is rightly signed and does not pass, and for a body
// that passes under the signature of another.
func FuzzVerify(f *testing.F) {
	names := signature.Presets()
	for i, name := range names {
		s := schemes[name]
		stamp := s.stamped(noon)
		f.Add(uint8(i), s.sign(stamp, "msg_1", body), stamp, "msg_1", body)
		f.Add(uint8(i), s.sign(stamp, "msg_1", body)+",v1=00", "", "\x00", []byte{})
	}
	verifiers := map[string]*signature.Verifier{}
	for _, name := range names {
		verifiers[name] = presetVerifier(f, name)
	}
	f.Fuzz(func(t *testing.T, pick uint8, value, stamp, id string, text []byte) {
		name := names[int(pick)%len(names)]
		s, v := schemes[name], verifiers[name]
		h := s.signed(stamp, id, text)
		right := h[s.header][0]
		_, errRight := v.Verify(h, text, noon)
		if plain := s.stamped(noon); stamp == plain && id == "msg_1" && errRight != nil {
			t.Fatalf("%s: rightly signed and refused: %v", name, errRight)
		}
		if _, err := v.Verify(h, append(slices.Clone(text), 'x'), noon); err == nil {
			t.Fatalf("%s: a longer body passed under the signature of a shorter one", name)
		}
		h[s.header] = []string{value}
		got, err := v.Verify(h, text, noon)
		if err != nil && got.Authentic {
			t.Fatalf("%s: refused and authentic", name)
		}
		if err == nil && !strings.Contains(strings.ToLower(value), mac(right)) && !strings.Contains(value, mac(right)) && !signedOtherwise(s, value, id, text) {
			t.Fatalf("%s: %q passed, right is %q", name, value, right)
		}
	})
}

// mac is the signature's own part of a header.
func mac(right string) string {
	if at := strings.LastIndexAny(right[:len(right)-1], ",="); at >= 0 {
		return right[at+1:]
	}
	return right
}

// signedOtherwise reports that the value holds a timestamp of its own and is
// signed rightly for that.
func signedOtherwise(s scheme, value, id string, text []byte) bool {
	for pair := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ';' }) {
		if _, stamp, ok := strings.Cut(strings.TrimSpace(pair), "="); ok &&
			strings.Contains(strings.ToLower(value), mac(s.sign(strings.TrimSpace(stamp), id, text))) {
			return true
		}
	}
	return false
}
