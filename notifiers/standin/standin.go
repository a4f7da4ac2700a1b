// Package standin plays Slack and PagerDuty on this machine, for the demo and
// for tests: http.Handlers that answer as the real ones document, hold what
// they were told as state that can be read, and fail on demand.
//
// A *fault* is what goes wrong with one request. Everything received is kept
// until the stand-in is dropped, routing keys and tokens in request bodies
// included: it is for stories of thousands of calls, not for days.
package standin

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is what goes wrong with one request. The zero value is nothing.
type Fault struct {
	// Delay holds the answer back, or until the caller gives up.
	Delay time.Duration
	// Acted lets the request do its work before it fails: an answer that lies,
	// or is lost.
	Acted bool
	// Reset cuts the connection instead of answering.
	Reset bool
	// Cut ends the connection half-way through the answer of Status.
	Cut bool
	// Status is answered, with RetryAfter as its header and Body as its body.
	Status     int
	RetryAfter string
	Body       string
	// Word is answered by Slack as {"ok": false, "error": Word} with status 200.
	Word string
}

func (f Fault) fails() bool { return f.Reset || f.Status != 0 || f.Word != "" }

// Faults decides the fault of request n (1, 2, …); nil is none ever. It may be
// called by several requests at once.
type Faults func(n int, r *http.Request) Fault

// Request is one request as it came, and what was answered.
type Request struct {
	N      int
	At     time.Time
	Path   string
	Header http.Header
	Body   []byte
	// Status is 0 where the connection was cut.
	Status int
	Answer string
	// Faulted reports that a fault decided the answer.
	Faulted bool
}

// answer is what a stand-in says.
type answer struct {
	status int
	header map[string]string
	body   string
}

// desk is what both stand-ins share: faults, the record, and waiting for change.
type desk struct {
	now func() time.Time

	mu       sync.Mutex
	faults   Faults
	requests []Request
	seen     int
	changed  chan struct{}
}

func newDesk(faults Faults, now func() time.Time) desk {
	if now == nil {
		now = time.Now
	}
	return desk{now: now, faults: faults, changed: make(chan struct{})}
}

// SetFaults replaces the script; requests go on being counted.
func (d *desk) SetFaults(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// Changed returns a channel that is closed at the next request answered. Take
// it before looking at the state, and nothing can be missed.
func (d *desk) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Requests returns everything received, in order of answering.
func (d *desk) Requests() []Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Request(nil), d.requests...)
}

// maxBody is more than either far side takes.
const maxBody = 2 << 20

// serve answers one request by act, or by the fault that it drew. act is called
// with the lock held.
func (d *desk) serve(w http.ResponseWriter, r *http.Request, act func(body []byte) answer, refuse func(Fault) answer) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
	d.mu.Lock()
	d.seen++
	n, script := d.seen, d.faults
	d.mu.Unlock()
	var fault Fault
	if script != nil {
		fault = script(n, r)
	}
	if !pause(r, fault.Delay) {
		panic(http.ErrAbortHandler)
	}

	d.mu.Lock()
	var said answer
	if !fault.fails() || fault.Acted {
		said = act(body)
	}
	if fault.fails() {
		said = refuse(fault)
	}
	record := Request{N: n, At: d.now(), Path: r.URL.Path, Header: r.Header.Clone(), Body: body,
		Status: said.status, Answer: said.body, Faulted: fault.fails()}
	if fault.Reset {
		record.Status, record.Answer = 0, ""
	}
	d.requests = append(d.requests, record)
	close(d.changed)
	d.changed = make(chan struct{})
	d.mu.Unlock()

	if fault.Reset {
		reset(w)
	}
	for name, value := range said.header {
		w.Header().Set(name, value)
	}
	if fault.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(said.body)+1))
		said.body = said.body[:len(said.body)/2]
	}
	w.WriteHeader(said.status)
	_, _ = io.WriteString(w, said.body) // a caller that left has its own record
	if fault.Cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// pause reports whether the caller was still there when the delay was over.
func pause(r *http.Request, delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// reset cuts the connection so that the caller sees a reset, or at least an end
// without an answer.
func reset(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// failing is the answer of a fault with a status.
func failing(f Fault) answer {
	a := answer{status: f.Status, body: f.Body, header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}}
	if f.RetryAfter != "" {
		a.header["Retry-After"] = f.RetryAfter
	}
	return a
}
