package signature_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  signature.Config
		want []string // "path: words of the problem", in any order, and no others
	}{
		{"a whole custom scheme is fine", custom(nil), nil},
		{"no scheme", signature.Config{}, []string{"scheme: is required"}},
		{"an unknown scheme", signature.Config{Scheme: "githib"}, []string{`scheme: no scheme "githib"`}},
		{"none must be meant", signature.Config{Scheme: "none"}, []string{"unauthenticated: must be true"}},
		{"none with secrets is a mistake", signature.Config{Scheme: "none", Unauthenticated: true, Secrets: []signature.Secret{{Value: newKey}}}, []string{"secrets: are not used"}},
		{"unauthenticated elsewhere", custom(func(c *signature.Config) { c.Unauthenticated = true }), []string{"unauthenticated: belongs beside scheme none"}},
		{"no secret", custom(func(c *signature.Config) { c.Secrets = nil }), []string{"secrets: needs at least one"}},
		{"an empty key", custom(func(c *signature.Config) { c.Secrets = []signature.Secret{{}} }), []string{"secrets[0].value: is empty"}},
		{"a key that is empty once decoded", custom(func(c *signature.Config) {
			c.Secrets = []signature.Secret{{Value: "whsec_", Encoding: "whsec"}}
		}), []string{"secrets[0].value: is empty"}},
		{"a key that does not decode", custom(func(c *signature.Config) {
			c.Secrets = []signature.Secret{{Value: "canary!!", Encoding: "base64"}, {Value: "canary!!", Encoding: "hex"}}
		}), []string{"secrets[0].value: does not decode as base64", "secrets[1].value: does not decode as hex"}},
		{"an unknown key encoding", custom(func(c *signature.Config) { c.Secrets[0].Encoding = "rot13" }), []string{`secrets[0].encoding: no encoding "rot13"`}},
		{"two secrets with one id", custom(func(c *signature.Config) {
			c.Secrets = []signature.Secret{{ID: "s", Value: newKey}, {ID: "s", Value: oldKey}}
		}), []string{"secrets[1].id:"}},
		{"no header", custom(func(c *signature.Config) { c.Signature.Header = nil }), []string{"signature.header: is required"}},
		{"a header that is none", custom(func(c *signature.Config) { c.Signature.Header = new("X Sig:") }), []string{"signature.header:"}},
		{"an unknown encoding", custom(func(c *signature.Config) { c.Signature.Encoding = new("base32") }), []string{"signature.encoding:"}},
		{"a timestamp nobody signed", custom(func(c *signature.Config) {
			c.Timestamp.Header = new("X-Time")
		}), []string{"timestamp.tolerance: the timestamp is not in signed"}},
		{"a signed timestamp from nowhere", custom(func(c *signature.Config) {
			c.Signed = []string{"{timestamp}{body}"}
		}), []string{"timestamp.header: is required"}},
		{"a preset without its timestamp header", signature.Config{
			Scheme: "slack", Secrets: []signature.Secret{{Value: newKey}}, Timestamp: signature.Timestamp{Header: new("")},
		}, []string{"timestamp.header: is required"}},
		{"no tolerance", custom(func(c *signature.Config) {
			c.Timestamp = signature.Timestamp{Header: new("X-Time"), Tolerance: new(time.Duration(0)), Format: new("iso")}
			c.Signed = []string{"{timestamp}{body}"}
		}), []string{"timestamp.tolerance: must be above zero (got 0s)", "timestamp.format:"}},
		{"an id nobody signed", custom(func(c *signature.Config) { c.ID.Header = new("X-Id") }), []string{"id.header: the id is not in signed"}},
		{"an id that says so", custom(func(c *signature.Config) { c.ID = signature.ID{Header: new("X-Id"), Unsigned: new(true)} }), nil},
		{"one's own id header over a preset's unsigned one", signature.Config{
			Scheme: "github", Secrets: []signature.Secret{{Value: newKey}}, ID: signature.ID{Header: new("X-Id")},
		}, []string{"id.header: the id is not in signed"}},
		{"a signed id from nowhere", custom(func(c *signature.Config) { c.Signed = []string{"{id}{body}"} }), []string{"id.header: is required"}},
		{"a body nobody signed", custom(func(c *signature.Config) { c.Signed = []string{"v0:"} }), []string{"signed: must contain {body}"}},
		{"an unknown token", custom(func(c *signature.Config) { c.Signed = []string{"{bdy}"} }), []string{`signed: "{bdy}" is no token`}},
		{"half a brace", custom(func(c *signature.Config) { c.Signed = []string{"{body}", "}{"} }), []string{"signed:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.cfg.WithDefaults().Validate(func(path, problem string) { got = append(got, path+": "+problem) })
			for _, want := range tt.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }) {
					t.Errorf("no %q in %q", want, got)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d faults %q, want %d", len(got), got, len(tt.want))
			}
			if strings.Contains(fmt.Sprint(got), "canary") {
				t.Errorf("a fault shows the secret: %q", got)
			}
			if _, err := signature.New(tt.cfg, "https://x.example"); (err == nil) != (len(tt.want) == 0) {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestEveryPresetIsValidWithOneSecret(t *testing.T) {
	for _, name := range signature.Presets() {
		cfg := signature.Config{Scheme: name, Secrets: []signature.Secret{{Value: "c2VjcmV0LXNlY3JldC1zZWNyZXQ="}}}
		if _, err := signature.New(cfg, "https://ops.example.com/x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := signature.New(signature.Config{Scheme: "square", Secrets: []signature.Secret{{Value: newKey}}}, ""); err == nil {
		t.Error("square without any address was accepted")
	}
}

func TestWarningsNameShortAndDeadSecretsWithoutShowingThem(t *testing.T) {
	cfg := custom(func(c *signature.Config) {
		c.Secrets = []signature.Secret{{Value: "canary", NotAfter: noon.Add(-time.Hour)}}
	}).WithDefaults()
	var got []string
	cfg.Warnings(noon, func(path, problem string) { got = append(got, path+": "+problem) })
	for _, want := range []string{"secrets[0].value: is short: 6 bytes", "secrets[0].not_after: has passed", "secrets: every secret"} {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(fmt.Sprint(got), "canary") {
		t.Errorf("a warning shows the secret: %q", got)
	}
}

func TestSameKeyIsSeenThroughItsSpelling(t *testing.T) {
	a := signature.Secret{Value: "c2VjcmV0", Encoding: "base64"}
	b := signature.Secret{Value: event.Secret("736563726574"), Encoding: "hex"}
	if !a.SameKey(b) {
		t.Error("one key in two encodings was taken for two")
	}
	if a.SameKey(signature.Secret{Value: newKey, Encoding: "utf8"}) {
		t.Error("two keys were taken for one")
	}
}
