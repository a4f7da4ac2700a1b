package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxCauses bounds how many incidents explain one.
	maxCauses = 8
	// causeEvery is how often a muted incident looks whether its cause is open.
	// That is what makes it safe; that a cause wakes its symptoms at its end
	// makes it quick.
	causeEvery = 5 * time.Minute
)

// causePrefix begins the handles by which a member explains others.
const causePrefix = "cause:"

// withCauses gives a member the handles by which it explains others: those of
// its newest event, then those that it had.
func withCauses(m Member, causes []string) Member {
	var own, explains []string
	for _, h := range causes {
		if strings.HasPrefix(h, causePrefix) {
			explains = appendNew(explains, h)
		}
	}
	for _, h := range m.Handles {
		if strings.HasPrefix(h, causePrefix) {
			explains = appendNew(explains, h)
		} else {
			own = append(own, h)
		}
	}
	m.Handles = slices.Concat(own, bounded(explains))
	return m
}

// handlesBeside are a member's handles with those that it had: its own first,
// then those by which it explains others, the newest first.
func (m Member) handlesBeside(prior Member) []string {
	isCause := func(h string) bool { return strings.HasPrefix(h, causePrefix) }
	own := func(list []string) []string { return slices.DeleteFunc(slices.Clone(list), isCause) }
	both := appendNew(own(prior.Handles), own(m.Handles)...)
	explains := appendNew(slices.Clone(m.Handles), prior.Handles...)
	explains = slices.DeleteFunc(explains, func(h string) bool { return !isCause(h) })
	return append(bounded(both), bounded(explains)...)
}

// bounded are the first of a member's handles: as many of its own as of those by
// which it explains others.
func bounded(list []string) []string { return list[:min(len(list), maxHandles)] }

// explain looks whether an open incident explains the one that an event opens
// or joins, which is then not told while that is open. Only what comes while the
// cause is open is muted, and only an incident of which nothing else is told: one
// that was open and told stays told, and one that an unexplained event joins is
// told from then on.
func (d *draft) explain(c *change, fresh bool) {
	found := d.causesOf(c.inc)
	switch muted := len(c.inc.Causes) > 0; {
	case len(found) == 0 && muted:
		why := fmt.Sprintf("%s does not explain %s", strings.Join(c.inc.Causes, ", "), cut(d.ev.Type, 100))
		d.because(why)
		c.say("released", why)
		for _, id := range slices.Clone(c.inc.Causes) {
			c.uncause(id)
		}
	case len(found) > 0 && !muted && !fresh:
		d.because(fmt.Sprintf("%s explains it, but the incident it belongs to was told before", found[0].ID))
	default:
		for _, cause := range found {
			d.blame(c, cause)
		}
	}
}

// causesOf are the open incidents, of the same environment, that explain the
// event. Two never mute each other. Of three or more in a ring, the one that
// would close it is told: a cause that is muted itself does not mute what
// explains something else.
func (d *draft) causesOf(inc Incident) []*Incident {
	if len(d.dec.CausedBy) == 0 {
		return nil
	}
	explains := len(inc.Symptoms) > 0 || inc.MoreSymptoms > 0
	var list []*Incident
	for _, m := range d.in.View.Matched {
		if m.Incident == inc.ID || !d.isOpen(m) || !sharesHandle(m.Member, bounded(d.dec.CausedBy)) {
			continue
		}
		cause := d.in.View.incident(m.Incident, d.ev.Environment)
		ring := slices.Contains(cause.Causes, inc.ID) || explains && len(cause.Causes) > 0
		if ring || slices.Contains(list, cause) || len(list) == maxCauses {
			continue
		}
		list = append(list, cause)
	}
	return list
}

// blame makes an incident a symptom of another, and shows it there.
func (d *draft) blame(c *change, cause *Incident) {
	if slices.Contains(c.inc.Causes, cause.ID) || len(c.inc.Causes) >= maxCauses {
		return
	}
	c.inc.Causes = append(c.inc.Causes, cause.ID)
	if c.causeLine == "" {
		c.causeLine = cut(lineOf(*cause), 200)
	}
	c.timers = append(c.timers, Timer{Kind: CauseTimer, Subject: causeSubject(c.inc.ID, cause.ID), DueAt: c.now.Add(causeEvery)})
	c.say("symptom", "explained by "+cause.ID+": "+lineOf(*cause))
	other := d.change(*cause)
	symptom := Symptom{Incident: c.inc.ID, Class: c.inc.Class, Line: cut(lineOf(c.inc), 200)}
	listed := slices.ContainsFunc(cause.Symptoms, func(s Symptom) bool { return s.Incident == c.inc.ID })
	switch {
	case listed:
	case len(cause.Symptoms) < MaxSymptoms:
		other.inc.Symptoms = append(other.inc.Symptoms, symptom)
	default:
		other.inc.MoreSymptoms++
	}
	other.say("symptom", "explains "+symptom.Incident+": "+symptom.Line)
	other.editAll()
	other.commit(&d.plan)
}

// caused returns the hold of the incident's first open cause, nil without one.
func (c *change) caused() *Held {
	if len(c.inc.Causes) == 0 {
		return nil
	}
	id := c.inc.Causes[0]
	return &Held{Kind: HeldByCause, By: id, Why: id + ", which is open, explains it"}
}

// uncause takes a cause away, and the timer that looks after it.
func (c *change) uncause(id string) {
	c.inc.Causes = slices.DeleteFunc(c.inc.Causes, func(o string) bool { return o == id })
	c.timers = append(c.timers, Timer{Kind: CauseTimer, Subject: causeSubject(c.inc.ID, id)})
}

// wake makes the symptoms that are listed look at once whether they are still
// explained.
func (c *change) wake() {
	for _, s := range c.inc.Symptoms {
		c.timers = append(c.timers, Timer{Kind: CauseTimer, Subject: causeSubject(s.Incident, c.inc.ID), DueAt: c.now})
	}
}

func causeSubject(symptom, cause string) string { return symptom + " " + cause }

// recause looks whether a cause is still open. When the last one is over, what
// is still open of its symptom is told.
func (m *Machine) recause(p *Plan, t Timer, v View, now time.Time) {
	symptom, id, _ := strings.Cut(t.Subject, " ")
	inc, cause := v.byID(symptom), v.byID(id)
	switch {
	case inc == nil || inc.State != Open || !slices.Contains(inc.Causes, id):
		p.Timers = append(p.Timers, Timer{Kind: t.Kind, Subject: t.Subject})
	case cause != nil && cause.State == Open:
		p.Timers = append(p.Timers, Timer{Kind: t.Kind, Subject: t.Subject, DueAt: now.Add(causeEvery)})
	default:
		c := m.change(*inc, now)
		c.uncause(id)
		c.say("released", id+", which explained it, is over")
		c.rehold(false)
		c.commit(p)
	}
}
