package remediation

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// carryOut takes the one step that a claimed run is due for, and returns the
// run as it stands then.
func (w *Worker) carryOut(ctx context.Context, run incident.Run) incident.Run {
	switch run.State {
	case incident.RunStarted:
		return w.start(ctx, run)
	case incident.RunProposed:
		return w.ask(ctx, run)
	case incident.RunAwaiting:
		return w.await(run)
	case incident.RunUnknown:
		if run.EndedAt.IsZero() { // to be sent again, and stopped when it was claimed
			return leave(run, run.Why, w.store.Now())
		}
		return w.check(ctx, run)
	case incident.RunRefused: // by a limit, a switch or the breaker, when it was claimed
		return refusedBy(run, run.Why, w.store.Now())
	}
	return run
}

// start makes the one call of a run, unless something forbids it now, whatever
// was decided before.
func (w *Worker) start(ctx context.Context, run incident.Run) incident.Run {
	why, err := w.mayCall(ctx, run)
	now := w.store.Now()
	switch {
	case err != nil:
		return unread(run, err, now, rand.Float64())
	case why != "":
		return refusedBy(run, why, now)
	case now.Add(w.o.CallTimeout + recordFor).After(run.Lease.Until):
		return unread(run, errors.New("what comes before the call took too long"), now, rand.Float64())
	}
	return w.call(ctx, run)
}

// mayCall says why a run must not be sent, "" where it may. The order counts:
// the reading takes time, so the switches are looked at again after it.
func (w *Worker) mayCall(ctx context.Context, run incident.Run) (why string, err error) {
	if why, err := w.forbidden(ctx, run); err != nil || why != "" {
		return why, err
	}
	if why := unapproved(run, w.store.Now()); why != "" {
		return why, nil
	}
	r, err := w.read(ctx, run)
	if err != nil {
		return "", err
	}
	if why := agree(run, r); why != "" {
		return why, nil
	}
	if run.Mode == ModeApprove && bound(run, r) != run.Approval.Bound {
		return "the transaction is not as it was when the run was approved", nil
	}
	return w.stopped(ctx, run)
}

// forbidden says why a run may not go on, whether it is to be asked for or to
// be sent, as far as the bridge itself knows.
func (w *Worker) forbidden(ctx context.Context, run incident.Run) (why string, err error) {
	if why, err := w.stopped(ctx, run); err != nil || why != "" {
		return why, err
	}
	if run.Environment != w.o.Environment {
		return "it is of " + string(run.Environment) + ", and the client calls " + string(w.o.Environment), nil
	}
	// A run may have waited: what recovered meanwhile must not be sent again.
	classes, err := w.openAs(ctx, run)
	if err != nil {
		return "", err
	}
	if len(classes) == 0 {
		return notOpen, nil
	}
	return overtaken(run, classes), nil
}

// notOpen is why a run is not sent for what recovered.
const notOpen = "the transaction is no longer open"

// stopped says who or what stopped all runs or those of this remediation, "" for
// nobody.
func (w *Worker) stopped(ctx context.Context, run incident.Run) (why string, err error) {
	if run.Config != inForce(w.o.Entry, w.o.Config, run.Remediation) {
		return voided, nil
	}
	if SwitchedOff(w.o.Getenv(KillSwitch)) {
		return "runs are switched off by the variable " + KillSwitch, nil
	}
	switches, err := w.store.Switches(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range switches {
		if s.Off && (s.Scope == "" || s.Scope == run.Remediation) {
			return strings.TrimSpace(s.Scope+" runs are stopped by ") + " " + said(s.Mark), nil
		}
	}
	return "", nil
}

// openAs returns the classes under which a run's transaction is open, in
// whatever incident; none where its own incident has it open no more.
func (w *Worker) openAs(ctx context.Context, run incident.Run) ([]event.Class, error) {
	view, err := w.store.Load(ctx, incident.Query{
		Environment: run.Environment, Handles: []string{incident.TransactionHandle(run.Transaction)},
	})
	if err != nil {
		return nil, err
	}
	var classes []event.Class
	own := false
	for _, m := range view.Matched {
		if m.Open && m.Transaction == run.Transaction {
			classes = append(classes, m.Class)
			own = own || run.Incident == "" || m.Incident == run.Incident
		}
	}
	if !own {
		return nil, nil
	}
	return classes, nil
}

// read asks Datasync about a run's transaction. A shutdown may cut it short:
// nothing hangs on it.
func (w *Worker) read(ctx context.Context, run incident.Run) (Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, w.o.ReadTimeout)
	defer cancel()
	return w.reader.Read(ctx, run)
}

// call sends a run. From here to the record nothing may be cut short.
func (w *Worker) call(ctx context.Context, run incident.Run) incident.Run {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.CallTimeout)
	defer cancel()
	began := w.store.Now()
	answer, err := w.client.Run(ctx, run.Workflow, run.Params, run.Key)
	ended := w.store.Now()
	run = settled(run, answer, err, ended, rand.Float64())
	w.o.Observer.Called(run, began, ended)
	w.o.Log.Info("run", "run", run.ID, "incident", run.Incident, "workflow", run.Workflow,
		"state", run.State, "attempt", run.Attempts, "request", run.RequestID, "err", err)
	return run
}

// ask reads the transaction of a proposed run and asks for approval of what it
// finds.
func (w *Worker) ask(ctx context.Context, run incident.Run) incident.Run {
	why, err := w.forbidden(ctx, run)
	var r Reading
	if err == nil && why == "" {
		if r, err = w.read(ctx, run); err == nil {
			why = agree(run, r)
		}
	}
	now := w.store.Now()
	switch {
	case err != nil && now.Sub(run.CreatedAt) >= readFor:
		return refusedBy(run, "the transaction could not be read: "+reason(err), now)
	case err != nil:
		w.o.Log.Info("a transaction could not be read; trying again", "run", run.ID, "err", err)
		run.NextAt = now.Add(patience(now.Sub(run.CreatedAt), 5*time.Second, 5*time.Minute))
		return run
	case why != "":
		return refusedBy(run, why, now)
	}
	return asked(run, r, now)
}

// await ends a request that nobody answered.
func (w *Worker) await(run incident.Run) incident.Run {
	now := w.store.Now()
	if why := lapsed(run, inForce(w.o.Entry, w.o.Config, run.Remediation), now); why != "" {
		return refusedBy(run, why, now)
	}
	run.NextAt = run.Approval.Expires
	return run
}

// check looks into a run of unknown outcome.
func (w *Worker) check(ctx context.Context, run incident.Run) incident.Run {
	if run.Environment != w.o.Environment {
		return leave(run, "it is of "+string(run.Environment)+", and the client calls "+string(w.o.Environment), w.store.Now())
	}
	r, err := w.read(ctx, run)
	return checked(run, r, err, w.o.Idempotent, w.store.Now())
}
