package datasync_test

import (
	"slices"
	"strings"
	"testing"

	"datasync-bridge/datasync"
)

func TestConfig(t *testing.T) {
	good := datasync.Config{ClientID: "i", ClientSecret: "s"}
	for _, tt := range []struct {
		name string
		cfg  datasync.Config
		want []string
	}{
		{"nothing set is fine", datasync.Config{}, nil},
		{"credentials are fine", good, nil},
		{"loopback may be plain", datasync.Config{BaseURL: "http://127.0.0.1:8081/v1"}, nil},
		{"others may not", datasync.Config{BaseURL: "http://api.datasync.com/v1"}, []string{"base_url"}},
		{"metadata is refused", datasync.Config{BaseURL: "https://169.254.169.254/v1"}, []string{"base_url"}},
		{"no password in it", datasync.Config{BaseURL: "https://u:p@api.datasync.com/v1"}, []string{"base_url"}},
		{"no query in it", datasync.Config{BaseURL: "https://api.datasync.com/v1?x=1"}, []string{"base_url"}},
		{"all faults at once", datasync.Config{
			BaseURL: "nonsense", ClientID: "i", Idempotency: datasync.Idempotency{Header: "Authorization", Field: "params"},
		}, []string{"base_url", "client_secret", "idempotency.header", "idempotency.field"}},
		{"a secret alone", datasync.Config{ClientSecret: "s"}, []string{"client_id"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.cfg.WithDefaults().Validate(func(path, problem string) {
				got = append(got, path)
				if strings.HasSuffix(problem, ".") || problem == "" {
					t.Errorf("%s: %q is no sentence without a full stop", path, problem)
				}
			})
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults at %v, want %v", got, tt.want)
			}
		})
	}
	if d := (datasync.Config{}).WithDefaults(); d.BaseURL != datasync.DefaultBaseURL || d.Loopback() || d.Configured() {
		t.Errorf("defaults %+v", d)
	}
	if d := (datasync.Config{BaseURL: "http://[::1]:1/v1/"}).WithDefaults(); d.BaseURL != "http://[::1]:1/v1" || !d.Loopback() {
		t.Errorf("loopback %+v", d)
	}
}
