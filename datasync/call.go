package datasync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/outbound"
)

const maxAnswer = 1 << 20

// The pause before a repetition is drawn between zero and a bound that doubles
// from firstPause to maxPause ("full jitter"), so that many clients whose calls
// failed together do not come back together.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
)

// request is one call of the API.
type request struct {
	op     string
	method string
	path   string // below the base, escaped
	query  url.Values
	header http.Header
	body   any // sent as JSON; nil for none
	// read reports that a repetition changes nothing. Its answer must be whole:
	// of a call that acts, the status alone stands.
	read    bool
	token   string   // "" for none
	secrets []string // what no error may repeat, beside our own
}

// call sends a request with a token. A 401 says that nothing happened, so it is
// worth one more attempt with a new token.
func (c *Client) call(ctx context.Context, r request) (answer, error) {
	if r.read {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.o.Budget)
		defer stop()
	}
	for renewed := false; ; renewed = true {
		t, err := c.tokens.get(ctx)
		if err != nil {
			return answer{}, unsent(r, err)
		}
		r.token = t.text
		a, err := c.send(ctx, r)
		e, failed := errors.AsType[*Error](err)
		if !failed {
			return a, err
		}
		if e.Kind != Token || renewed || !c.tokens.refused(t) {
			return answer{}, e
		}
		c.o.Log.Info("token refused, asking for another", "op", r.op, "request", e.RequestID)
	}
}

// unsent is the failure to get a token, as a failure of the call that needed it.
func unsent(r request, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Op: r.op + ": " + e.Op, Kind: e.Kind, Status: e.Status, RequestID: e.RequestID,
			Message: e.Message, RetryAfter: e.RetryAfter, Err: e.Err}
	}
	return &Error{Op: r.op, Kind: Network, Err: err}
}

// send makes an attempt and, of a read, as many more as its time allows.
func (c *Client) send(ctx context.Context, r request) (answer, error) {
	var last error
	for n := 0; ; n++ {
		a, err := c.once(ctx, r)
		e, failed := errors.AsType[*Error](err)
		if !failed {
			return a, err
		}
		if last != nil && errors.Is(e, ErrPaused) {
			return answer{}, last // what made the breaker open tells more
		}
		if !r.read || !e.passing || !pause(ctx, n, e.RetryAfter) {
			return answer{}, e
		}
		last = e
	}
}

// pause waits before repetition n and reports whether there is to be one: not
// where the pause would outlast ctx, or where ctx ends it.
func pause(ctx context.Context, n int, asked time.Duration) bool {
	wait := max(rand.N(min(maxPause, firstPause<<min(n, 10))), asked)
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once makes one attempt, if the breaker lets it.
func (c *Client) once(ctx context.Context, r request) (answer, error) {
	// Neither says anything about Datasync, so the breaker hears of neither.
	if err := ctx.Err(); err != nil {
		return answer{}, &Error{Op: r.op, Kind: Network, Err: err}
	}
	req, err := c.build(ctx, r)
	if err != nil {
		return answer{}, err
	}
	a, err := c.breaker.do(func() (answer, error) { return c.attempt(ctx, r, req) })
	if errors.Is(err, ErrPaused) {
		return answer{}, &Error{Op: r.op, Kind: Network, RetryAfter: c.breaker.left(), Err: err}
	}
	return a, err
}

// build makes the HTTP request, and refuses one that would go elsewhere.
func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	refuse := func(err error) (*http.Request, error) {
		return nil, &Error{Op: r.op, Kind: Payload, Err: err}
	}
	address, err := c.cfg.reach(r.path, r.query)
	if err != nil {
		return refuse(err)
	}
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return refuse(err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return refuse(cause(err))
	}
	// net/http takes a request with an Idempotency-Key for repeatable and sends
	// it again when a connection dies. Without GetBody it cannot.
	req.GetBody = nil
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	return req, nil
}

// attempt sends a request once. Any 2xx is an answer, all else an *Error.
func (c *Client) attempt(ctx context.Context, r request, req *http.Request) (answer, error) {
	// A connection is where bytes begin to leave; before one there are none.
	var connected atomic.Bool
	resp, err := c.http.Do(req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})))
	if err != nil {
		return answer{}, &Error{Op: r.op, Kind: Network, Sent: connected.Load(), Err: cause(err), acts: !r.read,
			passing: !errors.Is(err, outbound.ErrRefused)}
	}
	defer func() { _ = resp.Body.Close() }()
	text, broken := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	a := newAnswer(resp, text)
	if a.status < 200 || a.status > 299 {
		return answer{}, &Error{
			Op: r.op, Kind: kindOf(a.status), Status: a.status, RequestID: a.requestID, Sent: true,
			Message:    clean(c.redact(a.message(), append(r.secrets, r.token)...), maxMessage),
			RetryAfter: retryAfter(resp.Header.Get("Retry-After"), c.o.Now()),
			acts:       !r.read,
			passing:    a.status >= 500 || a.status == http.StatusTooManyRequests,
		}
	}
	if !r.read {
		return a, nil // what cannot be read is missing from the answer; its status stands
	}
	if e := half(a, len(text), broken); e != nil {
		e.Op, e.Status, e.RequestID, e.Sent = r.op, a.status, a.requestID, true
		return answer{}, e
	}
	return a, nil
}

// half returns the error of a read whose answer did not come whole, or nil.
func half(a answer, length int, broken error) *Error {
	switch {
	case length > maxAnswer, errors.Is(broken, outbound.ErrAnswerTooLong):
		return &Error{Kind: Unexpected, Message: "the answer is longer than 1 MiB; ask for less, such as by a smaller datasync.transactions.page_size"}
	case broken != nil:
		return &Error{Kind: Network, Message: "the answer broke off", Err: cause(broken), passing: true}
	case a.raw == nil:
		return &Error{Kind: Unexpected, Message: "the answer is no JSON, or only the beginning of it", passing: true}
	}
	return nil
}

// cause takes the URL out of an error of net/http: Op says what was asked.
func cause(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// What is read by an id, which stands behind it.
const (
	readPartner     = "read partner "
	readTransaction = "read transaction "
)

// redact takes out what an answer may have echoed.
func (c *Client) redact(text string, secrets ...string) string {
	return replaceAll(text, event.Secret("").String(), append(secrets, c.cfg.ClientSecret.Reveal())...)
}
