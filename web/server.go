// Package web is the admin listener: health and metrics for machines, and the
// admin API (/api/v1) by which people see and operate a running bridge.
//
// Everything except /healthz, /readyz and /metrics needs a bearer token, on
// loopback too, because a browser on the same machine can be made to call
// loopback. A *user* is a name with roles; the name goes into every record of
// what was done. It never decides anything about incidents: reads go to a
// Reader, deeds to an Operator.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/valyala/fasthttp"

	"datasync-bridge/certificate"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// Reader is what the API lists and shows.
type Reader interface {
	Events
	Incidents
	Deliveries
	Runs
	Deeds
}

// Events reads received events.
type Events interface {
	Event(ctx context.Context, id string) (event.Stored, error)
	Events(ctx context.Context, f incident.Filter) ([]event.Stored, error)
}

// Incidents reads incidents and what belongs to one.
type Incidents interface {
	Incident(ctx context.Context, id string) (incident.Incident, error)
	Incidents(ctx context.Context, f incident.Filter) ([]incident.Incident, error)
	Members(ctx context.Context, incidentID string, limit int) ([]incident.Member, error)
	Timeline(ctx context.Context, incidentID string, limit int) ([]incident.Entry, error)
}

// Deliveries reads notifications on their way.
type Deliveries interface {
	Delivery(ctx context.Context, id string) (incident.Delivery, error)
	Deliveries(ctx context.Context, f incident.Filter) ([]incident.Delivery, error)
}

// Runs reads runs of automations.
type Runs interface {
	Run(ctx context.Context, id string) (incident.Run, error)
	Runs(ctx context.Context, f incident.Filter) ([]incident.Run, error)
}

// Deeds reads the record of deeds.
type Deeds interface {
	Audit(ctx context.Context, f incident.Filter) ([]incident.Audit, error)
}

// Operator does what a person asks for, in the person's name. An error that is
// neither event.ErrNotFound nor the store's own trouble is a refusal, and its
// text is told to the person: the incident is over, the delivery is not dead.
type Operator interface {
	Acknowledge(ctx context.Context, incidentID, by, why string) error
	Resolve(ctx context.Context, incidentID, by, why string) error
	RetryDelivery(ctx context.Context, deliveryID, by string) error
}

// Desk decides about runs in a person's name; its refusals are told to the
// person, as the Operator's are.
type Desk interface {
	Approve(ctx context.Context, ids []string, by, why string) error
	Deny(ctx context.Context, id, by, why string) error
	StopRun(ctx context.Context, id, by, why string) error
	// Stop and Resume are for one remediation's runs, "" for all.
	Stop(ctx context.Context, scope, by, why string) error
	Resume(ctx context.Context, scope, by, why string) error
	// Clear settles a run whose outcome is unknown: done reports that it acted.
	Clear(ctx context.Context, id string, done bool, by, why string) error
	// Record appends what a person did elsewhere to the record of deeds.
	Record(ctx context.Context, a incident.Audit) error
}

// Silencer keeps people from being told for a while. Its refusals are told to
// the person, as the Operator's are.
type Silencer interface {
	// AddSilence makes a silence in a person's name and returns it as it is
	// kept: with its id, and its beginning where none was asked for.
	AddSilence(ctx context.Context, s incident.Silence, by string) (incident.Silence, error)
	// ExpireSilence ends one before its time.
	ExpireSilence(ctx context.Context, id, by, why string) error
	// Silences are those of the configuration and those made at run time, also
	// those that are over and kept.
	Silences(ctx context.Context) ([]incident.Silence, error)
}

// Purger takes away what is kept of a partner's events, step by step, in a
// person's name. Its refusals are told to the person, as the Operator's are.
type Purger interface {
	Purge(ctx context.Context, p incident.Purge, by string) (incident.Purged, error)
}

// Deps is what the server speaks for.
type Deps struct {
	Reader   Reader
	Operator Operator
	Desk     Desk
	// Silencer may be nil: silences then have no address.
	Silencer Silencer
	// Purger may be nil: it then has no address.
	Purger Purger
	// Reload puts the configuration's file in force, in a person's name. Its
	// refusals are told to the person. It may be nil: it then has no address.
	Reload func(ctx context.Context, by string) (view.Reload, error)
	// Ready reports why the bridge cannot take events now, nil while it can.
	Ready   func(ctx context.Context) error
	Status  func(ctx context.Context) (view.Status, error)
	Metrics http.Handler
}

// Options are tunable.
type Options struct {
	Log *slog.Logger
	// TokenFile holds the generated token where the configuration names no
	// users; it is made with mode 0600 if need be. Required then.
	TokenFile string
}

// Bounds on one request. The API's own bodies are tiny.
const (
	maxBody = 64 << 10
	// readBody is what is read before it is refused: who is cut off while still
	// writing sees a reset instead of the reason.
	readBody     = 4 * maxBody
	patience     = 10 * time.Second
	shutdownTime = 10 * time.Second
)

