package receiver

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/receiver/signature"
)

// Config is the server section: the public listener.
type Config struct {
	// Listen is host:port. Default ":8080".
	Listen string `koanf:"listen" expand:"true"`
	// TLS speaks HTTPS; without it, a proxy before the bridge must.
	TLS *certificate.Files `koanf:"tls"`
	// PublicURL is what Datasync calls, without the path.
	PublicURL string `koanf:"public_url" expand:"true"`
	// BodyLimit bounds one body. Default 1MiB.
	BodyLimit event.Size `koanf:"body_limit"`
	// InFlight bounds the bytes of all bodies being read; above it 503. Default 32MiB.
	InFlight event.Size `koanf:"in_flight"`
	// ReadTimeout bounds one request, headers and body. Default 10s.
	ReadTimeout time.Duration `koanf:"read_timeout"`
	// Concurrency bounds open connections. Default 2048.
	Concurrency int `koanf:"concurrency"`
	// FailureLimit is how many unauthenticated failures a minute one address
	// may cause before 429. Default 300.
	FailureLimit int `koanf:"failure_limit"`
	// TrustedProxies are addresses or networks whose X-Forwarded-For is believed.
	TrustedProxies []string `koanf:"trusted_proxies"`
}

// Source is one entry of sources: an address that takes webhooks.
type Source struct {
	Name        string            `koanf:"name"`
	Path        string            `koanf:"path"`
	Environment event.Environment `koanf:"environment"` // default production
	Verify      *signature.Config `koanf:"verify"`      // required
	Mapping     mapping.Config    `koanf:"mapping"`
	// SuccessStatus answers for accepted, quarantined and conflict; default 202.
	SuccessStatus int `koanf:"success_status"`
	// StrictJSON answers 400 to what is quarantined (it is stored all the same).
	StrictJSON bool `koanf:"strict_json"`
}

// WithDefaults fills what the file leaves out.
func (c Config) WithDefaults() Config {
	fill(&c.Listen, ":8080")
	fill(&c.BodyLimit, 1<<20)
	fill(&c.InFlight, 32<<20)
	fill(&c.ReadTimeout, 10*time.Second)
	fill(&c.Concurrency, 2048)
	fill(&c.FailureLimit, 300)
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	return c
}

// fill sets a field that has its zero value.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

const (
	maxBodyLimit   = 64 << 20
	maxReadTimeout = time.Minute
)

// Validate reports every fault of a configuration whose defaults are filled.
func (c Config) Validate(report func(path, problem string)) {
	if c.TLS != nil {
		c.TLS.Validate(func(path, problem string) { report("tls."+path, problem) })
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		report("listen", fmt.Sprintf("%q is no host:port; write :8080 or 0.0.0.0:8080", c.Listen))
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
			report("public_url", "must be an address such as https://ops.example.com, without credentials or a query")
		}
	}
	if c.BodyLimit <= 0 || c.BodyLimit > maxBodyLimit {
		report("body_limit", fmt.Sprintf("must be above zero and at most 64MiB (got %s)", c.BodyLimit))
	}
	if c.InFlight < c.BodyLimit {
		report("in_flight", fmt.Sprintf("must hold at least one body of body_limit, %s (got %s)", c.BodyLimit, c.InFlight))
	}
	if c.ReadTimeout <= 0 || c.ReadTimeout > maxReadTimeout {
		report("read_timeout", fmt.Sprintf("must be above zero and at most 1m (got %v)", c.ReadTimeout))
	}
	if c.Concurrency <= 0 {
		report("concurrency", fmt.Sprintf("must be above zero (got %d)", c.Concurrency))
	}
	if c.FailureLimit <= 0 {
		report("failure_limit", fmt.Sprintf("must be above zero (got %d)", c.FailureLimit))
	}
	for i, text := range c.TrustedProxies {
		if _, err := parseNetwork(text); err != nil {
			report(fmt.Sprintf("trusted_proxies[%d]", i), fmt.Sprintf("%q is no address or network; write 10.0.0.1 or 10.0.0.0/8", text))
		}
	}
}

