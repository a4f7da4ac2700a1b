package sandbox

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxDelay   = time.Minute
	maxFaults  = 1000 // that wait; beyond that they are not taken
	maxCounted = 1000 // addresses, the rest is counted as "other"
)

// Fault is what goes wrong with one call.
type Fault struct {
	// Status is answered instead of the right one; 0 leaves it.
	Status int `json:"status"`
	// Code and Message of the refusal. Default: what fits the status, such as
	// expired_token for 401 and missing_scope for 403.
	Code    string `json:"code"`
	Message string `json:"message"`
	// RetryAfter is told beside it, "" for nothing.
	RetryAfter string `json:"retry_after"`
	// Delay passes before the answer, or before the reset; at most a minute.
	Delay time.Duration `json:"delay"`
	// Reset breaks the connection instead of answering.
	Reset bool `json:"reset"`
	// Truncate sends half of the answer's body under its full Content-Length.
	Truncate bool `json:"truncate"`
	// AfterActing makes the call have its effect before it goes wrong.
	AfterActing bool `json:"after_acting"`
	// Times is how many calls in a row it happens to. Default 1.
	Times int `json:"times"`
}

// apiFaults is what goes wrong with the calls to come.
type apiFaults struct {
	next   []dueFault
	always Fault // for every call that none of next is for
}

type dueFault struct {
	path string
	Fault
}

// FailNext makes the next call to a path go wrong: "/v1/automations/run", or
// "/v1/partners/*" for whatever begins so; only with a method where it is named
// before it ("GET /v1/transactions"). Said several times, the faults come one
// after the other. A path of the sandbox environment is meant for it. Of more
// than 1000 faults that wait, the later ones are dropped.
func (s *Sandbox) FailNext(path string, f Fault) {
	if s.inner != nil && strings.Contains(path, s.inner.base+"/") {
		s.inner.FailNext(path, f)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(1, f.Times)
	if len(s.api.next) < maxFaults {
		s.api.next = append(s.api.next, dueFault{path, f})
	}
}

// FailAll makes every call of this world go wrong like that until it is given
// the zero Fault. A fault of FailNext comes before it.
func (s *Sandbox) FailAll(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.always = f
}

// Down makes the whole API of this world answer 503, or ends that. Webhooks go
// on, because they come from elsewhere.
func (s *Sandbox) Down(down bool) {
	if down {
		s.FailAll(Fault{Status: http.StatusServiceUnavailable, Message: "Datasync is down"})
		return
	}
	s.FailAll(Fault{})
}

// Heal ends every fault of the API and of the webhooks, and delivers what was
// held back.
func (s *Sandbox) Heal() {
	s.mu.Lock()
	s.api = apiFaults{}
	s.mu.Unlock()
	s.LoseWebhooks(nil)
	s.DuplicateWebhooks(0)
	s.ReleaseWebhooks()
}

// Calls returns how often each address of this world was asked, answered or not:
// "GET /v1/transactions" → 3.
func (s *Sandbox) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// faulty counts a call and lays the fault that is due over it.
func (s *Sandbox) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, due := s.fault(r.Method, r.URL.Path)
		if !due {
			next.ServeHTTP(w, r)
			return
		}
		answer := &recorded{header: http.Header{}, status: http.StatusOK}
		if f.AfterActing {
			next.ServeHTTP(answer, r)
		}
		pause(r.Context(), min(f.Delay, maxDelay))
		switch {
		case f.Reset:
			reset(w)
			return
		case f.Status != 0:
			answer = &recorded{header: http.Header{}, status: f.Status}
			if f.RetryAfter != "" {
				answer.header.Set("Retry-After", f.RetryAfter)
			}
			s.refuse(answer, f.Status, f.code(), f.message())
		case !f.AfterActing:
			next.ServeHTTP(answer, r)
		}
		answer.send(w, f.Truncate)
	})
}

func (s *Sandbox) fault(method, path string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address := method + " " + path
	if _, counted := s.calls[address]; !counted && (len(s.calls) >= maxCounted || len(address) > 200) {
		address = "other"
	}
	s.calls[address]++
	i := slices.IndexFunc(s.api.next, func(f dueFault) bool { return f.meets(method, path) })
	if i < 0 {
		return s.api.always, s.api.always != Fault{}
	}
	f := s.api.next[i].Fault
	if s.api.next[i].Times--; s.api.next[i].Times == 0 {
		s.api.next = slices.Delete(s.api.next, i, i+1)
	}
	return f, true
}

func (f dueFault) meets(method, path string) bool {
	want := f.path
	if only, rest, named := strings.Cut(want, " "); named {
		if only != method {
			return false
		}
		want = rest
	}
	begin, glob := strings.CutSuffix(want, "*")
	return path == want || (glob && strings.HasPrefix(path, begin))
}

func (f Fault) code() string {
	if f.Code != "" {
		return f.Code
	}
	switch {
	case f.Status == http.StatusUnauthorized:
		return "expired_token"
	case f.Status == http.StatusForbidden:
		return "missing_scope"
	case f.Status == http.StatusTooManyRequests:
		return "rate_limited"
	case f.Status >= 500:
		return "server_error"
	}
	return "invalid_payload"
}

func (f Fault) message() string {
	if f.Message != "" {
		return f.Message
	}
	return "the sandbox was told to fail here"
}

// pause lets time pass, less if nobody waits any more.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reset ends the connection with a RST where the transport allows it.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// recorded is an answer that may still go wrong.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorded) Header() http.Header         { return a.header }
func (a *recorded) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *recorded) WriteHeader(status int)      { a.status = status }

// send writes the answer, or its first half under the length of the whole, after
// which the server breaks the connection.
func (a *recorded) send(w http.ResponseWriter, truncated bool) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.status)
	body := a.body.Bytes()
	if truncated {
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body) // the client is gone: nobody to tell
}
