package receiver_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/receiver/signature"
)

// faults compares what was reported with the beginnings that are wanted.
func faults(t *testing.T, got, want []string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, w) }) {
			t.Errorf("no %q in %q", w, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d faults %q, want %d", len(got), got, len(want))
	}
}

func collect(validate func(func(path, problem string))) []string {
	var got []string
	validate(func(path, problem string) { got = append(got, path+": "+problem) })
	return got
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  receiver.Config
		want []string
	}{
		{"defaults are fine", receiver.Config{}, nil},
		{"all of it", receiver.Config{Listen: "127.0.0.1:0", PublicURL: "https://ops.example.com/", TrustedProxies: []string{"10.0.0.0/8", "::1"}}, nil},
		{"everything wrong at once", receiver.Config{
			Listen: "8080", PublicURL: "ops.example.com", BodyLimit: -1, InFlight: -2, ReadTimeout: -time.Second,
			Concurrency: -1, FailureLimit: -1, TrustedProxies: []string{"10.0.0.0/8", "proxy"},
		}, []string{"listen:", "public_url:", "body_limit:", "in_flight:", "read_timeout:", "concurrency:", "failure_limit:", "trusted_proxies[1]:"}},
		{"credentials in an address", receiver.Config{PublicURL: "https://a:b@ops.example.com"}, []string{"public_url:"}},
		{"room for less than one body", receiver.Config{InFlight: 1 << 10}, []string{"in_flight: must hold at least one body of body_limit, 1MiB (got 1KiB)"}},
	} {
		t.Run(tt.name, func(t *testing.T) { faults(t, collect(tt.cfg.WithDefaults().Validate), tt.want) })
	}
}

func TestSourceValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*receiver.Source)
		want []string
	}{
		{"the example is fine", nil, nil},
		{"no verify block", func(s *receiver.Source) { s.Verify = nil }, []string{"verify: is required"}},
		{"faults below carry their path", func(s *receiver.Source) {
			s.Verify.Secrets = nil
			s.Mapping.Profile = "other"
			s.Verify.ID.Path = new("a..b")
			s.Verify.ID.Paths = []string{"a", "b[c]"}
		}, []string{"verify.secrets:", "mapping.profile:", "verify.id.path:", "verify.id.paths[1]:"}},
		{"everything wrong at once", func(s *receiver.Source) {
			s.Name, s.Path, s.Environment, s.SuccessStatus = "a b", "hooks/:x", "staging", 500
		}, []string{"name:", "path:", "environment:", "success_status:"}},
		{"the bridge's own path", func(s *receiver.Source) { s.Path = "/readyz" }, []string{"path:"}},
	} {
		t.Run(tt.name, func(t *testing.T) { faults(t, collect(source(tt.edit).WithDefaults().Validate), tt.want) })
	}
}

func TestValidateSources(t *testing.T) {
	second := func(edit func(*receiver.Source)) receiver.Source {
		return source(func(s *receiver.Source) {
			s.Name, s.Path = "second", "/hooks/second"
			edit(s)
		})
	}
	for _, tt := range []struct {
		name    string
		sources []receiver.Source
		want    []string
	}{
		{"none", nil, []string{": needs at least one source"}},
		{"one", []receiver.Source{source(nil)}, nil},
		{"twins", []receiver.Source{source(nil), source(nil)}, []string{"[1].name:", "[1].path:"}},
		{"one secret in one environment", []receiver.Source{source(nil), second(func(*receiver.Source) {})}, nil},
		{"one secret in two environments", []receiver.Source{source(nil), second(func(s *receiver.Source) {
			s.Environment = event.Sandbox
			s.Verify.Secrets = append([]signature.Secret{{ID: "own", Value: "a-secret-that-is-its-own"}}, s.Verify.Secrets...)
		})}, []string{"[1].verify.secrets[1].value: is a secret of sources[0] too, which is production"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := collect(func(report func(path, problem string)) { receiver.ValidateSources(tt.sources, report) })
			faults(t, got, tt.want)
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Errorf("a fault shows the secret: %q", got)
			}
		})
	}
}

func TestNewRefusesWhatValidationReports(t *testing.T) {
	for name, sources := range map[string][]receiver.Source{
		"no sources":     nil,
		"twins":          {source(nil), source(nil)},
		"no verify":      {source(func(s *receiver.Source) { s.Verify = nil })},
		"a bad mapping":  {source(func(s *receiver.Source) { s.Mapping = mapping.Config{Profile: "x"} })},
		"no public url":  {source(func(s *receiver.Source) { s.Verify.Signed = []string{"{url}{body}"} })},
		"a bad id block": {source(func(s *receiver.Source) { s.Verify.ID.Paths = []string{""} })},
	} {
		if _, err := receiver.New(receiver.Config{}, sources, &memory{}, receiver.Options{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
