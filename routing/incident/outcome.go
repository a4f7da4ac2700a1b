package incident

import (
	"cmp"
	"slices"
	"time"

	"datasync-bridge/event"
)

// Types that tell how an automation ended.
const (
	typeRunFailed    = "automation.failed"
	typeRunCompleted = "automation.completed"
)

// keyOfOwn is the key of the run whose end an event tells, "" for none.
func keyOfOwn(ev event.Event) string {
	switch {
	case ev.Type != typeRunFailed && ev.Type != typeRunCompleted, ev.Quarantine != "", !ev.Authentic, ev.Origin == event.OriginReplay:
		return ""
	}
	return ev.Text(event.RunKey)
}

// outcome takes what an automation's own event tells of a run of ours: to be
// accepted is not to have worked. A failure ends a hold and counts for the
// breaker, also where it comes before the answer to the call. A run of unknown
// outcome that failed stays with whoever looks into it: what it did is not told.
func (d *draft) outcome() {
	if d.in.View.Run == nil || keyOfOwn(d.ev) == "" {
		return
	}
	run := *d.in.View.Run
	switch {
	case d.ev.Type == typeRunFailed && (run.State == RunDone || run.State == RunStarted):
		run.State, run.FailedLater = RunFailed, true
		run.Why = "Datasync told so of " + run.Transaction
		if code := cut(d.ev.Text(event.ErrorCode), 80); code != "" {
			run.Why += ": " + code
		}
	case d.ev.Type == typeRunCompleted && run.State == RunUnknown:
		run.State = RunDone
		run.Why = "Datasync told that it completed for " + run.Transaction
	default:
		return
	}
	run.RemoteID = cmp.Or(run.RemoteID, cut(d.ev.Text(event.RunID), maxText))
	run.EndedAt, run.NextAt = d.in.Now, time.Time{}
	d.plan.Runs = append(d.plan.Runs, run)
	d.plan.Audit = append(d.plan.Audit, runAudit(run, AuditEnded))
	inc := d.in.View.byID(run.Incident)
	if inc == nil || slices.ContainsFunc(d.plan.Incidents, func(i Incident) bool { return i.ID == run.Incident }) {
		return // what the event itself did there tells it
	}
	c := d.change(*inc)
	c.ran(run, nil)
	c.commit(&d.plan)
}
