// Package datasync calls the Datasync API: a token, a run, a subscription.
//
// It follows what is documented (JSON token request, bearer token, 4xx and 5xx
// with a request_id) and assumes the rest where it says so. It never repeats a
// run by itself but after a 401, which says that nothing happened: whether a
// failed run may have acted is told by Error.Sent, and the caller decides.
package datasync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"datasync-bridge/event"
)

// Fields of the body of a run; assumed.
const (
	fieldWorkflow = "workflow"
	fieldParams   = "params"
)

const (
	maxAnswer = 1 << 20
	maxKey    = 255
)

// Options are what tests and the demo set; the zero value is for production.
type Options struct {
	Now       func() time.Time
	Log       *slog.Logger // default: silent
	UserAgent string       // default datasync-bridge
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	cfg    Config
	http   *http.Client
	o      Options
	tokens *tokens
}

// New returns a client of the API that cfg names. The HTTP client brings the
// deadline and the limits of every call; it must not follow redirects.
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
	c := &Client{cfg: cfg.WithDefaults(), http: client, o: o}
	c.tokens = &tokens{fetch: c.fetchToken, now: o.Now, turn: make(chan struct{}, 1)}
	return c
}

// RunAnswer is what Datasync said of a run that it accepted. Every field may
// be empty: the answer's form is not documented.
type RunAnswer struct {
	RunID     string
	Status    string
	RequestID string
}

// Run starts a workflow under an idempotency key. A nil error means accepted,
// not done: the outcome comes as an event. An *Error with Sent false, or with a
// kind that refuses, means that nothing was run.
func (c *Client) Run(ctx context.Context, workflow string, params map[string]any, key string) (RunAnswer, error) {
	op := "run " + workflow
	if !fitsHeader(key) {
		return RunAnswer{}, &Error{Op: op, Kind: Payload, Message: "the idempotency key holds characters that no header may hold, or too many"}
	}
	if params == nil {
		params = map[string]any{}
	}
	a, err := c.call(ctx, request{
		op:     op,
		path:   "/automations/run",
		header: http.Header{http.CanonicalHeaderKey(c.cfg.Idempotency.Header): {key}},
		body:   map[string]any{fieldWorkflow: workflow, fieldParams: params, c.cfg.Idempotency.Field: key},
	})
	if err != nil {
		return RunAnswer{}, err
	}
	return RunAnswer{
		RunID:     clean(a.text("run_id", "run.id", "data.run_id", "id"), maxID),
		Status:    clean(a.text("status", "run.status", "data.status"), maxID),
		RequestID: a.requestID,
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
}

// Subscribe asks Datasync to deliver events to an address.
func (c *Client) Subscribe(ctx context.Context, name, address string, events []string) (Subscription, error) {
	a, err := c.call(ctx, request{
		op:   "subscribe " + name,
		path: "/webhooks/subscriptions",
		body: map[string]any{"name": name, "url": address, "events": events},
	})
	if err != nil {
		return Subscription{}, err
	}
	return Subscription{ID: clean(a.text("id", "subscription_id", "data.id"), maxID), RequestID: a.requestID}, nil
}

// request is one POST of a JSON body.
type request struct {
	op     string
	path   string
	header http.Header
	body   any
	token  string // "" for none
}

// call sends a request with a token. A 401 says that nothing happened, so it is
// worth one more attempt with a new token.
func (c *Client) call(ctx context.Context, r request) (answer, error) {
	for attempt := 1; ; attempt++ {
		text, err := c.tokens.get(ctx)
		if err != nil {
			return answer{}, c.unsent(r.op, err)
		}
		r.token = text
		a, err := c.post(ctx, r)
		e, failed := errors.AsType[*Error](err)
		if !failed {
			return a, err
		}
		if e.Kind != Token {
			return answer{}, e
		}
		c.tokens.drop(text)
		if attempt == 2 {
			return answer{}, e
		}
		c.o.Log.Info("token refused, asking for another", "op", r.op, "request", e.RequestID)
	}
}

// unsent is the failure to get a token, as a failure of the call that needed it.
func (c *Client) unsent(op string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Op: op + ": " + e.Op, Kind: e.Kind, Status: e.Status, RequestID: e.RequestID,
			Message: e.Message, RetryAfter: e.RetryAfter, Err: e.Err}
	}
	return &Error{Op: op, Kind: Network, Err: err}
}

// fetchToken asks for a JWT. The answer's field names are assumed, those of
// OAuth first.
func (c *Client) fetchToken(ctx context.Context) (string, time.Duration, error) {
	a, err := c.post(ctx, request{
		op:   "token",
		path: "/auth/token",
		body: map[string]string{"client_id": c.cfg.ClientID, "client_secret": c.cfg.ClientSecret.Reveal()},
	})
	if err != nil {
		return "", 0, err
	}
	text := a.text("access_token", "token", "jwt", "data.access_token", "data.token")
	if text == "" {
		return "", 0, &Error{Op: "token", Kind: Unexpected, Status: a.status, RequestID: a.requestID,
			Message: "the answer holds no access_token", Sent: true}
	}
	return text, time.Duration(a.number("expires_in", "data.expires_in") * float64(time.Second)), nil
}

// post makes one attempt. Any 2xx is an answer, all else an *Error.
func (c *Client) post(ctx context.Context, r request) (answer, error) {
	fail := func(kind Kind, sent bool, err error) (answer, error) {
		return answer{}, &Error{Op: r.op, Kind: kind, Sent: sent, Err: cause(err)}
	}
	body, err := json.Marshal(r.body)
	if err != nil {
		return fail(Payload, false, err)
	}
	// A connection is where bytes begin to leave; before one there are none.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+r.path, bytes.NewReader(body))
	if err != nil {
		return fail(Payload, false, err)
	}
	// net/http takes a request with an Idempotency-Key for repeatable and sends
	// it again when a connection dies. Without GetBody it cannot.
	req.GetBody = nil
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fail(Network, connected.Load(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	// What cannot be read is missing from the answer; its status stands.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a := newAnswer(resp, text)
	if a.status >= 200 && a.status <= 299 {
		return a, nil
	}
	return answer{}, &Error{
		Op: r.op, Kind: kindOf(a.status), Status: a.status, RequestID: a.requestID, Sent: true,
		Message:    clean(c.redact(a.message(), r.token), maxMessage),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), c.o.Now()),
	}
}

// cause takes the URL out of an error of net/http: Op says what was asked.
func cause(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// redact takes out what an answer may have echoed.
func (c *Client) redact(text, token string) string {
	return replaceAll(text, event.Secret("").String(), c.cfg.ClientSecret.Reveal(), token)
}
