package signature_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"
)

// vector is one row of the table of published signatures.
type vector struct {
	Name         string            `json:"name"`
	Scheme       string            `json:"scheme"`
	Secret       string            `json:"secret"`
	Headers      map[string]string `json:"headers"`
	HeaderPrefix string            `json:"header_prefix"`
	Body         string            `json:"body"`
	Valid        bool              `json:"valid"`
	Now          int64             `json:"now"`
	URL          string            `json:"url"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/signature_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// config names the table's schemes in configuration's words.
func (v vector) config() signature.Config {
	cfg := signature.Config{Scheme: v.Scheme, URL: v.URL, Secrets: []signature.Secret{{Value: event.Secret(v.Secret)}}}
	switch v.Scheme {
	case "hmac-sha256-hex-raw-body":
		cfg.Scheme, cfg.Signature.Header = "custom", new("X-Signature")
	case "generic-hex-multi":
		cfg.Scheme = "custom"
		cfg.Signature = signature.Header{Header: new("X-Signature"), Prefix: new("sha256="), ListSeparator: new(",")}
	case "pagerduty-v3":
		cfg.Scheme = "pagerduty"
	case "standard-webhooks":
		if v.HeaderPrefix == "svix-" {
			cfg.Scheme = "svix"
		}
	}
	return cfg
}

func (v vector) header() http.Header {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return h
}

func mustNew(t testing.TB, cfg signature.Config) *signature.Verifier {
	t.Helper()
	v, err := signature.New(cfg, "https://ops.example.com/hooks/datasync")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPublishedVectorsGiveTheirVerdict(t *testing.T) {
	all := vectors(t)
	if len(all) != 38 {
		t.Fatalf("%d vectors, want 38", len(all))
	}
	seen := map[string]bool{}
	for _, v := range all {
		seen[v.config().Scheme] = true
		t.Run(v.Name, func(t *testing.T) {
			verified, err := mustNew(t, v.config()).Verify(v.header(), []byte(v.Body), time.Unix(v.Now, 0))
			if (err == nil) != v.Valid {
				t.Fatalf("valid = %v, err = %v", v.Valid, err)
			}
			if verified.Authentic != v.Valid {
				t.Errorf("authentic = %v, want %v", verified.Authentic, v.Valid)
			}
			var refusal *signature.Error
			if !v.Valid && !errors.As(err, &refusal) {
				t.Errorf("%T is no *signature.Error", err)
			}
			if err != nil && len(v.Secret) >= 16 && strings.Contains(err.Error(), v.Secret) {
				t.Errorf("the refusal shows the secret: %v", err)
			}
		})
	}
	for _, name := range signature.Presets() {
		if !seen[name] {
			t.Errorf("no vector exercises the preset %s", name)
		}
	}
}
