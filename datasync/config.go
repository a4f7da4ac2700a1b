package datasync

import (
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// Defaults of Config.
const (
	DefaultBaseURL = "https://api.datasync.com/v1"
	DefaultHeader  = "Idempotency-Key"
	DefaultField   = "idempotency_key"
	// DefaultPageSize is Transactions.PageSize; MaxPageSize bounds it.
	DefaultPageSize = 100
	MaxPageSize     = 1000
	// StartNow is Reconcile.Start for polls that look at no history.
	StartNow = "now"
)

// What the query parameters of a listing mean.
const (
	byStatus   = "status"
	byPartner  = "partner"
	byDocument = "document_type"
	bySince    = "since"
	byUntil    = "until"
	byLimit    = "limit"
	byCursor   = "cursor"
)

var meanings = []string{byStatus, byPartner, byDocument, bySince, byUntil, byLimit, byCursor}

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

// WithDefaults fills what is not set. What it returns shares nothing with c.
func (c Config) WithDefaults() Config {
	c.BaseURL = strings.TrimRight(firstOf(c.BaseURL, DefaultBaseURL), "/")
	c.SandboxURL = strings.TrimRight(firstOf(c.SandboxURL, c.BaseURL+"/sandbox"), "/")
	if c.Environment == "" {
		c.Environment = event.Production
	}
	c.Idempotency.Header = firstOf(c.Idempotency.Header, DefaultHeader)
	c.Idempotency.Field = firstOf(c.Idempotency.Field, DefaultField)
	c.Transactions = c.Transactions.withDefaults()
	if c.Reconcile != nil {
		r := c.Reconcile.withDefaults()
		c.Reconcile = &r
	}
	if c.Enrich != nil {
		e := c.Enrich.withDefaults()
		c.Enrich = &e
	}
	return c
}

func (t Transactions) withDefaults() Transactions {
	params := map[string]string{}
	for _, meaning := range meanings {
		params[meaning] = meaning
	}
	maps.Copy(params, t.Params)
	t.Params = params
	if t.PageSize == 0 {
		t.PageSize = DefaultPageSize
	}
	return t
}

func (r Reconcile) withDefaults() Reconcile {
	if r.Every == 0 {
		r.Every = 5 * time.Minute
	}
	if r.Overlap == 0 {
		r.Overlap = 15 * time.Minute
	}
	if r.QuietAfter == 0 {
		r.QuietAfter = 30 * time.Minute
	}
	r.Start = firstOf(r.Start, StartNow)
	return r
}

func (e Enrich) withDefaults() Enrich {
	if e.MaxAge == 0 {
		e.MaxAge = 24 * time.Hour
	}
	if len(e.Remind) == 0 {
		e.Remind = []int{60, 30, 14, 7, 1}
	}
	e.Remind, e.Partners = slices.Clone(e.Remind), slices.Clone(e.Partners)
	return e
}

// Configured reports whether the API may be called at all.
func (c Config) Configured() bool { return c.ClientID != "" && c.ClientSecret != "" }

// Back is how far back the first poll begins: zero for now.
func (r Reconcile) Back() time.Duration {
	d, err := event.ParseDuration(r.Start)
	if err != nil {
		return 0
	}
	return d
}
