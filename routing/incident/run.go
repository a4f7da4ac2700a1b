package incident

import (
	"cmp"
	"fmt"
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
		text := runText(run)
		inc.Notes = append(inc.Notes[:len(inc.Notes):len(inc.Notes)], text)
		inc.Notes = inc.Notes[max(0, len(inc.Notes)-maxNotes):]
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
	case d.ev.Environment == event.Sandbox:
		return "it is from a sandbox"
	case !d.ev.Authentic:
		return "nobody signed it"
	case !d.ev.Known:
		return "its type is not known"
	case d.ev.Origin == event.OriginReplay:
		return "it is a replay"
	}
	return ""
}

// RunChanged records what became of a run, where people look for it.
func (m *Machine) RunChanged(v View, run Run, now time.Time) Plan {
	p := Plan{Runs: []Run{run}}
	inc := v.byID(run.Incident)
	if inc == nil {
		return p
	}
	c := m.change(*inc, now)
	text := runText(run)
	c.noteLine(text)
	c.say("run", text)
	c.timeline[len(c.timeline)-1].Run = run.ID
	for i := range c.inc.Told {
		// The thread is there after the end too, and a run often ends after
		// the recovery that it brought.
		if t := &c.inc.Told[i]; c.threads(t) {
			c.queue(t, RunResult, t.Alarms, text)
		}
	}
	c.commit(&p)
	return p
}

// runText is one line on a run, in the words of the domain.
func runText(run Run) string {
	name := cmp.Or(run.Workflow, run.Remediation, "a workflow")
	what := map[RunState]string{
		RunQueued: "will be run", RunStarted: "is being run", RunDone: "was accepted by Datasync",
		RunFailed: "failed, nothing was done", RunRefused: "was refused before any call",
		RunUnknown: "ended without a clear answer: check before anybody runs it again",
		RunDry:     "would have been run (dry run)",
	}[run.State]
	text := fmt.Sprintf("%s %s", name, cmp.Or(what, string(run.State)))
	if run.Why != "" {
		text += ": " + run.Why
	}
	if run.RequestID != "" {
		text += " · request id " + run.RequestID
	}
	return cut(text, 300)
}
