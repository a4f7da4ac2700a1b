package receiver_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/signature"
)

func load(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func TestPublishedVectorsThroughTheListener(t *testing.T) {
	var vectors []struct {
		Name, Scheme, Secret, Body, URL string
		Headers                         map[string]string
		HeaderPrefix                    string `json:"header_prefix"`
		Valid                           bool
		Now                             int64
	}
	load(t, "signature/testdata/signature_vectors.json", &vectors)
	if len(vectors) != 38 {
		t.Fatalf("%d vectors, want 38", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			cfg := &signature.Config{Scheme: v.Scheme, URL: v.URL, Secrets: []signature.Secret{{Value: event.Secret(v.Secret)}}}
			switch {
			case v.Scheme == "hmac-sha256-hex-raw-body":
				cfg.Scheme, cfg.Signature.Header = "custom", new("X-Signature")
			case v.Scheme == "generic-hex-multi":
				cfg.Scheme = "custom"
				cfg.Signature = signature.Header{Header: new("X-Signature"), Prefix: new("sha256="), ListSeparator: new(",")}
			case v.Scheme == "pagerduty-v3":
				cfg.Scheme = "pagerduty"
			case v.HeaderPrefix == "svix-":
				cfg.Scheme = "svix"
			}
			b := start(t, setup{
				sources: []receiver.Source{source(func(s *receiver.Source) { s.Verify = cfg })},
				options: receiver.Options{Now: func() time.Time { return time.Unix(v.Now, 0) }},
			})
			h := http.Header{}
			for name, value := range v.Headers {
				h[name] = []string{value} // as published, whatever its case
			}
			r := b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(v.Body), h)
			stored := b.inbox.all()
			switch {
			case v.Valid && (r.http != 202 || len(stored) != 1 || string(stored[0].Body) != v.Body):
				t.Errorf("answer %d %s and %d events, want it accepted or quarantined", r.http, r.raw, len(stored))
			case !v.Valid && (r.http != 401 || len(stored) != 0):
				t.Errorf("answer %d %s and %d events, want a refusal", r.http, r.raw, len(stored))
			}
			if len(v.Secret) >= 16 && strings.Contains(b.log.String()+r.raw, v.Secret) { // shorter ones are words
				t.Errorf("the secret was shown: %s %s", r.raw, b.log)
			}
		})
	}
}

func TestSampleEventsThroughTheListener(t *testing.T) {
	var file struct {
		Cases []struct {
			Case string
			Body json.RawMessage
		}
	}
	load(t, "mapping/testdata/sample_events.json", &file)
	b := start(t, setup{})
	for i, c := range file.Cases {
		r := b.post(string(c.Body))
		b.want(r, 202, "accepted")
		var sent struct{ ID, Type string }
		if err := json.Unmarshal(c.Body, &sent); err != nil {
			t.Fatal(err)
		}
		got := b.inbox.all()[i]
		if got.Type != sent.Type || got.ForeignID != sent.ID || string(got.Body) != string(c.Body) {
			t.Errorf("%s: stored type %q, id %q", c.Case, got.Type, got.ForeignID)
		}
	}
	if len(file.Cases) == 0 {
		t.Error("no samples")
	}
}
