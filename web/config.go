package web

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"datasync-bridge/certificate"
)

// Config is the admin section.
type Config struct {
	// Listen is host:port; off loopback it needs TLS. Default "127.0.0.1:9090".
	Listen string             `koanf:"listen" expand:"true"`
	TLS    *certificate.Files `koanf:"tls"`
	Users  []User             `koanf:"users"`
	// Hosts are names that the Host header may carry besides loopback, the host
	// in Listen and the address that was called.
	Hosts []string `koanf:"hosts"`
	// Pprof serves Go's profiles at /debug/pprof/ to users with the role operate:
	// heap, goroutine and so on, and profile for the processor. Default false.
	Pprof bool `koanf:"pprof"`
}

// User is a person who may use the admin API.
type User struct {
	Name string `koanf:"name"`
	// TokenSHA256 is the lower-case hex SHA-256 of the token.
	TokenSHA256 string `koanf:"token_sha256"`
	// Roles: view, operate, approve.
	Roles []string `koanf:"roles"`
}

// The roles. Each allows only what it says: a person who operates usually has
// view as well.
const (
	View    = "view"
	Operate = "operate"
	Approve = "approve"
)

var roles = []string{View, Operate, Approve}

// WithDefaults fills in what the file leaves out.
func (c Config) WithDefaults() Config {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:9090")
	return c
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate reports every fault, by path below admin.
func (c Config) Validate(report func(path, problem string)) {
	if host, port, err := net.SplitHostPort(c.Listen); err != nil || port == "" {
		report("listen", fmt.Sprintf("must be host:port, such as 127.0.0.1:9090 (got %q)", c.Listen))
	} else if c.TLS == nil && !loopback(host) {
		report("listen", "is reachable from other machines, which needs admin.tls: {cert, key}; or listen on 127.0.0.1")
	}
	if c.TLS != nil {
		c.TLS.Validate(func(path, problem string) { report("tls."+path, problem) })
	}
	for i, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, ":/ ") {
			report(fmt.Sprintf("hosts[%d]", i), fmt.Sprintf("must be a host name without scheme and port (got %q)", host))
		}
	}
	names, tokens := map[string]bool{}, map[string]bool{}
	for i, u := range c.Users {
		at := fmt.Sprintf("users[%d]", i)
		switch {
		case u.Name == "":
			report(at+".name", "is missing; it stands in every record of what this person did")
		case strings.HasPrefix(u.Name, LocalPrefix):
			report(at+".name", "must not begin with "+LocalPrefix+", which marks users of this machine")
		case names[u.Name]:
			report(at+".name", fmt.Sprintf("is taken by another user (%q)", u.Name))
		}
		names[u.Name] = true
		switch {
		case !hexDigest.MatchString(u.TokenSHA256):
			report(at+".token_sha256", "must be the SHA-256 of the token as 64 lower-case hex digits: printf %s TOKEN | sha256sum")
		case tokens[u.TokenSHA256]:
			report(at+".token_sha256", "is the token of another user; give each person one of their own")
		}
		tokens[u.TokenSHA256] = true
		if len(u.Roles) == 0 {
			report(at+".roles", "is missing; use some of "+strings.Join(roles, ", "))
		}
		for k, role := range u.Roles {
			if !slices.Contains(roles, role) {
				report(fmt.Sprintf("%s.roles[%d]", at, k), fmt.Sprintf("%q is no role; use %s", role, strings.Join(roles, ", ")))
			}
		}
	}
}

// loopback reports whether a listener on host can only be reached from this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
