package standin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"syscall"
)

// Transport carries requests to a handler inside this process, so that a test
// in a testing/synctest bubble needs no network. A cut connection comes back as
// a reset.
func Transport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := r.Clone(ctx)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	type result struct {
		out *page
		err error
	}
	done := make(chan result, 1)
	go func() {
		out := &page{header: http.Header{}, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil {
				done <- result{err: fmt.Errorf("read: %w", syscall.ECONNRESET)}
				if p != http.ErrAbortHandler { //nolint:errorlint // the panic's very value is what counts
					panic(p)
				}
				return
			}
			done <- result{out: out}
		}()
		t.handler.ServeHTTP(out, in)
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-done:
		if got.err != nil {
			return nil, got.err
		}
		return &http.Response{
			StatusCode: got.out.status, Status: http.StatusText(got.out.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: got.out.header, Body: io.NopCloser(&got.out.body), ContentLength: int64(got.out.body.Len()), Request: r,
		}, nil
	}
}

// page is a response in memory.
type page struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *page) Header() http.Header         { return p.header }
func (p *page) WriteHeader(status int)      { p.status = status }
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }
