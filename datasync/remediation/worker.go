package remediation

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
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

// Queue holds runs. A claim stores the key and counts the limits before any
// call; its run comes back started, or refused with the reason.
type Queue interface {
	ClaimRun(ctx context.Context, lease time.Duration) (run *incident.Run, next time.Time, err error)
	// LapsedRuns lists runs that were started under a lease that has ended.
	LapsedRuns(ctx context.Context) ([]incident.Run, error)
}

// Book holds incidents. A run in a plan must still be under its lease, else
// Apply returns incident.ErrConflict.
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

// Planner tells what the end of a run changes.
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
	// CallTimeout bounds one call with its token, and so the time a shutdown
	// may wait. Default 8s.
	CallTimeout time.Duration
	// Lease is how long a claimed run is this process's. It must outlast the
	// call and the recording of its outcome. Default 1m.
	Lease time.Duration
	// Poll is the longest pause between two looks at the store. Default 30s.
	Poll time.Duration
	// Getenv reads the kill switch. Default os.Getenv.
	Getenv func(string) string
}

// Worker carries runs out, one at a time.
type Worker struct {
	store   Store
	planner Planner
	client  Client
	o       WorkerOptions
}

// NewWorker returns a worker; Run makes it work.
func NewWorker(store Store, planner Planner, client Client, o WorkerOptions) *Worker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 8 * time.Second
	}
	if o.Lease == 0 {
		o.Lease = time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 30 * time.Second
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return &Worker{store, planner, client, o}
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

// work settles what lapsed and carries out all that is due. It returns when to
// look again, zero for no known time.
func (w *Worker) work(ctx context.Context) (next time.Time, err error) {
	lapsed, err := w.store.LapsedRuns(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, run := range lapsed {
		if err := w.record(ctx, unknown(run, "the bridge was interrupted while it asked", w.store.Now())); err != nil {
			return time.Time{}, err
		}
	}
	for ctx.Err() == nil {
		run, next, err := w.store.ClaimRun(ctx, w.o.Lease)
		if err != nil || run == nil {
			return next, err
		}
		// From here to the record nothing may be cut short.
		if err := w.carryOut(context.WithoutCancel(ctx), *run); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// carryOut makes the one call of a claimed run, unless something forbids it,
// and records what came of it.
func (w *Worker) carryOut(ctx context.Context, run incident.Run) error {
	if run.State == incident.RunRefused { // by a limit, when it was claimed
		run = refusedBy(run, run.Why, w.store.Now())
	} else {
		why, err := w.forbidden(ctx, run)
		switch {
		case err != nil:
			// Nothing was sent; the claim lapses if this cannot be recorded either.
			e := &datasync.Error{Op: "run " + run.Workflow, Kind: datasync.Network, Err: err}
			run = settled(run, datasync.RunAnswer{}, e, w.store.Now(), rand.Float64())
		case why != "":
			run = refusedBy(run, why, w.store.Now())
		default:
			run = w.call(ctx, run)
		}
	}
	return w.record(ctx, run)
}

// forbidden says why a run must not be sent now, whatever was decided before.
func (w *Worker) forbidden(ctx context.Context, run incident.Run) (why string, err error) {
	if SwitchedOff(w.o.Getenv(KillSwitch)) {
		return "runs are switched off by the variable " + KillSwitch, nil
	}
	// A run may have waited: what recovered meanwhile must not be sent again.
	q := incident.Query{Environment: run.Environment, Handles: []string{"txn:" + run.Transaction}}
	if run.Incident != "" {
		q.Incidents = []string{run.Incident}
	}
	view, err := w.store.Load(ctx, q)
	if err != nil {
		return "", err
	}
	if !stillOpen(view, run) {
		return "the transaction is no longer open", nil
	}
	return "", nil
}

// stillOpen looks among the members found by handle and among those that the
// incident lists, because a handle may be spelled otherwise than the id.
func stillOpen(view incident.View, run incident.Run) bool {
	for _, m := range view.Matched {
		if m.Open && m.Transaction == run.Transaction && (run.Incident == "" || m.Incident == run.Incident) {
			return true
		}
	}
	for _, in := range view.Incidents {
		if in.ID == run.Incident && in.State == incident.Open && slices.ContainsFunc(in.Listed, func(m incident.Member) bool {
			return m.Open && m.Transaction == run.Transaction
		}) {
			return true
		}
	}
	return false
}

func (w *Worker) call(ctx context.Context, run incident.Run) incident.Run {
	ctx, cancel := context.WithTimeout(ctx, w.o.CallTimeout)
	defer cancel()
	answer, err := w.client.Run(ctx, run.Workflow, run.Params, run.Key)
	run = settled(run, answer, err, w.store.Now(), rand.Float64())
	w.o.Log.Info("run", "run", run.ID, "incident", run.Incident, "workflow", run.Workflow, "transaction", run.Transaction,
		"state", run.State, "attempt", run.Attempts, "request", run.RequestID, "err", err)
	return run
}

// record commits what became of a run. A store that is busy or out for a while
// is waited for; a run that cannot be recorded lapses, and then is unknown.
func (w *Worker) record(ctx context.Context, run incident.Run) error {
	ctx = context.WithoutCancel(ctx)
	deadline := w.store.Now().Add(recordFor)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := w.apply(ctx, run)
		passing := errors.Is(err, incident.ErrConflict) || errors.Is(err, event.ErrBusy) || errors.Is(err, event.ErrUnavailable)
		if err == nil || !passing || w.store.Now().After(deadline) {
			return err
		}
		w.pause(ctx, nil, w.store.Now().Add(pause))
	}
}

func (w *Worker) apply(ctx context.Context, run incident.Run) error {
	if run.State == incident.RunQueued {
		return w.store.Apply(ctx, incident.Plan{Runs: []incident.Run{run}})
	}
	var q incident.Query
	if run.Incident != "" {
		q.Incidents = []string{run.Incident}
	}
	view, err := w.store.Load(ctx, q)
	if err != nil {
		return err
	}
	return w.store.Apply(ctx, w.planner.RunChanged(view, run, w.store.Now()))
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
