package web_test

import (
	"slices"
	"testing"

	"datasync-bridge/certificate"
	"datasync-bridge/web"
)

func TestValidateReportsEveryFaultOfTheSection(t *testing.T) {
	token := digest("x")
	for _, tt := range []struct {
		name string
		cfg  web.Config
		want []string
	}{
		{"the defaults are fine", web.Config{}, nil},
		{"loopback by name", web.Config{Listen: "localhost:9090"}, nil},
		{"IPv6 loopback", web.Config{Listen: "[::1]:9090"}, nil},
		{"all addresses without TLS", web.Config{Listen: ":9090"}, []string{"listen"}},
		{"another address without TLS", web.Config{Listen: "10.0.0.1:9090"}, []string{"listen"}},
		{"a name without TLS", web.Config{Listen: "bridge:9090"}, []string{"listen"}},
		{"all addresses with TLS", web.Config{Listen: ":9090", TLS: &certificate.Files{Cert: "c", Key: "k"}}, nil},
		{"no port", web.Config{Listen: "127.0.0.1"}, []string{"listen"}},
		{"half a key pair", web.Config{TLS: &certificate.Files{}}, []string{"tls.cert", "tls.key"}},
		{"a host with a port", web.Config{Hosts: []string{"ok.example.com", "a:1", ""}}, []string{"hosts[1]", "hosts[2]"}},
		{"users", web.Config{Users: []web.User{
			{Name: "ana", TokenSHA256: token, Roles: []string{"view"}},
			{Name: "ana", TokenSHA256: token, Roles: []string{"admin"}},
			{Name: "local:root", TokenSHA256: "secret"},
		}}, []string{"users[1].name", "users[1].roles[0]", "users[1].token_sha256", "users[2].name", "users[2].roles", "users[2].token_sha256"}},
	} {
		var got []string
		tt.cfg.WithDefaults().Validate(func(path, problem string) {
			if problem == "" {
				t.Errorf("%s: %s has no text", tt.name, path)
			}
			got = append(got, path)
		})
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: faults at %v, want %v", tt.name, got, tt.want)
		}
	}
}