// Server is the admin listener's app.
type Server struct {
	deps  Deps
	log   *slog.Logger
	hosts map[string]bool
	users []user
	pair  *certificate.Pair // nil for plain HTTP
	pprof bool
	app   *fiber.App
}

// New makes the server and, where no users are configured, its token file.
func New(cfg Config, d Deps, o Options) (*Server, error) {
	s := &Server{deps: d, log: o.Log, hosts: allowedHosts(cfg), pprof: cfg.Pprof}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.TLS != nil {
		pair, err := certificate.Load(*cfg.TLS, s.log)
		if err != nil {
			return nil, fmt.Errorf("admin.tls: %w", err)
		}
		s.pair = pair
	}
	for _, u := range cfg.Users {
		s.users = append(s.users, configured(u))
	}
	if len(s.users) == 0 {
		token, err := localToken(o.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("prepare the admin token: %w", err)
		}
		s.users = []user{local(token)}
	}
	s.app = s.build()
	return s, nil
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

func (s *Server) build() *fiber.App {
	app := fiber.New(fiber.Config{
		AppName: "datasync-bridge", Immutable: true, DisableStartupMessage: true,
		CaseSensitive: true, // one spelling of an address, also for the log of deeds
		BodyLimit:     readBody, Concurrency: 256, ReadBufferSize: 16 << 10, DisablePreParseMultipartForm: true,
		ReadTimeout: patience, WriteTimeout: 3 * patience, IdleTimeout: 60 * time.Second,
		ErrorHandler: s.failed,
	})
	// Inside log, so that a panic is answered and logged like any other failure.
	app.Use(s.guard, recover.New(), s.authenticate)

	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Get("/readyz", s.ready)
	app.Get("/metrics", adaptor.HTTPHandler(s.deps.Metrics))

	// Every address says whose it is.
	v1 := app.Group("/api/v1")
	get := func(path string, h fiber.Handler) { v1.Get(path, may(View), h) }
	post := func(role, path string, h fiber.Handler) { v1.Post(path, may(role), h) }
	get("/status", s.status)
	get("/events", s.events)
	get("/events/:id", s.event)
	get("/incidents", s.incidents)
	get("/incidents/:id", s.incident)
	post(Operate, "/incidents/:id/acknowledge", s.acknowledge)
	post(Operate, "/incidents/:id/resolve", s.resolve)
	get("/deliveries", s.deliveries)
	get("/deliveries/:id", s.delivery)
	post(Operate, "/deliveries/:id/retry", s.retry)
	get("/runs", s.runs)
	get("/runs/:id", s.run)
	post(Approve, "/runs/approve", s.approveRuns)
	post(Approve, "/runs/:id/deny", s.denyRun)
	post(Operate, "/runs/stop", s.stopRuns)
	post(Operate, "/runs/resume", s.resumeRuns)
	post(Operate, "/runs/:id/stop", s.stopRun)
	post(Operate, "/runs/:id/clear", s.clearRun)
	get("/audit", s.audit)
	post(Operate, "/audit", s.record)
	if s.deps.Silencer != nil {
		get("/silences", s.silences)
		post(Operate, "/silences", s.addSilence)
		post(Operate, "/silences/:id/expire", s.expireSilence)
	}
	if s.deps.Purger != nil {
		post(Operate, "/events/purge", s.purge)
	}
	if s.pprof {
		app.Get("/debug/pprof/:profile", may(Operate), s.profile)
	}
	if s.deps.Reload != nil {
		app.Post("/-/reload", may(Operate), s.reload)
	}
	next := app.Handler()
	app.Server().Handler = func(r *fasthttp.RequestCtx) {
		harden(&r.Response.Header) // also where Fiber answers before any handler of ours
		next(r)
	}
	return app
}

// Run serves on ln until ctx ends, then answers what is in hand. It closes ln.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	if s.pair != nil {
		ln = s.pair.Listen(ln)
	}
	served := make(chan error, 1)
	go func() { served <- s.app.Listener(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the admin listener: %w", err)
	case <-ctx.Done():
	}
	stopped := s.app.ShutdownWithTimeout(shutdownTime)
	// A shutdown that came before serving began is forgotten by Fiber; closing
	// the listener ends it all the same.
	if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		stopped = errors.Join(stopped, err)
	}
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
		stopped = errors.Join(stopped, err)
	}
	if stopped != nil {
		return fmt.Errorf("stop the admin listener: %w", stopped)
	}
	return nil
}

func (s *Server) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), patience)
	defer cancel()
	if err := s.deps.Ready(ctx); err != nil {
		return problem(fiber.StatusServiceUnavailable, "not_ready", "the bridge cannot take events now")
	}
	return c.SendString("ok\n")
}
