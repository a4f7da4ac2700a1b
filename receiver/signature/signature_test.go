package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"
)

const (
	oldKey = "an-old-secret-of-32-bytes-length"
	newKey = "the-new-secret-of-32-bytes-lengt"
)

var (
	body = []byte(`{"id":"evt_1","type":"transaction.failed"}`)
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

func sum(key string, signed ...string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	for _, s := range signed {
		m.Write([]byte(s))
	}
	return m.Sum(nil)
}

func hexSum(key string, signed ...string) string { return hex.EncodeToString(sum(key, signed...)) }

func custom(edit func(*signature.Config)) signature.Config {
	cfg := signature.Config{
		Scheme:    "custom",
		Secrets:   []signature.Secret{{ID: "new", Value: newKey}},
		Signature: signature.Header{Header: new("X-Datasync-Signature"), Prefix: new("sha256=")},
	}
	if edit != nil {
		edit(&cfg)
	}
	return cfg
}

func codeOf(err error) signature.Code {
	var refusal *signature.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

func TestVerify(t *testing.T) {
	good := "sha256=" + hexSum(newKey, string(body))
	for _, tt := range []struct {
		name   string
		edit   func(*signature.Config)
		header http.Header
		want   signature.Code
		secret string
	}{
		{"the right signature passes", nil, http.Header{"X-Datasync-Signature": {good}}, "", "new"},
		{"upper-case hex passes", nil, http.Header{"X-Datasync-Signature": {"sha256=" + strings.ToUpper(good[7:])}}, "", "new"},
		{"one header twice with one value passes", nil, http.Header{"X-Datasync-Signature": {good, good}}, "", "new"},
		{"two headers that differ are refused, though one is right", nil, http.Header{"X-Datasync-Signature": {good, "sha256=" + hexSum(oldKey, string(body))}}, signature.Malformed, ""},
		{"no header", nil, http.Header{}, signature.Missing, ""},
		{"an empty header", nil, http.Header{"X-Datasync-Signature": {""}}, signature.Missing, ""},
		{"no prefix", nil, http.Header{"X-Datasync-Signature": {good[7:]}}, signature.Malformed, ""},
		{"not hex", nil, http.Header{"X-Datasync-Signature": {"sha256=" + strings.Repeat("z", 64)}}, signature.Malformed, ""},
		{"too short", nil, http.Header{"X-Datasync-Signature": {good[:len(good)-2]}}, signature.Malformed, ""},
		{"too long", nil, http.Header{"X-Datasync-Signature": {good + "00"}}, signature.Malformed, ""},
		{"another key's", nil, http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(oldKey, string(body))}}, signature.Mismatch, ""},
		{"any live secret passes", func(c *signature.Config) {
			c.Secrets = append(c.Secrets, signature.Secret{ID: "old", Value: oldKey, NotAfter: noon})
		}, http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(oldKey, string(body))}}, "", "old"},
		{"a secret past its not_after does not", func(c *signature.Config) {
			c.Secrets = append(c.Secrets, signature.Secret{ID: "old", Value: oldKey, NotAfter: noon.Add(-time.Nanosecond)})
		}, http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(oldKey, string(body))}}, signature.Mismatch, ""},
		{"a list needs one right entry", func(c *signature.Config) { c.Signature.ListSeparator = new(";") },
			http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(oldKey, "x") + " ; " + good}}, "", "new"},
		{"a list may write the prefix once", func(c *signature.Config) { c.Signature.ListSeparator = new(" ") },
			http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(oldKey, "x") + " " + good[7:]}}, "", "new"},
		{"base64", func(c *signature.Config) { c.Signature.Encoding = new("base64") },
			http.Header{"X-Datasync-Signature": {"sha256=" + base64.StdEncoding.EncodeToString(sum(newKey, string(body)))}}, "", "new"},
		{"base64 without its padding", func(c *signature.Config) { c.Signature.Encoding = new("base64") },
			http.Header{"X-Datasync-Signature": {"sha256=" + base64.RawStdEncoding.EncodeToString(sum(newKey, string(body)))}}, signature.Malformed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := mustNew(t, custom(tt.edit)).Verify(tt.header, body, noon)
			if codeOf(err) != tt.want || (err != nil) != (tt.want != "") {
				t.Fatalf("err = %v, want code %q", err, tt.want)
			}
			if got.SecretID != tt.secret {
				t.Errorf("secret %q, want %q", got.SecretID, tt.secret)
			}
		})
	}
}

