package datasync_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/datasync"
)

// wire is the other side in memory, for tests in which time matters. It gives
// tokens by itself unless token is set, and hands all else to answer.
type wire struct {
	token  func(n int) (status int, body string)
	answer func(n int, r *http.Request) (*http.Response, error)

	mu     sync.Mutex
	tokens int
	calls  []*http.Request
	at     []time.Time
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	w.mu.Lock()
	if strings.HasSuffix(r.URL.Path, "/auth/token") {
		w.tokens++
		n := w.tokens
		w.mu.Unlock()
		if w.token == nil {
			return reply(200, fmt.Sprintf(`{"access_token":"token-%d","expires_in":3600}`, n)), nil
		}
		status, body := w.token(n)
		return reply(status, body), nil
	}
	w.calls, w.at = append(w.calls, r), append(w.at, time.Now())
	n := len(w.calls)
	w.mu.Unlock()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.answer(n, r)
}

// reply is a response; fields are pairs of header names and values.
func reply(status int, body string, fields ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func (w *wire) client(cfg datasync.Config, o datasync.Options) *datasync.Client {
	if cfg.BaseURL == "" {
		cfg.BaseURL = "https://api.example/v1"
	}
	cfg.ClientID, cfg.ClientSecret = "id", "s3cret-of-ours"
	return datasync.New(cfg, &http.Client{Transport: w}, o)
}

// pages answers with one body after the other, and fails the test beyond.
func pages(t *testing.T, bodies ...string) *wire {
	return &wire{answer: func(n int, r *http.Request) (*http.Response, error) {
		if n > len(bodies) {
			t.Errorf("call %d, %s, was not expected", n, r.URL)
			return reply(404, `{}`), nil
		}
		return reply(200, bodies[n-1]), nil
	}}
}

func kindOf(t *testing.T, err error) *datasync.Error {
	t.Helper()
	e, ok := errors.AsType[*datasync.Error](err)
	if !ok {
		t.Fatalf("error %v (%T), want *datasync.Error", err, err)
	}
	return e
}
