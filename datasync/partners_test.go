package datasync_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"datasync-bridge/datasync"
)

func TestPartnerIsReadUnderLikelyNames(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	colons := strings.TrimSuffix(strings.Repeat("0A:", 32), ":")
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	certificate := datasync.Certificate{ID: "crt_1", Role: "signing", Subject: "CN=acme", Fingerprint: sum, NotAfter: end}
	acme := datasync.Partner{
		ID: "par_1", Name: "Acme", Status: "active",
		Contact:      datasync.Contact{Name: "Bo", Email: "bo@acme.example", Phone: "+1 555", Hours: "8–17"},
		Certificates: []datasync.Certificate{certificate},
	}
	for _, tt := range []struct {
		name, answer string
		want         datasync.Partner
	}{
		{"as assumed", `{"id":"par_1","name":"Acme","status":"active",
			"contact":{"name":"Bo","email":"bo@acme.example","phone":"+1 555","hours":"8–17"},
			"certificates":[{"id":"crt_1","role":"signing","subject":"CN=acme","sha256_fingerprint":"` + sum + `","not_after":"2026-12-01T00:00:00Z"}]}`, acme},
		{"wrapped, contacts and certificates elsewhere", `{"data":{"partner_id":"par_1","display_name":"Acme","state":"active",
			"contacts":[{"name":"Bo","email":"bo@acme.example","phone":"+1 555","business_hours":"8–17"}],
			"transport":{"as2":{"certificates":{"signing":{"certificate_id":"crt_1","subject":{"common_name":"CN=acme"},
			"fingerprint":{"sha256":"SHA256:` + colons + `"},"valid_until":"2026-11-30T18:00:00-06:00"}}}}}}`, acme},
		{"hardly anything", `{"name":"Acme"}`, datasync.Partner{ID: "par_1", Name: "Acme"}},
		{"a SHA-1 is no SHA-256, a time without a zone is none", `{"id":"par_1","certificates":[{"id":"c","fingerprint":"` + sum[:40] + `","not_after":"2026-12-01"}, 7]}`,
			datasync.Partner{ID: "par_1", Certificates: []datasync.Certificate{{ID: "c"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pages(t, tt.answer).client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "par_1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(datasync.Partner{}, "Raw")); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("bounded", func(t *testing.T) {
		got, err := pages(t, `{"certificates":[`+strings.Repeat(`{"id":"c"},`, 500)+`{}]}`).client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "par_1")
		if err != nil || len(got.Certificates) != 100 {
			t.Errorf("%d certificates, error %v", len(got.Certificates), err)
		}
	})
}

func TestRawKeepsAllButSecrets(t *testing.T) {
	got, err := pages(t, `{"id":"par_1","custom":{"n":12345678901234567890.10,"list":[{"Password":"canary","user":"u"}]},
		"transport":{"sftp":{"private_key":"canary","PrivateKeyPassphrase":"canary","ssh-key":"canary","key":"canary","host_key":"public",
		"url":"sftp://u:canary@acme.example/in"},"as2":{"url":"https://acme.example/as2?a=1&b=2"}},
		"client_secret":"canary","api-key":["canary"],"access_token":"canary","notes":"-----BEGIN RSA PRIVATE KEY-----\ncanary",
		"echo":"Bearer s3cret-of-ours"}`).client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "par_1")
	if err != nil {
		t.Fatal(err)
	}
	raw := string(got.Raw)
	for _, never := range []string{"canary", "s3cret-of-ours", "assword", "assphrase"} {
		if strings.Contains(raw, never) {
			t.Errorf("%q is in %s", never, raw)
		}
	}
	for _, kept := range []string{`"n":12345678901234567890.10`, `"user":"u"`, `"host_key":"public"`, `acme.example/in`, `as2?a=1&b=2`} {
		if !strings.Contains(raw, kept) {
			t.Errorf("%q is missing in %s", kept, raw)
		}
	}
}

func TestNewPartner(t *testing.T) {
	profile := map[string]any{
		"name": "Acme", "transport": map[string]any{"sftp": map[string]any{"user": "u", "password": "canary-pass"}},
		"keys": []any{map[string]any{"private_key": "-----BEGIN PRIVATE KEY-----\nMIIcanarycanarycanary\n-----END PRIVATE KEY-----\n"}},
	}
	t.Run("is sent as it is given", func(t *testing.T) {
		var sent map[string]any
		w := &wire{answer: func(_ int, r *http.Request) (*http.Response, error) {
			return reply(201, `{"id":"par_9","name":"Acme","transport":{"sftp":{"password":"canary-pass"}}}`, "X-Request-Id", "req_1"), nil
		}}
		got, err := datasync.New(datasync.Config{BaseURL: "https://api.example/v1", ClientID: "i", ClientSecret: "s"}, &http.Client{Transport: bodies{w, &sent}}, datasync.Options{}).
			CreatePartner(t.Context(), profile)
		if err != nil || got.ID != "par_9" || got.RequestID != "req_1" || strings.Contains(string(got.Raw), "canary") {
			t.Errorf("%+v, raw %s, error %v", got, got.Raw, err)
		}
		if diff := cmp.Diff(profile, sent); diff != "" {
			t.Error(diff)
		}
		if r := w.calls[0]; r.Method != http.MethodPost || r.URL.Path != "/v1/partners" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
	})
	t.Run("stands though its answer is none", func(t *testing.T) {
		if got, err := pages(t, ``).client(datasync.Config{}, datasync.Options{}).CreatePartner(t.Context(), profile); err != nil || got.Raw != nil {
			t.Errorf("%+v, error %v", got, err)
		}
	})
	t.Run("leaves no secret in an error", func(t *testing.T) {
		w := &wire{answer: func(int, *http.Request) (*http.Response, error) {
			return reply(422, `{"error":{"message":"password canary-pass is weak, line MIIcanarycanarycanary is bad, name Acme is taken"}}`), nil
		}}
		_, err := w.client(datasync.Config{}, datasync.Options{}).CreatePartner(t.Context(), profile)
		if e := kindOf(t, err); e.Kind != datasync.Payload || strings.Contains(e.Error(), "canary") || !strings.Contains(e.Error(), "Acme is taken") {
			t.Errorf("%v", e)
		}
	})
}

// bodies writes down the JSON of the last body.
type bodies struct {
	next http.RoundTripper
	last *map[string]any
}

func (b bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	*b.last = nil
	if err := json.Unmarshal(text, b.last); err != nil {
		return nil, err
	}
	return b.next.RoundTrip(r)
}

func TestSubscriptionKeepsItsSecretApart(t *testing.T) {
	sub, err := pages(t, `{"id":"sub_1","secret":"canary","status":"active","retries":{"max":5}}`).client(datasync.Config{}, datasync.Options{}).
		Subscribe(t.Context(), "n", "https://ops.example/h", []string{"*"})
	if err != nil || sub.ID != "sub_1" || sub.Secret.Reveal() != "canary" {
		t.Errorf("%+v, error %v", sub, err)
	}
	if raw := string(sub.Raw); raw != `{"id":"sub_1","retries":{"max":5},"status":"active"}` {
		t.Errorf("raw %s", raw)
	}
}

func TestRunKeepsUnknownFields(t *testing.T) {
	a, err := pages(t, `{"run_id":"run_1","queue":{"position":3}}`).client(datasync.Config{}, datasync.Options{}).Run(t.Context(), "w", nil, "k")
	if err != nil || string(a.Raw) != `{"queue":{"position":3},"run_id":"run_1"}` {
		t.Errorf("raw %s, error %v", a.Raw, err)
	}
}
