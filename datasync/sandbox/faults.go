package sandbox

import (
	"net"
	"net/http"
	"time"
)

// Fault is what goes wrong with one call.
type Fault struct {
	// Status is answered instead of the right one; 0 leaves it.
	Status int `json:"status"`
	// RetryAfter is told beside it, "" for nothing.
	RetryAfter string `json:"retry_after"`
	// Delay passes before the answer, or before the reset.
	Delay time.Duration `json:"delay"`
	// Reset breaks the connection instead of answering.
	Reset bool `json:"reset"`
	// AfterActing makes the call have its effect before it goes wrong.
	AfterActing bool `json:"after_acting"`
}

// FailNext makes the next call to a path ("/v1/automations/run") go wrong. Said
// several times, the faults come one a call, in order.
func (s *Sandbox) FailNext(path string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[path] = append(s.faults[path], f)
}

// faulty lays the fault that is due over a handler.
func (s *Sandbox) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, due := s.fault(r.URL.Path)
		if !due {
			next.ServeHTTP(w, r)
			return
		}
		if f.AfterActing {
			next.ServeHTTP(unheard{http.Header{}}, r)
		}
		if f.Delay > 0 {
			timer := time.NewTimer(f.Delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
			}
		}
		switch {
		case f.Reset:
			reset(w)
		case f.Status != 0:
			if f.RetryAfter != "" {
				w.Header().Set("Retry-After", f.RetryAfter)
			}
			s.refuse(w, f.Status, "injected_fault", "the sandbox was told to fail here")
		case !f.AfterActing:
			next.ServeHTTP(w, r)
		default:
			s.answer(w, http.StatusOK, map[string]any{})
		}
	})
}

func (s *Sandbox) fault(path string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.faults[path]
	if len(due) == 0 {
		return Fault{}, false
	}
	s.faults[path] = due[1:]
	return due[0], true
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

// unheard takes an answer that nobody gets.
type unheard struct{ header http.Header }

func (u unheard) Header() http.Header         { return u.header }
func (u unheard) Write(p []byte) (int, error) { return len(p), nil }
func (u unheard) WriteHeader(int)             {}
