// Package outbound makes the one HTTP client that every call out of the bridge
// uses. It speaks https (plain http only to loopback), follows no redirect,
// reaches no link-local or metadata address whatever a name resolves to, and
// bounds the time and the size of every answer. It never reads a proxy from
// the environment and never retries.
//
// A *plain* address is http: it is allowed only where the host is loopback by
// its spelling, and then the address that is dialled must be loopback too.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrRefused says that the bridge does not call an address, whoever configured it.
var ErrRefused = errors.New("address is refused")

// Defaults of Config.
const (
	DefaultTimeout   = 10 * time.Second
	DefaultMaxAnswer = 1 << 20
)

const (
	dialTimeout      = 5 * time.Second
	handshakeTimeout = 5 * time.Second
	// idleTimeout is well under what servers grant, so that a call rarely meets
	// a connection that the far side is just closing: a run that does would end
	// as unknown.
	idleTimeout = 30 * time.Second
	maxHeader   = 64 << 10
)

// Config tunes the client. Its zero value is the default.
type Config struct {
	// Timeout bounds one call, from dialling to the last byte of the answer.
	// Default 10s.
	Timeout time.Duration `koanf:"timeout"`
	// Proxy is the http or https URL that all calls but those to loopback go
	// through. Default none; HTTP_PROXY and the like are not read.
	Proxy string `koanf:"proxy" expand:"true"`
	// MaxAnswer bounds an answer's body in bytes, after decompression. Default 1 MiB.
	MaxAnswer int64 `koanf:"-"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxAnswer == 0 {
		c.MaxAnswer = DefaultMaxAnswer
	}
	return c
}

// Validate reports every fault of a configuration with defaults.
func (c Config) Validate(report func(path, problem string)) {
	if c.Timeout <= 0 {
		report("timeout", fmt.Sprintf("must be above zero (got %s)", c.Timeout))
	}
	if _, err := parseProxy(c.Proxy); err != nil {
		report("proxy", err.Error())
	}
}

// New returns the client. A proxy that Validate refuses makes every call fail,
// never go out directly.
func New(cfg Config) *http.Client {
	cfg = cfg.WithDefaults()
	proxy, faulty := parseProxy(cfg.Proxy)
	transport := &http.Transport{
		Proxy: func(req *http.Request) (*url.URL, error) {
			if proxy == nil || Loopback(req.URL.Hostname()) {
				return nil, faulty
			}
			return proxy, nil
		},
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    handshakeTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        idleTimeout,
	}
	return &http.Client{
		Transport: &guard{next: transport, maxAnswer: cfg.MaxAnswer},
		Timeout:   cfg.Timeout,
		// A redirect is handed back as the answer that it is: following a 307
		// would post a secret again, to an address nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Allowed reports, as an error, why a URL may not be called. The configuration
// uses it at load for the same verdict that the client gives at the call;
// addresses behind names are judged when they are dialled.
func Allowed(u *url.URL) error {
	host := u.Hostname()
	if host == "" {
		return fmt.Errorf("%w: no host", ErrRefused)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if why := forbidden(ip); why != "" {
			return fmt.Errorf("%w: %s is %s", ErrRefused, host, why)
		}
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && Loopback(host):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%w: plain http is only for loopback; use https for %s", ErrRefused, host)
	}
	return fmt.Errorf("%w: %q is no scheme to call; use https", ErrRefused, u.Scheme)
}

// Loopback reports whether a host is this machine by its spelling: localhost
// or a loopback address. No name is resolved.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

func parseProxy(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	// The text is not repeated: it may hold a password.
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("must be an http or https URL, such as http://proxy.example.com:3128")
	}
	return u, nil
}

// dial connects and judges the address after resolution, right before
// connecting, so that no name can be rebound in between.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	mustLoop := Loopback(host)
	d := net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			return judge(resolved, mustLoop)
		},
	}
	return d.DialContext(ctx, network, address)
}

func judge(resolved string, mustLoop bool) error {
	at, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return fmt.Errorf("%w: %q is no address", ErrRefused, resolved)
	}
	if why := forbidden(at.Addr()); why != "" {
		return fmt.Errorf("%w: it resolves to %s", ErrRefused, why)
	}
	if mustLoop && !at.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%w: localhost does not resolve to loopback", ErrRefused)
	}
	return nil
}
