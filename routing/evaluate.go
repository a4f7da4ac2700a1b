package routing

import (
	"fmt"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// evaluation is one pass of one event through a table. It is the only place
// where rules meet events: Decide and Trace differ in whether it takes notes.
type evaluation struct {
	table  *Table
	ev     *event.Event
	values []resolved
	// seen is what conditions see, nil until the first of them is reached. It
	// is behind a pointer because it escapes, and values then need not.
	seen *seen
	// trace takes notes; nil for none.
	trace *Trace
}

// resolved is a path's value once it was asked for.
type resolved struct {
	value
	done bool
}

// fewPaths and fewRules are of how many paths and rules an evaluation keeps
// track without allocating.
const fewPaths, fewRules = 8, 16

// values has room for what all paths hold: the one that it is given, of which
// nothing was used yet, if that suffices.
func (t *Table) values(room []resolved) []resolved {
	if len(t.paths) <= len(room) {
		return room[:len(t.paths)]
	}
	return make([]resolved, len(t.paths))
}

// seen is what conditions see of an event; data reports that the raw payload is
// among it.
type seen struct {
	env  map[string]any
	data bool
}

// Decide says who must know of an event and why. It is pure: the same event and
// table give the same decision. Outcome, Incident and At are left to the plan.
func (t *Table) Decide(ev event.Event) incident.Decision {
	var values [fewPaths]resolved
	e := evaluation{table: t, ev: &ev, values: t.values(values[:])}
	return e.run()
}

func (e *evaluation) run() incident.Decision {
	t := e.table
	effect, routed, why := t.effect(e.ev)
	d := incident.Decision{Config: t.names.Hash, Effect: effect, Type: e.ev.Type, Class: e.ev.Class}
	if why != "" {
		d.Reasons = append(d.Reasons, why)
	}
	d.Severity, d.SeverityFrom = e.defaultSeverity()
	if !routed {
		return d
	}
	var room [fewRules]*rule
	matched, failures := e.rules(room[:0])
	d.Errors = failures
	e.compose(&d, matched)
	e.causes(&d)
	return d
}

// effect is the mapping's, except for a failed attempt that is not the last
// one. Such a retry is none, but is routed all the same where
// defaults.retrying_alert may make an opening of it later; once it has made
// the attempts itself, it is one.
func (t *Table) effect(ev *event.Event) (effect event.Effect, routed bool, why string) {
	if ev.Quarantine != "" {
		return event.Note, true, "authentic, but it could not be mapped: told as a note"
	}
	if !retrying(ev) {
		switch ev.Effect {
		case event.Open, event.Note:
			return ev.Effect, true, ""
		case event.Settle:
			return event.Settle, false, "settles what is open: whoever was told of that is told, whatever the rules say"
		}
		return event.None, false, fmt.Sprintf("effect none: %q changes nothing and tells nobody", ev.Type)
	}
	a := t.defaults.RetryingAlert
	if a == nil {
		return event.None, false, "more attempts are scheduled: told when they are used up"
	}
	n, _ := ev.Number(event.AttemptNumber)
	if a.Attempts > 0 && n >= float64(a.Attempts) {
		return event.Open, true, fmt.Sprintf("attempt %.0f: defaults.retrying_alert tells from attempt %d", n, a.Attempts)
	}
	return event.None, a.After > 0, "more attempts are scheduled: told by defaults.retrying_alert"
}

// retrying reports whether more attempts are to come.
func retrying(ev *event.Event) bool {
	switch ev.Type {
	case typeRetrying:
		return ev.Effect == event.None
	case typeFailed:
		final, told := ev.Flag(event.AttemptFinal)
		return told && !final && (ev.Effect == event.Open || ev.Effect == event.None)
	}
	return false
}

// value resolves a path once.
func (e *evaluation) value(slot int) *value {
	v := &e.values[slot]
	if !v.done {
		v.value, v.done = valueAt(e.ev, e.table.paths[slot]), true
	}
	return &v.value
}

// defaultSeverity sets and returns what the event has where no rule says
// otherwise, and says which entry of the list that was.
func (e *evaluation) defaultSeverity() (event.Severity, string) {
	t := e.table
	var buffer [32]int32
	for _, i := range t.severityIndex.candidates(e, buffer[:0]) {
		if e.all(t.severityIndex.rest[i]) {
			s := &t.severity[i]
			e.ev.Severity = s.Severity
			return s.Severity, t.severityFrom[i]
		}
	}
	// The list ends with a catch-all: Validate sees to it.
	e.ev.Severity = event.Error
	return event.Error, "defaults"
}

func (e *evaluation) all(conditions []condition) bool {
	for i := range conditions {
		if !conditions[i].holds(e.value(conditions[i].slot)) {
			return false
		}
	}
	return true
}

// rules tries the rules in file order.
//
// Every matching rule counts, because an operator reads the file from the top
// and expects each line that fits to apply; the first one that stops is the
// last one looked at. They are appended to matched; failures are conditions
// that failed.
func (e *evaluation) rules(matched []*rule) (_ []*rule, failures []string) {
	var stopped *rule
	var buffer [fewRules]int32
	for _, i := range e.candidates(buffer[:0]) {
		r := &e.table.rules[i]
		if stopped != nil {
			e.trace.skipped(r, stopped)
			continue
		}
		holds, err := e.matches(i)
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s: when: %v", r, err))
		}
		if !holds {
			continue
		}
		matched = append(matched, r)
		if r.Stop || r.Drop {
			if stopped = r; e.trace == nil {
				break
			}
		}
	}
	return matched, failures
}

// candidates are the rules to try: those that the index names, or all of them
// where notes are taken.
func (e *evaluation) candidates(to []int32) []int32 {
	if e.trace == nil {
		return e.table.ruleIndex.candidates(e, to)
	}
	for i := range e.table.rules {
		to = append(to, int32(i))
	}
	return to
}

// matches reports whether a rule matches. An error is a condition that failed,
// which is a rule that did not match.
func (e *evaluation) matches(i int32) (bool, error) {
	r := &e.table.rules[i]
	if e.trace != nil {
		return e.trace.matches(e, r)
	}
	if !e.all(e.table.ruleIndex.rest[i]) {
		return false, nil
	}
	return e.when(r)
}

func (e *evaluation) when(r *rule) (bool, error) {
	if r.when == nil {
		return true, nil
	}
	if e.seen == nil {
		e.seen = &seen{env: whenEnv(e.ev)}
	}
	if r.when.data && !e.seen.data {
		e.seen.env["data"], e.seen.data = whenData(e.ev.Data), true
	}
	return r.when.run(e.seen.env)
}
