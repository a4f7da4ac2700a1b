package script

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// compare holds an expectation against what happened.
func (s *story) compare(e Expect, path, step string, got seen) {
	missed := func(key string, diff []Line, notes ...string) {
		if diff != nil {
			s.fail(path+"."+key, step, Failure{What: key, Diff: diff, Notes: notes})
		}
	}
	if s.decisions(e, path, step, got) {
		return // without a decision all else follows
	}
	sent := got.sent
	if !slices.ContainsFunc(e.Messages, func(m Message) bool { return m.Kind == string(incident.Update) }) {
		sent = unedited(sent)
	}
	why := s.whyTold(got)
	if e.Messages != nil {
		missed("messages", assigned(e.Messages, sent, s.fitsMessage, Message.String, s.shown), why...)
	}
	if e.NothingSent != nil {
		missed("nothing_sent", assigned(nil, unedited(got.sent), s.fitsMessage, Message.String, s.shown), why...)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Sent)) {
		to := only(unedited(got.sent), func(d incident.Delivery) bool { return d.Notifier == name })
		missed("sent."+name, s.counted(e.Sent[name], to), why...)
	}
	if e.Pages != nil {
		missed("pages", s.counted(*e.Pages, only(got.sent, s.pages)), why...)
	}
	missed("open", s.standing(e.Open, incident.Open))
	missed("resolved", s.standing(e.Resolved, incident.Resolved))
	if e.Incidents != nil {
		missed("incidents", assigned(e.Incidents, pointers(s.incidents), fitsIncident, Incident.String, shownIncident))
	}
	if e.Runs != nil {
		missed("runs", assigned(e.Runs, got.runs, fitsRun, Run.String, shownRun), why...)
	}
	if e.Not != nil {
		s.compareNot(*e.Not, path+".not", step, got)
	}
}

// compareNot finds what must not be there.
func (s *story) compareNot(n Not, path, step string, got seen) {
	missed := func(list string, i int, want string, found []string) {
		if len(found) > 0 {
			s.fail(fmt.Sprintf("%s.%s[%d]", path, list, i), step, Failure{
				What: "not." + list, Diff: short(aligned([]string{"none: " + want}, found)), Notes: s.whyTold(got),
			})
		}
	}
	for i, m := range n.Messages {
		var found []string
		for _, d := range got.sent {
			if s.fitsMessage(m, d) {
				found = append(found, s.shown(d))
			}
		}
		missed("messages", i, m.String(), found)
	}
	for i, r := range n.Runs {
		var found []string
		for _, run := range got.runs {
			if fitsRun(r, run) {
				found = append(found, shownRun(run))
			}
		}
		missed("runs", i, r.String(), found)
	}
	for _, d := range got.decided {
		for i, name := range n.Rules {
			if slices.Contains(matched(d.decision), name) {
				missed("rules", i, name, []string{fmt.Sprintf("rule %s matched %s", name, about(d.event))})
			}
		}
		for i, name := range n.Notifiers {
			if slices.Contains(notified(d.decision), name) {
				missed("notifiers", i, name, routedBy(d.decision))
			}
		}
	}
}

// decisions compares what was decided of the step's events, and reports whether
// there was nothing to compare.
func (s *story) decisions(e Expect, path, step string, got seen) bool {
	if e.Not == nil {
		e.Not = &Not{}
	}
	if !e.asksOfEvent() {
		return false
	}
	if len(got.decided) == 0 {
		s.fail(path, step, Failure{What: "nothing was decided of the event"})
		return true
	}
	last := got.decided[len(got.decided)-1]
	outcome := string(last.decision.Outcome)
	if last.known {
		outcome = duplicate
	}
	s.scalar(path, step, "outcome", e.Outcome, outcome, last)
	for n, d := range got.decided {
		if d.known {
			continue
		}
		before := len(s.result.Failures)
		s.decision(e, path, step, d)
		if len(s.result.Failures) > before {
			if len(got.decided) > 1 {
				f := &s.result.Failures[len(s.result.Failures)-1]
				f.Notes = append(f.Notes, fmt.Sprintf("so it is of the event numbered %d; those after it were not compared", n+1))
			}
			break
		}
	}
	return false
}

func (e *Expect) asksOfEvent() bool {
	return e.Outcome != "" || e.Type != "" || e.Effect != "" || e.Class != "" || e.Severity != 0 || e.Rules != nil ||
		e.Notifiers != nil || e.Why != "" || e.Held != nil || e.Not.Rules != nil || e.Not.Notifiers != nil
}

// decision compares one decision.
func (s *story) decision(e Expect, path, step string, d decided) {
	dec := d.decision
	s.scalar(path, step, "type", e.Type, dec.Type, d)
	s.scalar(path, step, "effect", e.Effect, string(dec.Effect), d)
	s.scalar(path, step, "class", e.Class, string(dec.Class), d)
	s.scalar(path, step, "severity", e.Severity.String(), dec.Severity.String(), d, "set by "+dec.SeverityFrom)
	if e.Rules != nil {
		if diff := aligned(e.Rules, matched(dec)); diff != nil {
			s.fail(path+".rules", step, Failure{What: "rules", Diff: diff, Notes: s.whyRules(e.Rules, d)})
		}
	}
	if e.Notifiers != nil {
		if diff := aligned(sorted(e.Notifiers), sorted(notified(dec))); diff != nil {
			s.fail(path+".notifiers", step, Failure{What: "notifiers", Diff: diff, Notes: append(routedBy(dec), dec.Reasons...)})
		}
	}
	if e.Why != "" && !slices.ContainsFunc(dec.Reasons, func(r string) bool { return stands(r, e.Why) }) {
		s.fail(path+".why", step, Failure{What: "why", Diff: wantGot(e.Why, strings.Join(dec.Reasons, "; "))})
	}
	if e.Held != nil {
		got := map[string]string{}
		for _, h := range dec.Held {
			got[h.Notifier] = string(h.Kind)
		}
		if diff := aligned(pairs(e.Held), pairs(got)); diff != nil {
			s.fail(path+".held", step, Failure{What: "held", Diff: diff, Notes: dec.Reasons})
		}
	}
}

