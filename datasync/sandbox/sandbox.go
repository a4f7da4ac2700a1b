// Package sandbox is a local stand-in of Datasync: it issues expiring tokens,
// keeps trading partners, takes webhook subscriptions and delivers signed events
// to them, runs automations that change a transaction and send the events that
// follow, lists transactions, plays incidents to rehearse, and fails on request.
//
// One process holds two worlds that share nothing: the one under /v1, and
// Datasync's own sandbox environment under /v1/sandbox (InSandbox).
//
// It is as faithful as the documentation allows, and where that is silent it
// does what the bridge assumes by default: nothing here proves how Datasync
// itself behaves. It keeps all in memory and delivers to loopback only. An
// event is *emitted* once and *delivered* to each subscription that wants it,
// possibly several times; a *lost* one is emitted and never delivered.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"datasync-bridge/event"
)

// Options of a sandbox. Every field has a default.
type Options struct {
	Clock func() time.Time
	Log   *slog.Logger // default: silent
	// ClientID and ClientSecret are the only ones that get a token. Defaults
	// "sandbox" and "sandbox-secret".
	ClientID     string
	ClientSecret event.Secret
	// Secret signs the deliveries. Default "sandbox-webhook-secret".
	Secret event.Secret
	// SignatureHeader carries "sha256=" and the MAC in hex. Default
	// X-Datasync-Signature; assumed, not documented.
	SignatureHeader string
	// TokenLifetime is 60 minutes, as documented.
	TokenLifetime time.Duration
	// Scopes are what a token may do; a call that needs another is answered 403
	// missing_scope. Default: all of AllScopes, whose names are assumed.
	Scopes []string
	// WithoutReadOne takes GET /transactions/{id} away, which is assumed and not
	// documented.
	WithoutReadOne bool
	// Environment stands in every event of the world under /v1. Default
	// production, so that what is rehearsed is what would happen.
	Environment event.Environment
	// Workflows are those that can be run.
	Workflows []string
	// KeyHeader and KeyField name where a run's idempotency key is read.
	// Defaults Idempotency-Key and idempotency_key; assumed.
	KeyHeader string
	KeyField  string
	// IgnoreKeys makes a repeated key run again, because it is not documented
	// that Datasync honours it.
	IgnoreKeys bool
	// Retries are the pauses before a delivery is tried again after a 5xx, 408,
	// 429 or no answer; assumed. Default 200ms, 1s, 3s.
	Retries []time.Duration
	// Client makes the deliveries. Default: 5s a delivery, no redirects.
	Client *http.Client
	// Seed makes ids unique across sandboxes. Default random.
	Seed string
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setText(&o.ClientID, "sandbox")
	setText(&o.ClientSecret, "sandbox-secret")
	setText(&o.Secret, "sandbox-webhook-secret")
	setText(&o.SignatureHeader, "X-Datasync-Signature")
	setText(&o.Environment, event.Production)
	setText(&o.KeyHeader, "Idempotency-Key")
	setText(&o.KeyField, "idempotency_key")
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	if o.Scopes == nil {
		o.Scopes = AllScopes()
	}
	if o.Workflows == nil {
		o.Workflows = []string{"resend_status", "resend_acknowledgment", "resend_invoice", "resend_shipment", "reprocess_shipment", "regenerate_mdn"}
	}
	if o.Retries == nil {
		o.Retries = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}
	}
	if o.Client == nil {
		o.Client = &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second},
			Timeout:       5 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.Seed == "" {
		b := make([]byte, 4)
		_, _ = rand.Read(b) // never fails
		o.Seed = hex.EncodeToString(b)
	}
	return o
}

func setText[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}

// Bounds of what is kept: the oldest is forgotten.
const (
	maxKept         = 10_000 // events, deliveries, runs and what is held back
	maxTransactions = 100_000
	maxPartners     = 10_000
	maxQueued       = 100_000 // deliveries that wait; beyond that they are lost
)

// Sandbox is one world of a Datasync of its own. It is safe for concurrent use.
type Sandbox struct {
	o     Options
	base  string   // of its addresses: /v1 or /v1/sandbox
	inner *Sandbox // the sandbox environment; nil in itself
	key   []byte   // signs tokens; another for each world

	mu            sync.Mutex
	serial        int
	generation    int // of tokens: older ones have expired
	placed        int // transactions that were ever put
	transactions  map[string]*Transaction
	order         []string // of transactions
	partners      map[string]*Partner
	partnerOrder  []string
	subscriptions []subscription
	runs          map[string]ranOnce // by idempotency key
	started       []Run
	failing       []Failure // of runs to come
	api           apiFaults
	calls         map[string]int
	listed        int // answered listings of what failed
	hooks         hookFaults
	events        map[string]emitted
	eventOrder    []string
	queue         []delivery
	open          map[string]int // deliveries still to be answered, by event
	delivered     []Delivery
	changed       chan struct{} // closed and replaced at every change
}

// New returns an empty sandbox. Run or Serve makes it deliver.
func New(o Options) *Sandbox {
	o = o.withDefaults()
	s := newWorld(o, "/v1")
	o.Environment = event.Sandbox
	o.Seed += "s" // no id is in both worlds
	s.inner = newWorld(o, "/v1/sandbox")
	return s
}

func newWorld(o Options, base string) *Sandbox {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &Sandbox{
		o: o, base: base, key: key,
		transactions: map[string]*Transaction{},
		partners:     map[string]*Partner{},
		runs:         map[string]ranOnce{},
		calls:        map[string]int{},
		events:       map[string]emitted{},
		open:         map[string]int{},
		changed:      make(chan struct{}),
	}
}

// InSandbox returns the world under /v1/sandbox: the same API with its own
// tokens, partners, transactions, subscriptions, runs and faults. Called on that
// world, it returns itself.
func (s *Sandbox) InSandbox() *Sandbox {
	if s.inner == nil {
		return s
	}
	return s.inner
}

// Environment is what this world's events say.
func (s *Sandbox) Environment() event.Environment { return s.o.Environment }

// Secret returns the text that signs deliveries, for the bridge's configuration.
func (s *Sandbox) Secret() event.Secret { return s.o.Secret }

// Serve answers on a listener and delivers until ctx is done, and has ended
// both when it returns.
func (s *Sandbox) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      maxDelay + 30*time.Second, // a fault may delay an answer
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { s.Run(ctx) })
	both.Go(func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(ln)
	stop()
	both.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the sandbox: %w", err)
}

// id returns a new one; s.mu is held.
func (s *Sandbox) id(kind string) string {
	s.serial++
	return fmt.Sprintf("%s_%s%05d", kind, s.o.Seed, s.serial)
}

// poke wakes whoever waits for a change; s.mu is held.
func (s *Sandbox) poke() {
	close(s.changed)
	s.changed = make(chan struct{})
}