// parseNetwork reads an address as the network that holds it alone.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return a.Prefix(a.BitLen())
}

// WithDefaults fills what the file leaves out, also in what the source holds.
func (s Source) WithDefaults() Source {
	fill(&s.Environment, event.Production)
	fill(&s.SuccessStatus, 202)
	s.Mapping = s.Mapping.WithDefaults()
	if s.Verify != nil {
		v := s.Verify.WithDefaults()
		s.Verify = &v
	}
	return s
}

var (
	sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	sourcePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
)

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

// Validate reports every fault of a source whose defaults are filled.
func (s Source) Validate(report func(path, problem string)) {
	if !sourceName.MatchString(s.Name) {
		report("name", fmt.Sprintf("%q is no name; use letters, digits, dots and dashes, at most 64", s.Name))
	}
	switch {
	case !sourcePath.MatchString(s.Path):
		report("path", fmt.Sprintf("%q is no path; write one such as /hooks/datasync", s.Path))
	case s.Path == healthPath || s.Path == readyPath:
		report("path", fmt.Sprintf("%q is the bridge's own; choose another", s.Path))
	}
	if s.Environment != event.Production && s.Environment != event.Sandbox {
		report("environment", fmt.Sprintf("no environment %q; use production or sandbox", s.Environment))
	}
	if !slices.Contains([]int{200, 201, 202}, s.SuccessStatus) {
		report("success_status", fmt.Sprintf("must be 200, 201 or 202 (got %d)", s.SuccessStatus))
	}
	s.Mapping.Validate(under("mapping", report))
	if s.Verify == nil {
		report("verify", "is required: name the sender's scheme, or scheme: none with unauthenticated: true")
		return
	}
	s.Verify.Validate(under("verify", report))
	check := func(at, text string) {
		if _, err := mapping.ParsePath(text); text != "" && err != nil {
			report("verify.id."+at, err.Error())
		}
	}
	if s.Verify.ID.Path != nil {
		check("path", *s.Verify.ID.Path)
	}
	for i, text := range s.Verify.ID.Paths {
		check(fmt.Sprintf("paths[%d]", i), text)
	}
}

func under(prefix string, report func(path, problem string)) func(path, problem string) {
	return func(path, problem string) { report(prefix+"."+path, problem) }
}

// ValidateSources reports what only all sources together can tell. Paths are
// relative to the list: "[1].path".
func ValidateSources(sources []Source, report func(path, problem string)) {
	if len(sources) == 0 {
		report("", "needs at least one source")
	}
	for i, s := range sources {
		at := fmt.Sprintf("[%d]", i)
		for k, other := range sources[:i] {
			if s.Name == other.Name && s.Name != "" {
				report(at+".name", fmt.Sprintf("%q is the name of sources[%d] too; names are unique", s.Name, k))
			}
			if s.Path == other.Path && s.Path != "" {
				report(at+".path", fmt.Sprintf("%q is the path of sources[%d] too; give each its own", s.Path, k))
			}
			for n := range sharedSecrets(s, other) {
				report(fmt.Sprintf("%s.verify.secrets[%d].value", at, n), fmt.Sprintf(
					"is a secret of sources[%d] too, which is %s: a sandbox body would pass in production; use two secrets", k, other.WithDefaults().Environment))
			}
		}
	}
}

// sharedSecrets yields the secrets of a that b, of another environment, has too.
func sharedSecrets(a, b Source) func(yield func(int) bool) {
	a, b = a.WithDefaults(), b.WithDefaults()
	return func(yield func(int) bool) {
		if a.Verify == nil || b.Verify == nil || a.Environment == b.Environment {
			return
		}
		for i, secret := range a.Verify.Secrets {
			if slices.ContainsFunc(b.Verify.Secrets, secret.SameKey) && !yield(i) {
				return
			}
		}
	}
}
