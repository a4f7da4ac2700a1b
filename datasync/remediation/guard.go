// Package remediation holds the guard rails of runs, the worker that carries
// runs out, and the desk at which persons decide about them.
//
// The *guard* is pure: it proposes a run for an event, or says why not. It
// keeps the safety rules itself, so that no rule author must remember them, and
// it refuses what it does not know. The *worker* reads a transaction anew,
// asks for approval where that is needed, and sends what was queued, each run
// under a key that was stored before, and never twice unless nothing can have
// happened: a run whose outcome is *unknown* is checked, and then left to a
// person. The *desk* takes a person's word by its name alone, whatever way it
// came.
package remediation

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/routing/wording"
)

// Options are facts from elsewhere in the configuration.
type Options struct {
	// Environment is which Datasync the client calls: only its events start
	// runs. Default production.
	Environment event.Environment
	// Configured reports that there is a client id and secret to call with.
	Configured bool
	// CanRead reports that a transaction can be read before a run.
	CanRead bool
	// Calendars are the names of those that a remediation may keep to.
	Calendars []string
	// ConfigHash is the configuration's; an approval given under one is void
	// under another.
	ConfigHash string
	// Entries are the hashes of EntryHashes, which stand before ConfigHash.
	Entries map[string]string
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
	o      Options
}

// remediation is one entry, ready to judge.
type remediation struct {
	name        string
	workflow    string
	does        string
	mode        string
	params      params
	limits      incident.Limits
	approve     Approve
	twoAbove    string // in the form of decimal, "" for none
	hold        time.Duration
	onlyDuring  string
	idempotent  bool
	override    *Override
	unsent      map[string]bool
	environment event.Environment
}

func newRemediation(c Config, environment event.Environment) remediation {
	r := remediation{
		name: c.Name, workflow: c.Workflow, does: c.Does, mode: c.Mode, approve: c.Approve, hold: c.Hold,
		onlyDuring: c.OnlyDuring, idempotent: c.Idempotent.ConfirmedBy != "", override: c.Override,
		unsent: map[string]bool{}, environment: environment,
	}
	r.params, _ = parseParams(c.Params)
	r.limits, _ = c.limits()
	r.twoAbove, _ = decimal(c.Approve.TwoAbove)
	for _, code := range c.UnsentCodes {
		r.unsent[strings.ToUpper(strings.TrimSpace(code))] = true
	}
	return r
}

// Compile checks every entry and returns what can be proposed. With problems
// the guard is not to be used.
func Compile(cfgs []Config, o Options) (*Guard, []Problem) {
	o.Environment = cmp.Or(o.Environment, event.Production)
	g := &Guard{byName: map[string]remediation{}, o: o}
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
		if c.OnlyDuring != "" && !slices.Contains(o.Calendars, c.OnlyDuring) {
			report("only_during", fmt.Sprintf("no calendar is named %q; define it under calendars", c.OnlyDuring))
		}
		switch runs := c.Mode == ModeAuto || c.Mode == ModeApprove; {
		case runs && !o.Configured:
			report("mode", c.Mode+" needs datasync.client_id and datasync.client_secret")
		case runs && !o.CanRead:
			report("mode", c.Mode+" needs to read a transaction before each run, and there is no way to; use dry-run")
		}
		g.byName[c.Name] = newRemediation(c, o.Environment)
		g.names = append(g.names, c.Name)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return g, problems
}

// Names lists the remediations in file order, for rules that refer to them.
func (g *Guard) Names() []string { return slices.Clone(g.names) }

// Propose returns a run for each remediation that the decision names and that
// is not off: queued, proposed for approval, dry, or refused with the reason.
// It sets neither ID nor times, which are the store's and the plan's. It is
// pure.
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
			Does:        r.does,
			Mode:        r.mode,
			Incident:    d.Incident,
			Event:       ev.ID,
			Environment: ev.Environment,
			Transaction: ev.Text(event.TransactionID),
			Partner:     ev.Text(event.PartnerID),
			Class:       ev.Class,
			Facts:       factsOf(ev),
			Money:       Money(ev.Text(event.DocumentType), ev.Text(event.DocumentName)),
			Config:      cmp.Or(g.o.Entries[r.name], g.o.ConfigHash),
			Limits:      r.limits,
			OnlyDuring:  r.onlyDuring,
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
	if why := r.refusal(ev); why != "" {
		refuse(run, why)
		return
	}
	if r.mode != ModeApprove {
		against := r.automatic(ev)
		if against.why != "" && !against.firm && r.override.covers(ev) {
			run.Override, against.why = r.override.By+": "+r.override.Why, ""
		}
		if against.why != "" {
			refuse(run, against.why)
			return
		}
	}
	filled, err := fill("params", map[string]any(r.params), wording.Fields(ev))
	if err != nil {
		refuse(run, err.Error())
		return
	}
	run.Params, _ = filled.(map[string]any)
	switch r.mode {
	case ModeAuto:
		run.State, run.Hold = incident.RunQueued, r.hold
	case ModeApprove:
		run.State, run.Why = incident.RunProposed, warning(r.does, ev)
		run.Approval = incident.Approval{By: slices.Clone(r.approve.By), Needed: r.needed(*run), Lasts: r.approve.Expires}
	default:
		run.State, run.Why = incident.RunDry, "for "+run.Transaction
	}
}

// needed is how many different people must approve.
func (r remediation) needed(run incident.Run) int {
	amount := run.Facts.Amount
	switch {
	case r.twoAbove == "":
		return 1
	case amount == "" && run.Money, amount != "" && above(strings.TrimPrefix(amount, "-"), r.twoAbove):
		return 2
	}
	return 1
}

// covers reports whether an override is for an event.
func (o *Override) covers(ev event.Event) bool {
	return o != nil && slices.Contains(o.Classes, ev.Class) &&
		slices.ContainsFunc(o.DocumentTypes, func(d string) bool { return normal(d) == normal(ev.Text(event.DocumentType)) })
}

// factsOf is what an event tells of its transaction. Its time is the earlier
// of the transaction's own and the event's: a listing begins before it.
func factsOf(ev event.Event) incident.Facts {
	f := incident.Facts{
		Partner:    ev.Text(event.PartnerID),
		Document:   ev.Text(event.DocumentType),
		Direction:  ev.Text(event.Direction),
		Currency:   ev.Text(event.Currency),
		OccurredAt: ev.OccurredAt,
	}
	if n, told := ev.Number(event.Amount); told {
		f.Amount, _ = decimal(strconv.FormatFloat(n, 'f', -1, 64))
	}
	if at := ev.Time("transaction.occurred_at"); !at.IsZero() && (at.Before(f.OccurredAt) || f.OccurredAt.IsZero()) {
		f.OccurredAt = at
	}
	return f
}

func refuse(run *incident.Run, why string) {
	run.State, run.Why = incident.RunRefused, why
}
