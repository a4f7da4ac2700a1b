package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// proposed takes over the runs that the event deserves. The guard rails have
// judged them; what only the state machine knows is judged here.
func (d *draft) proposed() {
	if len(d.in.Runs) == 0 {
		return
	}
	if why := d.noRun(); why != "" {
		d.because("nothing is run: " + why)
		return
	}
	i := len(d.plan.Incidents) - 1
	if i < 0 || d.plan.Incidents[i].ID != d.dec.Incident {
		return
	}
	inc := &d.plan.Incidents[i]
	for _, run := range d.in.Runs {
		run.Incident, run.Event = inc.ID, d.ev.ID
		if run.CreatedAt.IsZero() {
			run.CreatedAt = d.in.Now
		}
		d.plan.Runs = append(d.plan.Runs, run)
		d.plan.Audit = append(d.plan.Audit, proposal(run)...)
		text := runText(run)
		inc.Notes = noted(inc.Notes, text)
		d.plan.Timeline = append(d.plan.Timeline, Entry{
			Incident: inc.ID, Event: d.ev.ID, At: d.in.Now, Kind: "run", Text: text,
		})
	}
	for k := range d.plan.Deliveries {
		if d.plan.Deliveries[k].Incident == inc.ID {
			d.plan.Deliveries[k].Snapshot.Notes = append([]string(nil), inc.Notes...)
		}
	}
}

// noRun says why this event may start nothing, "" if it may.
func (d *draft) noRun() string {
	switch d.dec.Outcome {
	case Opened, Joined, Raised, Reopened:
	default:
		return "the event opened nothing"
	}
	switch {
	case d.ev.Conflict:
		return "its id was used before with other bytes"
	case d.in.Consumed != nil || retrying(d.ev):
		return "more attempts are scheduled"
	case strings.HasPrefix(d.ev.Type, "automation."):
		return "what a run did never starts a run"
	case d.ev.Class == event.BridgeClass:
		return "it is about the bridge itself"
	case !d.ev.Authentic:
		return "nobody signed it"
	case !d.ev.Known:
		return "its type is not known"
	case d.ev.Origin == event.OriginReplay:
		return "it is a replay"
	}
	return ""
}

// RunChanged records what the bridge did to a run by itself, where people look
// for it. A change that nobody needs to see changes the run's row alone.
func (m *Machine) RunChanged(v View, run Run, now time.Time) Plan {
	return m.runChanged(v, run, nil, now)
}

// RunDeed records what a person did to a run: it approved, denied or settled
// one. The deed's line stands in the audit instead of the bridge's own; it needs
// Actor, Action and Why, what it leaves out is filled in from the run.
func (m *Machine) RunDeed(v View, run Run, deed Audit, now time.Time) Plan {
	return m.runChanged(v, run, &deed, now)
}

func (m *Machine) runChanged(v View, run Run, deed *Audit, now time.Time) Plan {
	p := Plan{Runs: []Run{run}}
	inc := v.byID(run.Incident)
	if deed == nil && unseen(run, inc) {
		return p
	}
	if given := run.Approval.Given; deed == nil && run.State == RunQueued {
		last := given[len(given)-1]
		deed = &Audit{Actor: last.By, Action: AuditApproved, Why: last.Why}
	}
	p.Audit = append(p.Audit, auditOf(run, deed))
	if inc == nil {
		return p
	}
	c := m.change(*inc, now)
	if run.State == RunAwaiting && deed == nil {
		c.ask(run)
	} else {
		c.ran(run, deed)
	}
	c.commit(&p)
	return p
}

// unseen reports a change that is the worker's own business: a run that is
// queued anew after a 429, one that is being looked into, one that was asked
// for already.
func unseen(run Run, inc *Incident) bool {
	switch run.State {
	case RunAwaiting:
		return inc != nil && inc.awaits(run)
	case RunUnknown:
		return run.Checks > 0 && !run.NextAt.IsZero()
	case RunQueued:
		return len(run.Approval.Given) == 0 || inc == nil || !inc.awaits(run)
	case RunDone, RunFailed, RunRefused:
		return false
	case RunProposed, RunStarted, RunDry:
	}
	return true
}

