package outbound

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrAnswerTooLong ends the reading of an answer that exceeds its bound.
var ErrAnswerTooLong = errors.New("answer is too long")

// guard judges the URL before a call and bounds the answer after it.
type guard struct {
	next      *http.Transport
	maxAnswer int64
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := Allowed(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: g.maxAnswer}
	return resp, nil
}

// CloseIdleConnections serves http.Client.CloseIdleConnections.
func (g *guard) CloseIdleConnections() { g.next.CloseIdleConnections() }

// bounded fails where more than left bytes come, rather than ending early: half
// an answer must not pass for a whole one.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left < 0 {
		return 0, ErrAnswerTooLong
	}
	// One byte more than is left tells an answer that just fits from a longer one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = -1
		return n, ErrAnswerTooLong
	}
	b.left -= int64(n)
	return n, err
}

// Redact returns a client's error without what may be secret in it: net/http
// puts the whole URL into its errors, and webhook addresses are secrets. What
// stays is the method, scheme and host, and the cause, which still answers
// errors.Is and errors.As. Call it before the error is wrapped or printed.
func Redact(err error) error {
	ue, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	cause := Redact(ue.Err)
	u, perr := url.Parse(ue.URL)
	if perr != nil || u.Host == "" {
		return fmt.Errorf("%s: %w", ue.Op, cause)
	}
	return fmt.Errorf("%s %s://%s: %w", ue.Op, u.Scheme, u.Host, cause)
}
