package remediation

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// KillSwitch is the variable that stops all runs unless it is empty or says
// "on": whoever sets it in a hurry to false, 0 or no means off. It is read anew
// before each call.
const KillSwitch = "BRIDGE_AUTOMATIONS"

// SwitchedOff reports whether a value of the kill switch stops all runs.
func SwitchedOff(value string) bool {
	value = strings.TrimSpace(value)
	return value != "" && !strings.EqualFold(value, "on")
}

// recordFor bounds how long an outcome waits for the store; with CallTimeout it
// is the most that a shutdown may take.
const recordFor = 3 * time.Second

// Queue holds runs. A claim returns what is due: a queued run comes back
// started, its key stored and its limits counted before any call, or refused
// with the reason; one that is proposed, awaiting or unknown comes back as it is.
type Queue interface {
	ClaimRun(ctx context.Context, lease time.Duration) (run *incident.Run, next time.Time, err error)
	// LapsedRuns lists runs that were started under a lease that has ended.
	LapsedRuns(ctx context.Context) ([]incident.Run, error)
	Run(ctx context.Context, id string) (incident.Run, error)
	Runs(ctx context.Context, f incident.Filter) ([]incident.Run, error)
	Switches(ctx context.Context) ([]incident.Switch, error)
}

// Book holds incidents. A run in a plan must be as it was when it was read
// (Lease.Token), else Apply returns incident.ErrConflict.
type Book interface {
	Load(ctx context.Context, q incident.Query) (incident.View, error)
	Apply(ctx context.Context, p incident.Plan) error
}

// Clock is the store's: it decides leases and due times.
type Clock interface {
	Now() time.Time
	Changed(topic string) <-chan struct{}
}

// Store is what the worker needs of one.
type Store interface {
	Queue
	Book
	Clock
}

// Planner tells what a change of a run's state changes beside.
type Planner interface {
	RunChanged(v incident.View, run incident.Run, now time.Time) incident.Plan
}

// Client calls Datasync.
type Client interface {
	Run(ctx context.Context, workflow string, params map[string]any, key string) (datasync.RunAnswer, error)
}

// WorkerOptions tune the worker. Every field has a default.
type WorkerOptions struct {
	Log *slog.Logger // default: silent
	// Environment is which Datasync the client calls. Default production.
	Environment event.Environment
	// Config is the hash of the configuration that is in force. Default "".
	Config func() string
	// Entry is the hash in force of one remediation (see EntryHashes), "" for
	// one that is gone. Nil: Config counts for all.
	Entry func(remediation string) string
	// Idempotent reports that somebody has confirmed that a repeated key runs
	// nothing twice (datasync.idempotency.confirmed_by).
	Idempotent bool
	// ReadTimeout bounds one reading with its token. Default 15s.
	ReadTimeout time.Duration
	// CallTimeout bounds one call with its token, and so the time a shutdown
	// may wait. Default 8s.
	CallTimeout time.Duration
	// Lease is how long a claimed run is this process's. Default 1m; never less
	// than reading, call and the recording of the outcome may take together.
	Lease time.Duration
	// Poll is the longest pause between two looks at the store. Default 30s.
	Poll time.Duration
	// Getenv reads the kill switch. Default os.Getenv.
	Getenv func(string) string
	// Observer is for metrics and traces.
	Observer Observer
}

// Observer is told what happened. Its functions must return at once; nil ones
// are skipped.
type Observer struct {
	// Called: Datasync was asked to run, in that time; run is as it stands after.
	Called func(run incident.Run, began, ended time.Time)
	// Became: a run has got where people hear of it, and that
	// is recorded.
	Became func(run incident.Run)
}

