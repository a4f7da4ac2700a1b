package datasync

import (
	"net/url"
	"regexp"
	"strings"
	"time"

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
	// Environment is which Datasync is called: production (default) or sandbox.
	Environment event.Environment `koanf:"environment"`
	// SandboxURL is the sandbox's base. It is assumed to be a path below
	// base_url; a host of its own can be named. Default base_url + "/sandbox".
	SandboxURL string `koanf:"sandbox_url" expand:"true"`
	// Idempotency is assumed, not documented: names the header and body field
	// that carry the key of a run.
	Idempotency Idempotency `koanf:"idempotency"`
	// Transactions says how transactions are listed; its names are assumed.
	Transactions Transactions `koanf:"transactions"`
	// Reconcile asks for failures that no webhook told of; nil is never.
	Reconcile *Reconcile `koanf:"reconcile"`
	// Enrich keeps partners' names, contacts and certificates; nil is not at all.
	Enrich *Enrich `koanf:"enrich"`
}

// Transactions names what the documentation leaves open about
// GET /transactions.
type Transactions struct {
	// Params are the query parameters' names by what they mean: status, partner,
	// document_type, since, until, limit, cursor. Default: those words.
	Params map[string]string `koanf:"params"`
	// One is the path of a single transaction, such as /transactions/{id}. It is
	// not documented, so it has no default: without it a transaction is looked
	// for in the list of those that failed.
	One string `koanf:"one"`
	// PageSize is asked of each page. Default 100, at most 1000.
	PageSize int `koanf:"page_size"`
}

// Reconcile is the poll of GET /transactions?status=failed.
type Reconcile struct {
	Every   time.Duration `koanf:"every"`   // default 5m, at least 30s
	Overlap time.Duration `koanf:"overlap"` // default 15m
	// Start is where the first poll begins: now (default), or a duration back,
	// such as 24h.
	Start string `koanf:"start"`
	// Source is whose events these stand for. Default: the only source of the
	// client's environment.
	Source string `koanf:"source"`
	// QuietAfter is how long no webhook may come, while polls find failures,
	// before that is told. Default 30m.
	QuietAfter time.Duration `koanf:"quiet_after"`
}

// Enrich is the cache of GET /partners/{id}.
type Enrich struct {
	MaxAge time.Duration `koanf:"max_age"` // default 24h
	// Partners are watched though nothing of theirs has failed yet.
	Partners []string `koanf:"partners"`
	// Remind are the days before a certificate's end at which it is told.
	// Default 60, 30, 14, 7, 1.
	Remind []int `koanf:"remind"`
}

// Idempotency names where a run's key is sent.
type Idempotency struct {
	Header string `koanf:"header"` // default Idempotency-Key
	Field  string `koanf:"field"`  // default idempotency_key
	// ConfirmedBy names who has tried, in the sandbox, that a repeated key runs
	// nothing twice: an unclear run may then be sent again under its key.
	ConfirmedBy string `koanf:"confirmed_by"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Environment == "" {
		c.Environment = event.Production
	}
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