func (s *story) scalar(path, step, key, want, got string, d decided, notes ...string) {
	if want != "" && want != got {
		if got == "" {
			got = "(none)"
		}
		s.fail(path+"."+key, step, Failure{What: key, Diff: wantGot(want, got), Notes: append(notes, d.decision.Reasons...)})
	}
}

// standing compares how many incidents are in a state.
func (s *story) standing(want *int, state incident.State) []Line {
	if want == nil {
		return nil
	}
	var found []string
	for i := range s.incidents {
		if s.incidents[i].State == state {
			found = append(found, shownIncident(&s.incidents[i]))
		}
	}
	return count(*want, found)
}

func (s *story) counted(want int, got []incident.Delivery) []Line {
	found := make([]string, 0, len(got))
	for _, d := range got {
		found = append(found, s.shown(d))
	}
	return count(want, found)
}

// count compares a number, and shows what was counted.
func count(want int, found []string) []Line {
	if want == len(found) {
		return nil
	}
	diff := wantGot(strconv.Itoa(want), strconv.Itoa(len(found)))
	for _, f := range found {
		diff = append(diff, Line{" ", f})
	}
	return short(diff)
}

// pages reports whether a message may wake somebody.
func (s *story) pages(d incident.Delivery) bool {
	return s.file.world.Notifiers[d.Notifier].Pager && d.Kind.Alarms()
}

func unedited(all []incident.Delivery) []incident.Delivery {
	return only(all, func(d incident.Delivery) bool { return d.Kind != incident.Update })
}

func only(all []incident.Delivery, keep func(incident.Delivery) bool) []incident.Delivery {
	var kept []incident.Delivery
	for _, d := range all {
		if keep(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

func pointers(all []incident.Incident) []*incident.Incident {
	list := make([]*incident.Incident, len(all))
	for i := range all {
		list[i] = &all[i]
	}
	return list
}

func matched(d incident.Decision) []string {
	names := make([]string, 0, len(d.Rules))
	for _, r := range d.Rules {
		names = append(names, r.Name)
	}
	return names
}

func notified(d incident.Decision) []string {
	names := make([]string, 0, len(d.Notifiers))
	for _, r := range d.Notifiers {
		names = append(names, r.Notifier)
	}
	return names
}

// routedBy says by which rule each notifier may be told.
func routedBy(d incident.Decision) []string {
	lines := make([]string, 0, len(d.Notifiers))
	for _, r := range d.Notifiers {
		line := fmt.Sprintf("%s by %s", r.Notifier, strings.Join(r.By, ", "))
		if r.Instead != "" {
			line += fmt.Sprintf(" instead of %s: %s", r.Instead, r.Why)
		}
		lines = append(lines, line)
	}
	return lines
}

// whyRules says of each rule that is missing why it did not match.
func (s *story) whyRules(want []string, d decided) []string {
	var notes []string
	trace := s.file.world.Trace(d.event)
	for _, r := range trace.Rules {
		if r.Matched || !slices.Contains(want, r.Name) {
			continue
		}
		if r.Skipped != "" {
			notes = append(notes, fmt.Sprintf("%s (line %d) was %s", r.Name, r.Line, r.Skipped))
		}
		for _, k := range r.Keys {
			if k.Matched || k.Path == "when" && k.Why != "" && strings.HasPrefix(k.Why, "not asked") {
				continue
			}
			got := k.Got
			if got == "" {
				got = "not that"
			}
			note := fmt.Sprintf("%s (line %d) did not match: %s wants %s, the event has %s", r.Name, r.Line, k.Path, k.Want, got)
			if k.Why != "" {
				note += " (" + k.Why + ")"
			}
			notes = append(notes, note)
		}
	}
	return append(notes, trace.Decision.Reasons...)
}

// whyTold are the reasons of all that was decided, in this step or else before
// it, and what is held back.
func (s *story) whyTold(got seen) []string {
	var notes []string
	add := func(note string) {
		if !slices.Contains(notes, note) && len(notes) < 12 {
			notes = append(notes, note)
		}
	}
	all := got.decided
	if len(all) == 0 {
		all = s.earlier
	}
	for _, d := range all {
		for _, line := range routedBy(d.decision) {
			add(line)
		}
		for _, reason := range d.decision.Reasons {
			add(reason)
		}
	}
	for i := range s.incidents {
		for _, t := range s.incidents[i].Told {
			if t.Held != nil && s.incidents[i].State == incident.Open {
				add(fmt.Sprintf("%s is held back by %s %s: %s", t.Notifier, t.Held.Kind, t.Held.By, t.Held.Why))
			}
		}
	}
	return notes
}

// about says which event it was.
func about(ev event.Event) string {
	if id := ev.Text(event.TransactionID); id != "" {
		return ev.Type + " of " + id
	}
	return ev.Type
}
