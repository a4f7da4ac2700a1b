package notifiers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"datasync-bridge/event"
)

// maxAnswer bounds how much of an answer is read: far more than either medium
// says, far less than hurts.
const maxAnswer = 64 << 10

// Call is what happened on the wire during one request. Client libraries drop
// parts of it (a webhook's body, Retry-After, the kind of a transport error),
// so the verdict is made from this and never from their errors.
type Call struct {
	Status int // 0 without an answer
	Header http.Header
	Body   []byte
	// Err is the transport's own error; it holds no address.
	Err error

	asked, connected atomic.Bool
}

type callKey struct{}

// Record returns a context under which a client of Recording fills the Call.
func Record(ctx context.Context) (context.Context, *Call) {
	c := &Call{}
	return context.WithValue(ctx, callKey{}, c), c
}

// Recording returns a copy of client that fills the Call of Record. It never
// follows a redirect: a 307 would post a secret once more.
func Recording(client *http.Client) *http.Client {
	copied := *client
	if copied.Transport == nil {
		copied.Transport = http.DefaultTransport
	}
	copied.Transport = recorder{copied.Transport}
	copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &copied
}

type recorder struct{ next http.RoundTripper }

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(callKey{}).(*Call)
	if !ok {
		return r.next.RoundTrip(req)
	}
	resp, err := r.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { c.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.connected.Store(true) },
	})))
	if err != nil {
		c.Err = bare(err)
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	c.Status, c.Header = resp.StatusCode, resp.Header
	c.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		c.Err = bare(err)
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(c.Body))
	return resp, nil
}

// bare strips the address that net/http puts around an error: a webhook's is a
// secret by itself.
func bare(err error) error {
	for {
		var u *url.Error
		if !errors.As(err, &u) {
			return err
		}
		err = u.Err
	}
}

// MayHaveLeft reports whether the far side may have received the request: it
// is false only where no connection came about.
func (c *Call) MayHaveLeft() bool {
	if c.Status != 0 || c.connected.Load() {
		return true
	}
	var op *net.OpError
	if c.Err == nil || c.asked.Load() || errors.As(c.Err, &op) && op.Op == "dial" {
		return false
	}
	return true // a transport that tells nothing of its connections
}

// Broken is the verdict on a call that got no complete answer: transient, and
// unclear where the request may have left.
func (c *Call) Broken(err error) error {
	if c.Err != nil {
		err = c.Err
	}
	err = fmt.Errorf("no answer: %w", bare(err))
	if c.MayHaveLeft() {
		return Unclear(err)
	}
	return err
}

// RetryAfter reads the header of that name, as seconds or as a date; zero where
// there is none that makes sense.
func (c *Call) RetryAfter(now time.Time) time.Duration {
	text := strings.TrimSpace(c.Header.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(0, seconds), 24*60*60)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// Words is the answer's body as one short line, for an operator.
func (c *Call) Words() string { return Clean(string(c.Body), 300) }

// Redact removes secrets from an error, keeping its verdict. An error that
// held one no longer unwraps to its cause, which would still show it.
func Redact(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "<redacted>")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "<redacted>")
		}
	}
	if text == err.Error() {
		return err
	}
	clean := event.Quoted(text) // whatever else it quoted is no longer known
	wait, pause := RetryAfter(err)
	switch {
	case IsPermanent(err):
		return Permanent(clean)
	case pause:
		return Wait(wait, clean)
	case IsUnclear(err):
		return Unclear(clean)
	}
	return clean
}
