package datasync

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind says what a failed call means for the one who called.
type Kind string

// The kinds. Datasync documents 4xx as a configuration issue and 5xx as an
// incident on its side.
const (
	Payload    Kind = "payload"    // 400, 413, 415, 422: what was sent is wrong
	Token      Kind = "token"      // 401: credentials or token are not accepted
	Scope      Kind = "scope"      // 403: the client may not do this
	NotFound   Kind = "not found"  // 404, 405, 410
	RateLimit  Kind = "rate limit" // 429: later
	Server     Kind = "server"     // 5xx
	Network    Kind = "network"    // no answer
	Unexpected Kind = "unexpected" // an answer that the documentation does not explain
)

// Error is a call that did not succeed.
type Error struct {
	// Op is what was asked: "run resend_status".
	Op   string
	Kind Kind
	// Status is the HTTP status, 0 without an answer.
	Status int
	// RequestID is to be quoted in a ticket, "" where none was told.
	RequestID string
	// Message is Datasync's own words, bounded, without control characters.
	Message string
	// RetryAfter is how long Datasync asked to wait, 0 where it did not.
	RetryAfter time.Duration
	// Sent reports that a byte of the request itself (not of the one for its
	// token) may have left. Without it nothing can have happened.
	Sent bool
	Err  error

	passing bool // a repetition may go better
	acts    bool // what was asked changes something there
}

func (e *Error) Error() string {
	text := e.Op + ": " + e.Reason()
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Reason is the error alone, without what was asked and without the request id:
// "422 transaction_id is missing".
func (e *Error) Reason() string {
	switch {
	case e.Status != 0:
		return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, firstOf(e.Message, strings.ToLower(http.StatusText(e.Status)))))
	case e.Message != "" && e.Err != nil:
		return e.Message + ": " + e.Err.Error()
	case e.Message != "":
		return e.Message
	case e.Err != nil:
		return e.Err.Error()
	}
	return string(e.Kind)
}

func (e *Error) Unwrap() error { return e.Err }

// Quotes implements event.Quoter: Datasync's own words, and the id of what was
// asked for.
func (e *Error) Quotes() []string {
	for _, op := range []string{readPartner, readTransaction} {
		if id, ok := strings.CutPrefix(e.Op, op); ok {
			return []string{e.Message, id}
		}
	}
	return []string{e.Message}
}

// Advice says what kind of fault this is and what to do next, in one or two
// sentences for the one who called.
func (e *Error) Advice() string {
	text := e.next()
	switch e.Kind {
	case Server, Network, Unexpected:
		if e.Sent && e.acts {
			text += "; it may have taken effect all the same, so look before you repeat it"
		}
	case Payload, Token, Scope, NotFound, RateLimit:
	}
	if e.RequestID != "" {
		text += "; in a ticket, quote request " + e.RequestID
	}
	return text
}

func (e *Error) next() string {
	switch e.Kind {
	case Payload:
		if e.Status == 0 {
			return "Nothing was sent: correct what is named and try again"
		}
		return "Datasync found the request invalid: correct what it names and try again"
	case Token:
		return "Datasync does not accept the credentials: check datasync.client_id and datasync.client_secret; " +
			"clients are created in the console under Settings → API Access"
	case Scope:
		return "The API client lacks a scope: give it the one for this call in the console under Settings → API Access"
	case NotFound:
		return "Datasync does not know it: check the id, and that datasync.base_url, or sandbox_url, is the API's"
	case RateLimit:
		if e.RetryAfter > 0 {
			return "Too many requests: try again in " + e.RetryAfter.Round(time.Second).String()
		}
		return "Too many requests: try again in a few minutes"
	case Server:
		return "An incident on Datasync's side, nothing to change here: try again later"
	case Network:
		if errors.Is(e, ErrPaused) {
			return "Nothing was sent: Datasync failed several times in a row and is left alone for a moment; try again in " +
				max(time.Second, e.RetryAfter.Round(time.Second)).String()
		}
		return "No whole answer came: check datasync.base_url, or sandbox_url, the network and the proxy, and try again"
	case Unexpected:
		if e.Status >= 300 && e.Status <= 399 {
			return "A redirect, which is never followed: set datasync.base_url, or sandbox_url, to where the API is"
		}
	}
	return "An answer that the documentation does not explain: check that datasync.base_url, or sandbox_url, is the API's"
}

func kindOf(status int) Kind {
	switch status {
	case http.StatusUnauthorized:
		return Token
	case http.StatusForbidden:
		return Scope
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return NotFound
	case http.StatusTooManyRequests:
		return RateLimit
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		// A gateway's timeout, or a key that Datasync has seen before: neither
		// says that nothing happened.
		return Unexpected
	}
	switch {
	case status >= 500:
		return Server
	case status >= 400:
		return Payload
	}
	return Unexpected
}

// retryAfter reads seconds or an HTTP date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return time.Duration(max(0, min(n, 86400))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(at.Sub(now), 24*time.Hour))
	}
	return 0
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
