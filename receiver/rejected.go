package receiver

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// rejectedLog tells of refused requests, at most a line a second once its
// burst is spent, so that a stranger cannot fill a disk. What strangers wrote
// is escaped; bodies, signatures and secrets are never among it.
type rejectedLog struct {
	log        *slog.Logger
	pace       *rate.Limiter
	suppressed atomic.Int64
}

func newRejectedLog(log *slog.Logger) *rejectedLog {
	return &rejectedLog{log: log, pace: rate.NewLimiter(1, 20)}
}

// refusal is the sender's fault.
func (r *rejectedLog) refusal(source string, a answer, request string, from netip.Addr, why error) {
	if more, ok := r.turn(); ok {
		r.log.Warn("request refused", "source", source, "status", a.status, "code", a.code,
			"request", request, "address", from.String(), "why", why.Error(), "suppressed", more)
	}
}

// unknown is a request to no source.
func (r *rejectedLog) unknown(a answer, method, path, request string, from netip.Addr) {
	if more, ok := r.turn(); ok {
		r.log.Warn("request refused", "status", a.status, "code", a.code,
			"method", escaped(method), "path", escaped(path), "request", request, "address", from.String(), "suppressed", more)
	}
}

// fault is our own.
func (r *rejectedLog) fault(source string, a answer, request string, why error) {
	if more, ok := r.turn(); ok {
		r.log.Error("request not taken", "source", source, "status", a.status, "code", a.code,
			"request", request, "err", why, "suppressed", more)
	}
}

// panicked tells where, and what kind of panic; its text may quote a body.
func (r *rejectedLog) panicked(value any, stack []byte) {
	r.log.Error("request handler panicked", "err", fmt.Sprintf("%T", value), "stack", string(stack))
}

func (r *rejectedLog) turn() (suppressed int64, ok bool) {
	if !r.pace.Allow() {
		r.suppressed.Add(1)
		return 0, false
	}
	return r.suppressed.Swap(0), true
}

// escaped leaves printable ASCII, cut to a length that a line can bear.
func escaped(s string) string {
	quoted := strconv.QuoteToASCII(short(s, 100))
	return quoted[1 : len(quoted)-1]
}
