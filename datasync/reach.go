package datasync

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/outbound"
)

// Base is the address below which everything that is called lies: base_url, or
// sandbox_url for a client of the sandbox.
func (c Config) Base() string {
	if c.Environment == event.Sandbox {
		return c.SandboxURL
	}
	return c.BaseURL
}

// Loopback reports whether the API is a stand-in on this machine.
func (c Config) Loopback() bool {
	u, err := url.Parse(c.Base())
	return err == nil && outbound.Loopback(u.Hostname())
}

// reach returns the URL of a call, or an error where it is not below the base
// of its environment. It is asked before every call, whatever Validate said.
func (c Config) reach(path string, query url.Values) (string, error) {
	address := c.Base() + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", cause(err)
	}
	base, err := url.Parse(c.Base())
	if err != nil {
		return "", cause(err)
	}
	switch {
	case u.User != nil:
		return "", errors.New("the address of a call holds a user; nothing was sent")
	case dotted(u.Path):
		return "", errors.New("the address of a call holds a step out of its place; nothing was sent")
	case !below(u, base):
		return "", fmt.Errorf("the address is not below that of the %s configured; nothing was sent", c.Environment)
	}
	if c.Environment == event.Sandbox {
		production, err := url.Parse(c.BaseURL)
		if err != nil {
			return "", cause(err)
		}
		// The sandbox may be a path below production, never the other way round.
		if below(u, production) && (!below(base, production) || same(base, production)) {
			return "", errors.New("a client of the sandbox may not call production; check datasync.sandbox_url; nothing was sent")
		}
	}
	return address, nil
}

// below reports whether u is base or lies below it, on the same host.
func below(u, base *url.URL) bool {
	root := strings.TrimRight(base.Path, "/") + "/"
	return hostPort(u) == hostPort(base) && strings.HasPrefix(strings.TrimRight(u.Path, "/")+"/", root)
}

func same(a, b *url.URL) bool { return below(a, b) && below(b, a) }

// hostPort spells a host in one way. The scheme is left out: both of one port
// are the same server.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), port)
}

// dotted reports whether a path, unescaped, means another one than it spells;
// to some servers a backslash is a slash.
func dotted(p string) bool {
	p = strings.ReplaceAll(p, `\`, "/")
	return p != "" && strings.TrimSuffix(p, "/") != strings.TrimSuffix(path.Clean(p), "/")
}

const maxPathID = 200 // bytes

// checkID says why an id cannot stand in a path.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the id is empty")
	case len(id) > maxPathID:
		return fmt.Errorf("the id is longer than %d bytes", maxPathID)
	case id == "." || id == "..":
		return fmt.Errorf("%q is no id", id)
	case !utf8.ValidString(id) || clean(id, maxPathID) != id:
		return errors.New("the id holds characters that no id has")
	}
	return nil
}

func checkBase(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return "must be a URL, such as " + DefaultBaseURL
	case u.User != nil:
		return "must hold no user and password; use client_id and client_secret"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "must end with its path; remove the query"
	case dotted(u.Path):
		return "must spell its path plainly, without empty steps and dots as steps"
	}
	if err := outbound.Allowed(u); err != nil {
		return strings.TrimPrefix(err.Error(), outbound.ErrRefused.Error()+": ")
	}
	return ""
}

// checkSandbox says why the sandbox's address is too near to production's; both
// are well formed.
func checkSandbox(sandbox, production string) string {
	s, err := url.Parse(sandbox)
	if err != nil {
		return "must be a URL"
	}
	p, err := url.Parse(production)
	if err != nil {
		return "" // told of base_url
	}
	switch {
	case same(s, p):
		return "must not be base_url: a sandbox client would call production; name the sandbox, such as " + production + "/sandbox"
	case below(p, s):
		return "must not lie above base_url: a sandbox client could call production; name the sandbox alone"
	}
	return ""
}
