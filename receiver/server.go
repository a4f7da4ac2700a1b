// Package receiver is the public front door: it takes signed webhooks over
// HTTP, verifies the raw bytes, and answers 2xx only for what its inbox holds
// on disk.
//
// It stores nothing of a request that was not verified, decides nothing about
// alerts, and never answers a fault of the bridge's own with a 4xx.
//
// A *source* is one address with its scheme and mapping. *Authentic* is an
// event whose signature was verified. *Quarantined* is an authentic body that
// cannot be mapped: it is stored all the same.
package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/event"

	"github.com/gofiber/fiber/v2"
	recovery "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"
)

// Inbox keeps verified events. It returns once the event is durable, or will
// not be: event.ErrBusy and event.ErrUnavailable are answered 503. It does not
// touch the body after it has returned.
type Inbox interface {
	Accept(ctx context.Context, r event.Received) (event.Receipt, error)
}

// Options are what a server may be given besides its configuration.
type Options struct {
	// Ready reports why the bridge cannot take events now. Default: it can.
	Ready func() error
	// Now is the clock of received_at and of freshness. Default time.Now.
	Now func() time.Time
	// Log takes refusals and faults. Default: none.
	Log *slog.Logger
	// Observe is told of every request, as it is answered.
	Observe func(Answered)
}

// Answered is one request and its answer.
type Answered struct {
	Source string // "" for none
	Code   string // of the answer
	Event  string // the id of the event that was kept or counted, "" for none
	// Took is the time from the request's first byte.
	Took time.Duration
}

// Server is the public listener.
type Server struct {
	app      *fiber.App
	inbox    Inbox
	ready    func() error
	now      func() time.Time
	observe  func(Answered)
	rejected *rejectedLog
	bodies   *bodies
	proxies  proxies
	failures *failures
	ids      *ids
	hooks    atomic.Pointer[hooks]
	closing  atomic.Bool
	patience time.Duration
	pair     *certificate.Pair // nil for plain HTTP
	// publicURL is what senders call, without the path.
	publicURL string
	// connections bounds those that are open at one time.
	connections int
}

