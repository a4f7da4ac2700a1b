// Package datasync calls the Datasync API: tokens, trading partners,
// transactions, runs and webhook subscriptions.
//
// Documented and relied on: the addresses, the JSON token request, the bearer
// token that lives 60 minutes, `GET /transactions?status=failed`, the meaning
// of 4xx (a configuration issue) and 5xx (an incident there), and a request_id
// in every error. Assumed, because the documentation leaves it open: the names
// of all fields of answers and of the body of a run, how a listing is paged and
// its parameters are named, where an idempotency key is sent, and whether the
// sandbox is a path or a host. What is assumed is configurable, or looked for
// under every likely name with the whole answer kept beside it (Raw).
//
// A *read* (every GET, and the request for a token) changes nothing: it is
// repeated after a 5xx, a 429 or a failure of the network within a time budget.
// Everything else *acts*: it is never repeated but after a 401, which says that
// nothing happened. Whether a failed call may have acted all the same is told
// by Error.Sent, and the caller decides.
//
// A client reaches one environment: every URL is held against the configured
// base before anything leaves, no redirect is followed, and of a link in an
// answer only its cursor is used.
package datasync

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"datasync-bridge/event"
)

// Fields of the body of a run; assumed.
const (
	fieldWorkflow = "workflow"
	fieldParams   = "params"
)

const maxKey = 255

// DefaultBudget is how long a read may take with all its repetitions.
const DefaultBudget = 20 * time.Second

// Options are what tests and the demo set; the zero value is for production.
type Options struct {
	// Now tells when a token is due. Budgets, pauses and the circuit breaker
	// follow the clock of package time.
	Now       func() time.Time
	Log       *slog.Logger // default: silent
	UserAgent string       // default datasync-bridge
	// Budget bounds a read with its token and all repetitions, whatever time
	// ctx leaves. Default 20s.
	Budget time.Duration
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	cfg     Config
	http    *http.Client
	o       Options
	tokens  *tokens
	breaker *breaker
}

// New returns a client of the API that cfg names. The HTTP client brings the
// deadline and the limits of every attempt; should it follow redirects, it does
// not do so here: a 307 would post a secret to an address nobody configured.
func New(cfg Config, client *http.Client, o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.UserAgent == "" {
		o.UserAgent = "datasync-bridge"
	}
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &Client{cfg: cfg.WithDefaults(), http: &own, o: o, breaker: newBreaker(o.Log)}
	c.tokens = &tokens{fetch: c.fetchToken, now: o.Now, turn: make(chan struct{}, 1)}
	return c
}

// Environment is which Datasync this client calls.
func (c *Client) Environment() event.Environment { return c.cfg.Environment }

// Healthy reports whether calls are let through: false while Datasync has
// failed so often in a row that the client leaves it alone for a while.
func (c *Client) Healthy() bool { return c.breaker.healthy() }

// RunAnswer is what Datasync said of a run that it accepted. Every field may
// be empty: the answer's form is not documented.
type RunAnswer struct {
	RunID     string
	Status    string
	RequestID string
	// Raw is the whole answer without what looks like a secret; nil where it
	// is no JSON.
	Raw json.RawMessage
}

// Run starts a workflow under an idempotency key. A nil error means accepted,
// not done: the outcome comes as an event. An *Error with Sent false, or with a
// kind that refuses, means that nothing was run.
func (c *Client) Run(ctx context.Context, workflow string, params map[string]any, key string) (RunAnswer, error) {
	op := "run " + clean(workflow, maxID)
	if !fitsHeader(key) {
		return RunAnswer{}, &Error{Op: op, Kind: Payload, Message: "the idempotency key holds characters that no header may hold, or too many"}
	}
	if params == nil {
		params = map[string]any{}
	}
	a, err := c.call(ctx, request{
		op:     op,
		method: http.MethodPost,
		path:   "/automations/run",
		header: http.Header{http.CanonicalHeaderKey(c.cfg.Idempotency.Header): {key}},
		body:   map[string]any{fieldWorkflow: workflow, fieldParams: params, c.cfg.Idempotency.Field: key},
	})
	if err != nil {
		return RunAnswer{}, err
	}
	return RunAnswer{
		RunID:     clean(a.body.text("run_id", "run.id", "data.run_id", "id"), maxID),
		Status:    clean(a.body.text("status", "run.status", "data.status"), maxID),
		RequestID: a.requestID,
		Raw:       c.withoutSecrets(a),
	}, nil
}

// fitsHeader reports whether a key arrives the same in a header as in a body.
func fitsHeader(key string) bool {
	return key != "" && len(key) <= maxKey && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Subscription is a webhook subscription as Datasync keeps it.
type Subscription struct {
	ID        string
	RequestID string
	// Secret is the webhook secret, where the answer tells one (assumed).
	Secret event.Secret
	// Raw is the whole answer without what looks like a secret; nil where it
	// is no JSON.
	Raw json.RawMessage
}

// Subscribe asks Datasync to deliver events to an address.
func (c *Client) Subscribe(ctx context.Context, name, address string, events []string) (Subscription, error) {
	a, err := c.call(ctx, request{
		op:     "subscribe " + clean(name, maxID),
		method: http.MethodPost,
		path:   "/webhooks/subscriptions",
		body:   map[string]any{"name": name, "url": address, "events": events},
	})
	if err != nil {
		return Subscription{}, err
	}
	return Subscription{
		ID:        clean(a.body.text("id", "subscription_id", "subscription.id", "data.id"), maxID),
		RequestID: a.requestID,
		Secret: event.Secret(a.body.text("secret", "webhook_secret", "signing_secret",
			"subscription.secret", "data.secret", "data.webhook_secret", "data.signing_secret")),
		Raw: c.withoutSecrets(a),
	}, nil
}
