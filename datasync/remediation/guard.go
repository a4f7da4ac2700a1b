// Package remediation holds the guard rails of runs, and the worker that
// carries runs out.
//
// The *guard* is pure: it proposes a run for an event, or says why not. It
// keeps the safety rules itself, so that no rule author must remember them, and
// it refuses what it does not know. The *worker* sends what was queued, each
// run under a key that was stored before, and never twice unless nothing can
// have happened: a run whose outcome is *unknown* is left to a person.
package remediation

import (
	"fmt"
	"slices"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Options are facts from elsewhere in the configuration.
type Options struct {
	// BaseURLLoopback reports that datasync.base_url is a stand-in on this
	// machine; only towards one may runs start by themselves.
	BaseURLLoopback bool
	// Configured reports that there is a client id and secret to call with.
	Configured bool
}

// Problem is a fault of the configuration: the path of its key
// ("remediations[0].limit.overall") and a sentence that says the next step.
type Problem struct {
	Path string
	Text string
}

// Guard proposes runs.
type Guard struct {
	byName map[string]remediation
	names  []string
}

type remediation struct {
	name     string
	workflow string
	mode     string
	params   params
	limits   incident.Limits
}

// Compile checks every entry and returns what can be proposed. With problems
// the guard is not to be used.
func Compile(cfgs []Config, o Options) (*Guard, []Problem) {
	g := &Guard{byName: map[string]remediation{}}
	var problems []Problem
	for i, c := range cfgs {
		c = c.WithDefaults()
		report := func(path, text string) {
			problems = append(problems, Problem{fmt.Sprintf("remediations[%d].%s", i, path), text})
		}
		c.Validate(report)
		if _, taken := g.byName[c.Name]; taken && c.Name != "" {
			report("name", fmt.Sprintf("%q is used twice; each remediation needs a name of its own", c.Name))
		}
		switch {
		case c.Mode == ModeAuto && !o.BaseURLLoopback:
			report("mode", "auto needs the guard rails of a later version; towards anything but loopback use dry-run")
		case c.Mode == ModeAuto && !o.Configured:
			report("mode", "auto needs datasync.client_id and datasync.client_secret")
		}
		parsed, _ := parseParams(c.Params)
		limits, _ := c.limits()
		g.byName[c.Name] = remediation{c.Name, c.Workflow, c.Mode, parsed, limits}
		g.names = append(g.names, c.Name)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		switch {
		case a.Path < b.Path:
			return -1
		case a.Path > b.Path:
			return 1
		}
		return 0
	})
	return g, problems
}

// Names lists the remediations in file order, for rules that refer to them.
func (g *Guard) Names() []string { return slices.Clone(g.names) }

// Propose returns a run for each remediation that the decision names and that
// is not off: queued, dry, or refused with the reason. It sets neither ID nor
// times, which are the store's and the plan's. It is pure.
func (g *Guard) Propose(ev event.Event, d incident.Decision) []incident.Run {
	if d.DroppedBy != "" {
		return nil
	}
	var runs []incident.Run
	for i, name := range d.Remediate {
		if slices.Contains(d.Remediate[:i], name) {
			continue // two rules may name the same; it is one run
		}
		r, known := g.byName[name]
		if known && r.mode == ModeOff {
			continue
		}
		run := incident.Run{
			Remediation: name,
			Workflow:    r.workflow,
			Incident:    d.Incident,
			Event:       ev.ID,
			Environment: ev.Environment,
			Transaction: ev.Text(event.TransactionID),
			Partner:     ev.Text(event.PartnerID),
			Limits:      r.limits,
		}
		if known {
			r.decide(ev, &run)
		} else {
			refuse(&run, fmt.Sprintf("there is no remediation named %q", name))
		}
		runs = append(runs, run)
	}
	return runs
}

// decide sets the state of a run, and its params where it has any use for them.
func (r remediation) decide(ev event.Event, run *incident.Run) {
	if why := refusal(ev); why != "" {
		refuse(run, why)
		return
	}
	filled, err := fill("params", map[string]any(r.params), nested(ev))
	if err != nil {
		refuse(run, err.Error())
		return
	}
	run.Params, _ = filled.(map[string]any)
	if r.mode != ModeAuto {
		run.State = incident.RunDry
		run.Why = "for " + run.Transaction
		return
	}
	run.State = incident.RunQueued
}

func refuse(run *incident.Run, why string) {
	run.State, run.Why = incident.RunRefused, why
}