// New builds a server. It refuses what Validate and ValidateSources report.
func New(cfg Config, sources []Source, inbox Inbox, o Options) (*Server, error) {
	cfg = cfg.WithDefaults()
	var faults []error
	cfg.Validate(under("server", func(path, problem string) { faults = append(faults, fmt.Errorf("%s: %s", path, problem)) }))
	s := &Server{
		inbox: inbox, ready: o.Ready, now: o.Now, observe: o.Observe,
		bodies:  &bodies{limit: int(cfg.BodyLimit), budget: int64(cfg.InFlight)},
		proxies: newProxies(cfg.TrustedProxies), failures: newFailures(cfg.FailureLimit), ids: newIDs(),
		patience: cfg.ReadTimeout + acceptTimeout + time.Second/2, connections: cfg.Concurrency,
		publicURL: cfg.PublicURL,
	}
	if s.ready == nil {
		s.ready = func() error { return nil }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.observe == nil {
		s.observe = func(Answered) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s.rejected = newRejectedLog(o.Log)
	use, err := s.Prepare(sources)
	if err = errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	use()
	if cfg.TLS != nil {
		pair, err := certificate.Load(*cfg.TLS, o.Log)
		if err != nil {
			return nil, fmt.Errorf("server.tls: %w", err)
		}
		s.pair = pair
	}
	s.app = newApp(cfg, s.fault)
	s.route()
	return s, nil
}

// newApp sets what keeps fiber and fasthttp from touching bodies, trusting
// strangers or holding memory for them.
func newApp(cfg Config, fault fiber.ErrorHandler) *fiber.App {
	return fiber.New(fiber.Config{
		Immutable:     true, // header texts outlive the handler in the store
		CaseSensitive: true,
		StrictRouting: true,

		StreamRequestBody:            true, // nothing is allocated for what is only promised
		DisablePreParseMultipartForm: true, // a re-written form has another signature
		BodyLimit:                    int(cfg.BodyLimit),
		ReadBufferSize:               8 << 10,              // the most that headers may take; each connection holds it
		WriteBufferSize:              1 << 10,              // an answer is shorter; each connection holds it
		Concurrency:                  cfg.Concurrency + 64, // the listener refuses first, in our words

		ReadTimeout:  cfg.ReadTimeout, // the one guard against slow senders
		WriteTimeout: 10 * time.Second,
		IdleTimeout:  time.Minute,

		EnableTrustedProxyCheck: true, // with no proxies named here: c.IP() is the peer
		DisableStartupMessage:   true,
		ErrorHandler:            fault,
	})
}

// route lays out the public addresses. Whatever is not listed is 404.
func (s *Server) route() {
	s.app.Use(recovery.New(recovery.Config{
		EnableStackTrace:  true,
		StackTraceHandler: func(_ *fiber.Ctx, value any) { s.rejected.panicked(value, debug.Stack()) },
	}))
	s.app.Get(healthPath, func(c *fiber.Ctx) error { return s.send(c, healthy, "") })
	s.app.Get(readyPath, s.readiness)
	s.app.Use(s.knock)
	s.catchOdd()
}

// catchOdd answers, before fiber sees them, methods that fiber does not know,
// which it would answer itself, outside the answer table, and requests that
// another reader on the way may have understood in another way.
func (s *Server) catchOdd() {
	known := map[string]bool{}
	for _, m := range fiber.DefaultMethods {
		known[m] = true
	}
	next := s.app.Handler()
	s.app.Server().Handler = func(r *fasthttp.RequestCtx) {
		odd := ambiguous(&r.Request.Header)
		if known[string(r.Method())] && !odd {
			next(r)
			return
		}
		c := s.app.AcquireCtx(r)
		defer s.app.ReleaseCtx(c)
		err := error(fiber.ErrBadRequest)
		if !odd {
			err = s.knock(c)
		}
		if err != nil {
			_ = s.fault(c, err) // it only sets the answer
		}
	}
}

// ambiguous reports a version of HTTP that is not spoken here, and a body with
// both a length and chunks, whose end a proxy may see elsewhere (RFC 9112 §6.1:
// it ought to be handled as an error). fasthttp reads either as it thinks best.
func ambiguous(h *fasthttp.RequestHeader) bool {
	if version := string(h.Protocol()); version != "HTTP/1.1" && version != "HTTP/1.0" {
		return true
	}
	if h.ContentLength() != -1 { // not chunked
		return false
	}
	const length = "content-length:"
	for line := range bytes.Lines(h.RawHeaders()) {
		if len(line) >= len(length) && strings.EqualFold(string(line[:len(length)]), length) {
			return true
		}
	}
	return false
}

// readiness says whether events can be taken, and to strangers nothing more.
func (s *Server) readiness(c *fiber.Ctx) error {
	a := ready
	if s.closing.Load() || s.ready() != nil {
		a = notReady
	}
	return s.send(c, a, "")
}

// Run serves a listener until ctx ends, answers the requests in hand, and
// returns when the last connection is done or its time is up. It closes ln.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	for _, h := range *s.hooks.Load() {
		h.source.Verify.Warnings(s.now(), func(path, problem string) {
			s.rejected.log.Warn("source deserves a look", "source", h.source.Name, "at", "verify."+path, "why", problem)
		})
	}
	if s.pair != nil {
		ln = s.pair.Listen(ln)
	}
	served := make(chan error, 1)
	d := openDoor(ln, s.connections, s.pair != nil, s.crowded)
	defer d.end()
	go func() { served <- s.app.Listener(d) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", ln.Addr(), stopped(err))
	case <-ctx.Done():
	}
	s.closing.Store(true)
	// A shutdown that comes before serving began is forgotten, so the listener
	// is closed first, and serving has ended before connections are waited for.
	_ = ln.Close()
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	d.end() // who waits to be let in is refused now
	err := s.app.ShutdownWithTimeout(s.patience)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("shut the listener down: %w", err)
	}
	return nil
}

// crowded tells of a connection that was refused because too many are open. No
// handler ever sees it.
func (s *Server) crowded() {
	s.observe(Answered{Code: busy.code})
	s.rejected.fault("", busy, "none", errors.New("too many connections are open; see server.concurrency"))
}

// Certificate is what the listener shows, nil for plain HTTP.
func (s *Server) Certificate() *certificate.Pair { return s.pair }

// CertificateEnds is when the listener's certificate ends, zero without one.
func (s *Server) CertificateEnds() time.Time {
	if s.pair == nil {
		return time.Time{}
	}
	return s.pair.Ends()
}

// stopped names the end of serving that nobody asked for.
func stopped(err error) error {
	if err == nil {
		return errors.New("the listener was closed")
	}
	return err
}

// address is where a request comes from, as far as it can be known.
func (s *Server) address(c *fiber.Ctx) netip.Addr {
	return s.proxies.client(c.Context().RemoteAddr(), headers{&c.Request().Header}.Values(fiber.HeaderXForwardedFor))
}

// headers shows a request's headers to the verifier, copied.
type headers struct{ of *fasthttp.RequestHeader }

// Values returns all values of a header.
func (h headers) Values(name string) []string {
	found := h.of.PeekAll(name)
	if len(found) == 0 {
		return nil
	}
	values := make([]string, len(found))
	for i, v := range found {
		values[i] = string(v)
	}
	return values
}
