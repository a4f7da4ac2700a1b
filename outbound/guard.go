package outbound

import (
	"errors"
	"io"
	"net/http"
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