func (o WorkerOptions) withDefaults() WorkerOptions {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Environment == "" {
		o.Environment = event.Production
	}
	if o.Config == nil {
		o.Config = func() string { return "" }
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = 15 * time.Second
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 8 * time.Second
	}
	if o.Lease == 0 {
		o.Lease = time.Minute
	}
	// What comes before the call waits for the store as well.
	o.Lease = max(o.Lease, o.ReadTimeout+o.CallTimeout+3*recordFor)
	if o.Poll == 0 {
		o.Poll = 30 * time.Second
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Observer.Called == nil {
		o.Observer.Called = func(incident.Run, time.Time, time.Time) {}
	}
	if o.Observer.Became == nil {
		o.Observer.Became = func(incident.Run) {}
	}
	return o
}

// Worker carries runs out, one at a time.
type Worker struct {
	store   Store
	planner Planner
	client  Client
	reader  Reader
	o       WorkerOptions
	swept   *string   // the configuration that was swept for last
	looked  time.Time // when what awaits approval was looked through last
}

// NewWorker returns a worker; Run makes it work.
func NewWorker(store Store, planner Planner, client Client, reader Reader, o WorkerOptions) *Worker {
	return &Worker{store: store, planner: planner, client: client, reader: reader, o: o.withDefaults()}
}

// Run carries runs out until ctx is done. A call in hand is finished and its
// outcome recorded first: cutting it off would only make it unknown.
func (w *Worker) Run(ctx context.Context) error {
	changed := w.store.Changed("runs")
	for ctx.Err() == nil {
		next, err := w.work(ctx)
		if err != nil && ctx.Err() == nil {
			w.o.Log.Error("runs cannot be worked on; trying again", "err", err)
			next = w.store.Now().Add(time.Second)
		}
		w.pause(ctx, changed, next)
	}
	return nil
}

// work settles what lapsed, voids what another configuration proposed, and
// carries out all that is due. It returns when to look again, zero for no known
// time.
func (w *Worker) work(ctx context.Context) (next time.Time, err error) {
	lapsed, err := w.store.LapsedRuns(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, run := range lapsed {
		after := unknown(run, "the bridge was interrupted while it asked", w.store.Now())
		if err := w.record(ctx, run, after); err != nil {
			return time.Time{}, err
		}
	}
	if err := w.sweep(ctx); err != nil {
		return time.Time{}, err
	}
	if err := w.withdraw(ctx); err != nil {
		return time.Time{}, err
	}
	for ctx.Err() == nil {
		run, next, err := w.store.ClaimRun(ctx, w.o.Lease)
		if err != nil || run == nil {
			return next, err
		}
		if err := w.record(ctx, *run, w.carryOut(ctx, *run)); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// sweep voids, once for each configuration, what another one proposed: nothing
// of it may start, and nobody need think about it.
func (w *Worker) sweep(ctx context.Context) error {
	config := w.o.Config()
	if w.swept != nil && *w.swept == config {
		return nil
	}
	for _, state := range []incident.RunState{incident.RunProposed, incident.RunAwaiting, incident.RunQueued} {
		err := w.each(ctx, state, func(run incident.Run) error {
			if run.Config == inForce(w.o.Entry, w.o.Config, run.Remediation) {
				return nil
			}
			return w.record(ctx, run, refusedBy(run, voided, w.store.Now()))
		})
		if err != nil {
			return err
		}
	}
	w.swept = &config
	return nil
}

// withdraw takes back the requests whose transaction is open no more: nobody
// need think about them. It looks once in Poll.
func (w *Worker) withdraw(ctx context.Context) error {
	now := w.store.Now()
	if now.Sub(w.looked) < w.o.Poll {
		return nil
	}
	w.looked = now
	return w.each(ctx, incident.RunAwaiting, func(run incident.Run) error {
		classes, err := w.openAs(ctx, run)
		if err != nil || len(classes) > 0 {
			return err
		}
		return w.record(ctx, run, refusedBy(run, notOpen, now))
	})
}

// each visits the runs of a state, newest first.
func (w *Worker) each(ctx context.Context, state incident.RunState, visit func(incident.Run) error) error {
	f := incident.Filter{State: string(state), Limit: 1000}
	for {
		runs, err := w.store.Runs(ctx, f)
		if err != nil {
			return err
		}
		for _, run := range runs {
			f.Before = run.ID
			if err := visit(run); err != nil {
				return err
			}
		}
		if len(runs) < f.Limit {
			return nil
		}
	}
}

// errMoved says that a run is no longer as it was read: somebody else's change
// counts, this one does not.
var errMoved = errors.New("run has moved on")

// record commits what became of a run. A store that is busy or out for a while
// is waited for; a run that cannot be recorded lapses, and then is unknown.
// Whoever changed the run meanwhile had the right to.
func (w *Worker) record(ctx context.Context, before, after incident.Run) error {
	ctx = context.WithoutCancel(ctx)
	deadline := w.store.Now().Add(recordFor)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := w.apply(ctx, before, after)
		if errors.Is(err, errMoved) {
			w.o.Log.Warn("a run was changed by somebody else meanwhile", "run", after.ID, "state", after.State)
			return nil
		}
		passing := errors.Is(err, incident.ErrConflict) || errors.Is(err, event.ErrBusy) || errors.Is(err, event.ErrUnavailable)
		if err == nil && told(before, after) {
			w.o.Observer.Became(after)
		}
		if err == nil || !passing || w.store.Now().After(deadline) {
			return err
		}
		w.rest(ctx, pause)
	}
}

func (w *Worker) apply(ctx context.Context, before, after incident.Run) error {
	plan := incident.Plan{Runs: []incident.Run{after}}
	if told(before, after) {
		var q incident.Query
		if after.Incident != "" {
			q.Incidents = []string{after.Incident}
		}
		view, err := w.store.Load(ctx, q)
		if err != nil {
			return err
		}
		plan = w.planner.RunChanged(view, after, w.store.Now())
	}
	err := w.store.Apply(ctx, plan)
	if !errors.Is(err, incident.ErrConflict) {
		return err
	}
	if now, loadErr := w.store.Run(ctx, after.ID); loadErr == nil && now.Lease.Token != after.Lease.Token {
		return errMoved
	}
	return err
}

// told reports whether people hear of a change: not of another try, nor of a
// check that leads to a later one.
func told(before, after incident.Run) bool {
	return after.State != incident.RunQueued && (after.State != before.State || after.NextAt.IsZero())
}

// pause waits for a change, a due time or the end; never longer than Poll.
func (w *Worker) pause(ctx context.Context, changed <-chan struct{}, next time.Time) {
	wait := w.o.Poll
	if !next.IsZero() {
		wait = max(0, min(wait, next.Sub(w.store.Now())))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// rest waits between two tries to record.
func (w *Worker) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