func TestFreshnessIsSymmetricAndComesAfterTheMAC(t *testing.T) {
	cfg := custom(func(c *signature.Config) {
		c.Timestamp = signature.Timestamp{Header: new("X-Time"), Tolerance: new(5 * time.Minute)}
		c.Signed = []string{"{timestamp}.{body}"}
	})
	v := mustNew(t, cfg)
	stamped := func(stamp, key string) http.Header {
		return http.Header{"X-Time": {stamp}, "X-Datasync-Signature": {"sha256=" + hexSum(key, stamp, ".", string(body))}}
	}
	at := func(off time.Duration) string { return strconv.FormatInt(noon.Add(off).Unix(), 10) }
	for _, tt := range []struct {
		name   string
		header http.Header
		want   signature.Code
	}{
		{"now", stamped(at(0), newKey), ""},
		{"at the edge of the past", stamped(at(-5*time.Minute), newKey), ""},
		{"past the past", stamped(at(-5*time.Minute-time.Second), newKey), signature.Stale},
		{"at the edge of the future", stamped(at(5*time.Minute), newKey), ""},
		{"past the future", stamped(at(5*time.Minute+time.Second), newKey), signature.Stale},
		{"the end of time", stamped("9223372036854775807", newKey), signature.Stale},
		{"the beginning of time", stamped("-9223372036854775808", newKey), signature.Stale},
		{"leading zeros are signed as they stand", stamped("00"+at(0), newKey), ""},
		{"stale and forged is called forged", stamped(at(-time.Hour), oldKey), signature.Mismatch},
		{"no number but signed", stamped("hello", newKey), signature.Malformed},
		{"no number and forged is called forged", stamped("hello", oldKey), signature.Mismatch},
		{"no timestamp", http.Header{"X-Datasync-Signature": stamped(at(0), newKey)["X-Datasync-Signature"]}, signature.Missing},
		{"two timestamps that differ", func() http.Header {
			h := stamped(at(0), newKey)
			h.Add("X-Time", at(time.Second))
			return h
		}(), signature.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := v.Verify(tt.header, body, noon); codeOf(err) != tt.want || (err != nil) != (tt.want != "") {
				t.Errorf("err = %v, want code %q", err, tt.want)
			}
		})
	}
}

func TestTimestampFormats(t *testing.T) {
	for _, tt := range []struct{ format, text string }{
		{"unix", "1795435200"}, {"unix_ms", "1795435200000"},
		{"rfc3339", "2026-11-23T12:00:00Z"}, {"rfc3339", "2026-11-23T06:00:00.000-06:00"},
	} {
		t.Run(tt.format, func(t *testing.T) {
			cfg := custom(func(c *signature.Config) {
				c.Timestamp = signature.Timestamp{Header: new("X-Time"), Format: new(tt.format)}
				c.Signed = []string{"{timestamp}", "{body}"}
			})
			h := http.Header{"X-Time": {tt.text}, "X-Datasync-Signature": {"sha256=" + hexSum(newKey, tt.text, string(body))}}
			got, err := mustNew(t, cfg).Verify(h, body, noon)
			if err != nil || !got.Timestamp.Equal(noon) {
				t.Errorf("timestamp %v, err %v; want %v", got.Timestamp, err, noon)
			}
		})
	}
}

func TestIdsAreSignedOrSaidNotToBe(t *testing.T) {
	signed := custom(func(c *signature.Config) {
		c.ID.Header = new("X-Id")
		c.Signed = []string{"{id}.{body}"}
	})
	h := http.Header{"X-Id": {"m1"}, "X-Datasync-Signature": {"sha256=" + hexSum(newKey, "m1", ".", string(body))}}
	if got, err := mustNew(t, signed).Verify(h, body, noon); err != nil || got.SignedID != "m1" || got.UnsignedID != "" {
		t.Errorf("signed id: %+v, %v", got, err)
	}
	h.Set("X-Id", "m2")
	if _, err := mustNew(t, signed).Verify(h, body, noon); codeOf(err) != signature.Mismatch {
		t.Errorf("changed id: %v, want a mismatch", err)
	}
	h.Del("X-Id")
	if _, err := mustNew(t, signed).Verify(h, body, noon); codeOf(err) != signature.Missing {
		t.Errorf("no id: %v, want missing", err)
	}
	github := signature.Config{Scheme: "github", Secrets: []signature.Secret{{Value: newKey}}}
	h = http.Header{"X-Github-Delivery": {"d1"}, "X-Hub-Signature-256": {"sha256=" + hexSum(newKey, string(body))}}
	if got, err := mustNew(t, github).Verify(h, body, noon); err != nil || got.SignedID != "" || got.UnsignedID != "d1" {
		t.Errorf("unsigned id: %+v, %v", got, err)
	}
}

func TestSchemeNoneProvesNothing(t *testing.T) {
	v := mustNew(t, signature.Config{Scheme: "none", Unauthenticated: true})
	got, err := v.Verify(http.Header{}, body, noon)
	if err != nil || got.Authentic {
		t.Errorf("%+v, %v; want an unauthentic pass", got, err)
	}
}

func TestOneSecretTextIsThreeKeysInThreeSchemes(t *testing.T) {
	const text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	inner, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	for encoding, key := range map[string]string{"utf8": text, "whsec": string(inner)} {
		cfg := custom(func(c *signature.Config) {
			c.Secrets = []signature.Secret{{Value: event.Secret(text), Encoding: encoding}}
		})
		h := http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(key, string(body))}}
		if _, err := mustNew(t, cfg).Verify(h, body, noon); err != nil {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}

func TestPresetsAreOverriddenKeyByKey(t *testing.T) {
	cfg := signature.Config{
		Scheme: "stripe", Secrets: []signature.Secret{{Value: newKey}},
		Signature: signature.Header{Header: new("Mux-Signature")},
		Timestamp: signature.Timestamp{Tolerance: new(time.Hour)},
	}
	stamp := strconv.FormatInt(noon.Add(-30*time.Minute).Unix(), 10)
	h := http.Header{"Mux-Signature": {"t=" + stamp + ",v0=00,v1=" + hexSum(newKey, stamp, ".", string(body))}}
	if _, err := mustNew(t, cfg).Verify(h, body, noon); err != nil {
		t.Error(err)
	}
}

func BenchmarkVerify(b *testing.B) {
	kilobyte := []byte(strings.Repeat("x", 1024))
	v := mustNew(b, custom(nil))
	h := http.Header{"X-Datasync-Signature": {"sha256=" + hexSum(newKey, string(kilobyte))}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(h, kilobyte, noon); err != nil {
			b.Fatal(err)
		}
	}
}
