// Package dispatch moves what is committed: accepted events and due timers
// into applied plans, and queued deliveries to their notifiers, each at least
// once. It decides nothing about incidents (routing does) and knows no medium
// (notifiers do).
//
// A *lane* is a run of events that touch the same incidents; lanes go side by
// side, the events of one lane in order. *Claiming* a delivery leases it;
// *settling* it records how the attempt went. A process that dies in between
// loses the lease, never the delivery. A *setback* is a failure after which
// something is tried again a little later, while all else goes on.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Deps are what a Dispatcher works with. Store, Addressees, Rules.Mapper,
// Rules.Router and Rules.Planner are required.
type Deps struct {
	Store Store
	// Addressees names the notifiers that have unfinished deliveries, so that
	// those of a notifier without a Sender do not wait for ever.
	Addressees func(ctx context.Context) ([]string, error)
	Rules      Rules
	Senders    []Sender
	// Log is silent where it is nil.
	Log *slog.Logger
	// Observer is for metrics.
	Observer Observer
	// Jitter draws a wait from zero to its argument; nil is random.
	Jitter func(time.Duration) time.Duration
}

// Sender is how one notifier is served: by one goroutine, one call at a time.
type Sender struct {
	Name     string
	Notifier notifiers.Notifier
	// Version is a text that differs where anything of this sender differs; a
	// swap leaves those alone whose Version stays. "" always differs.
	Version string
	// Limiter is asked before each call; two notifiers of one Slack channel
	// share it. Nil is no limit.
	Limiter *rate.Limiter
	Retry   Retry
	// Timeout bounds one call, and so the time a shutdown may wait.
	// Default 10s.
	Timeout time.Duration
}

// Config tunes a Dispatcher. Every zero field has a default.
type Config struct {
	// Batch is how many pending events are planned at a time. Default 256.
	Batch int
	// Lanes is how many plans are under way at once, and so how many may share
	// a commit. Default 32.
	Lanes int
	// Poll is how often pending events and due timers are looked for when
	// nothing calls for it. Default 1s.
	Poll time.Duration
	// Retain is how often upkeep begins. Default 10m.
	Retain time.Duration
}

func (c Config) withDefaults() Config {
	if c.Batch <= 0 {
		c.Batch = 256
	}
	if c.Lanes <= 0 {
		c.Lanes = 8
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Retain <= 0 {
		c.Retain = 10 * time.Minute
	}
	return c
}

// Dispatcher moves events, timers and deliveries while Run is running. Its
// commands (Acknowledge, Resolve, RetryDelivery) work without Run too.
type Dispatcher struct {
	store      Store
	addressees func(context.Context) ([]string, error)
	rules      atomic.Pointer[Rules]
	staff      *staff
	log        *slog.Logger
	observe    Observer
	jitter     func(time.Duration) time.Duration
	config     Config
	running    atomic.Bool

	// planning holds a token while a batch of events or of timers is planned.
	// Plans of the two may read one notice or recovery, which has no version.
	planning  chan struct{}
	badEvents setbacks
	badTimers setbacks
}

// New checks what it is given; nothing is started or read before Run.
func New(deps Deps, config Config) (*Dispatcher, error) {
	if deps.Store == nil || deps.Addressees == nil {
		return nil, errors.New("dispatch needs a store and its addressees")
	}
	d := &Dispatcher{
		store:      deps.Store,
		staff:      newStaff(),
		addressees: deps.Addressees,
		log:        deps.Log,
		observe:    deps.Observer.filled(),
		jitter:     deps.Jitter,
		config:     config.withDefaults(),
		planning:   make(chan struct{}, 1),
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.jitter == nil {
		d.jitter = func(most time.Duration) time.Duration { return rand.N(most + 1) }
	}
	if err := d.Use(deps.Rules, deps.Senders); err != nil {
		return nil, err
	}
	return d, nil
}

func (s Sender) withDefaults() Sender {
	s.Retry = s.Retry.WithDefaults()
	if s.Timeout <= 0 {
		s.Timeout = 10 * time.Second
	}
	return s
}

// Run moves everything until ctx ends, then finishes the calls in hand, claims
// nothing more and returns nil once every goroutine has ended.
func (d *Dispatcher) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return errors.New("dispatch runs already")
	}
	defer d.running.Store(false)

	var all sync.WaitGroup
	start := func(name string, loop func(context.Context)) {
		all.Go(func() { d.keep(ctx, name, loop) })
	}
	events, timers := d.store.Changed("events"), d.store.Changed("timers")
	start("events", func(ctx context.Context) { d.planEvents(ctx, events) })
	start("timers", func(ctx context.Context) { d.fireTimers(ctx, timers) })
	all.Go(func() { d.tend(ctx) })
	start("forsaken", d.buryForsaken)
	start("upkeep", d.retain)
	all.Wait()
	return nil
}

// keep runs a loop until ctx ends, also past a panic: a loop that stood still
// in silence would be the worst of faults.
func (d *Dispatcher) keep(ctx context.Context, name string, loop func(context.Context)) {
	for ctx.Err() == nil {
		err := guarded(func() error { loop(ctx); return nil })
		if err != nil {
			d.log.Error("a dispatch loop is started anew", "loop", name, "err", err, "stack", stackOf(err))
			sleep(ctx, time.Second)
		}
	}
}

// retain deletes what is past its time, one slice at a time with a breath
// between slices, so that it never holds up the writer for long.
func (d *Dispatcher) retain(ctx context.Context) {
	const breath = 200 * time.Millisecond
	for wait := time.Duration(0); sleep(ctx, wait); {
		deleted, more, err := d.store.Retain(ctx)
		wait = d.config.Retain
		switch {
		case err != nil && ctx.Err() == nil && !ours(err):
			d.log.Error("retention failed", "err", err)
		case err == nil && more:
			wait = breath
		}
		if deleted > 0 {
			d.log.Debug("retention deleted what is past its time", "rows", deleted)
		}
	}
}

// mark is a deed done now.
func (d *Dispatcher) mark(by, why string) incident.Mark {
	return incident.Mark{By: by, At: d.store.Now(), Why: why}
}