// ran tells what became of a run.
func (c *change) ran(run Run, deed *Audit) {
	text, by := runText(run), ""
	if deed != nil {
		text, by = deedText(run, *deed), deed.Actor
	}
	left := run.State != RunAwaiting && c.answered(run)
	c.overtaken(run)
	c.noteLine(text)
	c.say("run", text)
	line := &c.timeline[len(c.timeline)-1]
	line.Run, line.By = run.ID, by
	if deed != nil || !c.quietly(run, left) {
		c.result(text)
	}
	if left || deed != nil || c.holding() {
		c.editAll()
	}
	if run.Hold > 0 {
		switch run.State {
		case RunFailed, RunUnknown, RunRefused:
			c.release(text)
		case RunProposed, RunAwaiting, RunQueued, RunStarted, RunDone, RunDry:
		}
	}
}

// overtaken takes away the note of what was going to happen to a run, once it
// has happened or is asked for.
func (c *change) overtaken(run Run) {
	soon := []string{run.name() + " " + toBeRun, run.name() + " " + toBeApproved}
	c.inc.Notes = slices.DeleteFunc(slices.Clone(c.inc.Notes), func(note string) bool {
		return slices.ContainsFunc(soon, func(text string) bool { return note == text || strings.HasPrefix(note, text+":") })
	})
}

// quietly reports a refusal that needs no line of its own in the threads: of
// many that expire at once the last one speaks, and a recovery needs nobody
// told that its run is no longer wanted.
func (c *change) quietly(run Run, left bool) bool {
	if run.State != RunRefused {
		return false
	}
	expired := left && !run.Approval.Expires.After(c.now)
	return c.inc.State != Open || expired && c.inc.request(run.Remediation) != nil
}

// result adds a line to every thread. The thread is there after the end too,
// and a run often ends after the recovery that it brought.
func (c *change) result(text string) {
	for i := range c.inc.Told {
		if t := &c.inc.Told[i]; c.threads(t) && c.may(t) {
			c.queue(t, RunResult, t.Alarms, text)
		}
	}
}

func (r Run) name() string { return cmp.Or(cut(r.Workflow, 100), r.Remediation, "a workflow") }

// What is going to happen to a run.
const (
	toBeRun      = "will be run"
	toBeApproved = "needs a person's approval"
)

// runText is one line on a run, in the words of the domain.
func runText(run Run) string {
	what := map[RunState]string{
		RunProposed: toBeApproved, RunAwaiting: "waits for a person's approval",
		RunQueued: toBeRun, RunStarted: "is being run", RunDone: "was accepted by Datasync",
		RunFailed: "failed, nothing was done", RunRefused: "was refused before any call",
		RunUnknown: "ended without a clear answer: check before anybody runs it again",
		RunDry:     "would have been run (dry run)",
	}[run.State]
	if run.FailedLater {
		what = "was accepted by Datasync and failed there"
	}
	text := fmt.Sprintf("%s %s", run.name(), cmp.Or(what, string(run.State)))
	if run.Why != "" {
		text += ": " + run.Why
	}
	if run.RequestID != "" {
		text += " · request id " + run.RequestID
	}
	return cut(text, 300)
}

// deedText is one line on what a person did to a run.
func deedText(run Run, deed Audit) string {
	text, by := run.name(), cut(deed.Actor, 80)
	if run.Transaction != "" {
		text += " for " + cut(run.Transaction, 80)
	}
	switch deed.Action {
	case AuditApproved:
		text += " was approved by " + by
		if missing := run.Approval.Needed - len(run.Approval.Given); run.State == RunAwaiting && missing > 0 {
			text += fmt.Sprintf(", and %d more must approve it", missing)
		}
	case AuditDenied:
		text += " was denied by " + by
	case AuditCleared:
		text += fmt.Sprintf(" was settled by %s: it counts as %s", by, run.State)
	default:
		return cut(runText(run)+" (by "+by+")", 300)
	}
	if deed.Why != "" {
		text += ": " + deed.Why
	}
	return cut(text, 300)
}
