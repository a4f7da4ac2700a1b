// Package sandbox is a local stand-in of Datasync: it issues expiring tokens,
// takes webhook subscriptions and delivers signed events to them, runs
// automations that change a transaction and send the events that follow, lists
// failed transactions, and fails on request.
//
// It is as faithful as the documentation allows, and where that is silent it
// does what the bridge assumes by default: nothing here proves how Datasync
// itself behaves. It keeps all in memory and delivers to loopback only. An
// event is *emitted* once and *delivered* to each subscription that wants it,
// possibly several times.
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
	// Environment stands in every event. Default production, so that what is
	// rehearsed is what would happen.
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

// Sandbox is one Datasync of its own. It is safe for concurrent use.
type Sandbox struct {
	o   Options
	key []byte // signs tokens; another for each sandbox

	mu            sync.Mutex
	serial        int
	transactions  map[string]*Transaction
	order         []string // of transactions
	subscriptions []subscription
	runs          map[string]ranOnce // by idempotency key
	started       []Run
	failing       []Failure // of runs to come
	faults        map[string][]Fault
	events        map[string]emitted
	eventOrder    []string
	queue         []delivery
	open          map[string]int // deliveries still to be answered, by event
	delivered     []Delivery
	changed       chan struct{} // closed and replaced at every change
}

// New returns an empty sandbox. Run or Serve makes it deliver.
func New(o Options) *Sandbox {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &Sandbox{
		o: o.withDefaults(), key: key,
		transactions: map[string]*Transaction{},
		runs:         map[string]ranOnce{},
		faults:       map[string][]Fault{},
		events:       map[string]emitted{},
		open:         map[string]int{},
		changed:      make(chan struct{}),
	}
}

// Secret returns the text that signs deliveries, for the bridge's configuration.
func (s *Sandbox) Secret() event.Secret { return s.o.Secret }

// Serve answers on a listener and delivers until ctx is done, and has ended
// both when it returns.
func (s *Sandbox) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute, // a fault may delay an answer
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
