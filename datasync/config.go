package datasync

import (
	"net/url"
	"regexp"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/outbound"
)

// Defaults of Config.
const (
	DefaultBaseURL = "https://api.datasync.com/v1"
	DefaultHeader  = "Idempotency-Key"
	DefaultField   = "idempotency_key"
)

// Config is the datasync section: how to reach the API.
type Config struct {
	// BaseURL without a closing slash. Default https://api.datasync.com/v1.
	BaseURL      string       `koanf:"base_url" expand:"true"`
	ClientID     string       `koanf:"client_id" expand:"true"`
	ClientSecret event.Secret `koanf:"client_secret"`
	// Idempotency is assumed, not documented: names the header and body field
	// that carry the key of a run.
	Idempotency Idempotency `koanf:"idempotency"`
}

// Idempotency names where a run's key is sent.
type Idempotency struct {
	Header string `koanf:"header"` // default Idempotency-Key
	Field  string `koanf:"field"`  // default idempotency_key
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Idempotency.Header == "" {
		c.Idempotency.Header = DefaultHeader
	}
	if c.Idempotency.Field == "" {
		c.Idempotency.Field = DefaultField
	}
	return c
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}$`)
	fieldName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
)

// ownHeaders are those that the client sets itself.
var ownHeaders = map[string]bool{
	"authorization": true, "content-type": true, "content-length": true, "accept": true,
	"host": true, "user-agent": true, "connection": true, "transfer-encoding": true,
}

// Validate reports every fault of a configuration with defaults. A bridge that
// never calls the API needs neither client_id nor client_secret.
func (c Config) Validate(report func(path, problem string)) {
	if fault := checkBase(c.BaseURL); fault != "" {
		report("base_url", fault)
	}
	if c.ClientID == "" && c.ClientSecret != "" {
		report("client_id", "is missing beside client_secret; create a client in the console under Settings → API Access")
	}
	if c.ClientID != "" && c.ClientSecret == "" {
		report("client_secret", "is missing beside client_id; create a client in the console under Settings → API Access")
	}
	if !headerName.MatchString(c.Idempotency.Header) || ownHeaders[strings.ToLower(c.Idempotency.Header)] {
		report("idempotency.header", "must name an HTTP header of its own, such as Idempotency-Key")
	}
	if !fieldName.MatchString(c.Idempotency.Field) || c.Idempotency.Field == fieldWorkflow || c.Idempotency.Field == fieldParams {
		report("idempotency.field", "must name a body field of its own, such as idempotency_key")
	}
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
	}
	if err := outbound.Allowed(u); err != nil {
		return strings.TrimPrefix(err.Error(), outbound.ErrRefused.Error()+": ")
	}
	return ""
}

// Configured reports whether the API may be called at all.
func (c Config) Configured() bool { return c.ClientID != "" && c.ClientSecret != "" }

// Loopback reports whether the API is a stand-in on this machine.
func (c Config) Loopback() bool {
	u, err := url.Parse(c.BaseURL)
	return err == nil && outbound.Loopback(u.Hostname())
}
