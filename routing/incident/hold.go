package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// holding reports whether pagers wait while a run tries first.
func (c *change) holding() bool { return !c.inc.HoldUntil.IsZero() }

// holds reports whether this notifier is one of them.
func (c *change) holds(name string) bool { return c.holding() && c.m.Notifiers[name].Pager }

// unpaged lists who is to be told, knows nothing yet and is not muted. Once the
// opening is told, those are the pagers that wait for a run or were spared.
func (i *Incident) unpaged() []string {
	var names []string
	for _, t := range i.Told {
		if !t.Over && t.Alarms == 0 && t.Held == nil {
			names = append(names, t.Notifier)
		}
	}
	return names
}

// tryFirst begins a hold for an event that opens or reopens the incident, and
// ends it for a later one that no run helps: that is another failure.
func (c *change) tryFirst(d *draft, s spread, names []string) {
	inc, run := &c.inc, d.triedFirst()
	if s.born || s.back {
		from := c.now
		if inc.WaitUntil.After(from) {
			from = inc.WaitUntil
		}
		c.hold(d, run, names, from)
		return
	}
	if !c.holding() || c.silent { // what nobody signed pages nobody
		return
	}
	switch {
	case run == nil:
		c.release("another failure, and nothing is tried first for it: " + cut(d.ev.Type, 100))
	case c.pressing(c.now, run.Hold):
		c.release("its deadline is near")
	}
}

// triedFirst returns the run of this event that pagers wait for longest, nil
// for none.
func (d *draft) triedFirst() *Run {
	if d.noRun() != "" {
		return nil
	}
	var first *Run
	for i := range d.in.Runs {
		if run := &d.in.Runs[i]; run.State == RunQueued && run.Hold > 0 && (first == nil || run.Hold > first.Hold) {
			first = run
		}
	}
	return first
}

// hold lets pagers wait for a run, counted from the moment of telling.
func (c *change) hold(d *draft, run *Run, names []string, from time.Time) {
	inc := &c.inc
	pages := slices.ContainsFunc(names, func(name string) bool { return c.m.Notifiers[name].Pager })
	if run == nil || !pages {
		return
	}
	switch {
	case inc.Flapping:
		d.because("pagers do not wait for a run: it keeps coming back")
	case c.pressing(from, run.Hold):
		d.because("pagers do not wait for a run: a deadline is nearer than twice the hold")
	case slices.ContainsFunc(inc.Told, func(t Telling) bool { return c.m.Notifiers[t.Notifier].Pager && t.Alarms > 0 }):
		d.because("pagers do not wait for a run: one of them was told of this before")
	default:
		inc.HoldUntil, inc.HoldFor = from.Add(run.Hold), run.name()
		text := fmt.Sprintf("%s is tried first: pagers wait until %s", inc.HoldFor, clock(inc.HoldUntil))
		d.because(text)
		c.say("held", text)
	}
}

// pressing reports whether an open member's deadline is nearer than twice the
// hold: too near to try anything first.
func (c *change) pressing(from time.Time, hold time.Duration) bool {
	due := c.due()
	return !due.IsZero() && due.Sub(from) <= 2*hold
}

// release ends a hold: the pagers that waited get their opening, and why.
func (c *change) release(why string) {
	if !c.holding() {
		return
	}
	c.unhold()
	c.say("released", why)
	if c.inc.WaitUntil.IsZero() {
		c.page(why)
		c.editAll()
	}
}

func (c *change) unhold() { c.inc.HoldUntil, c.inc.HoldFor = time.Time{}, "" }

// page sends the opening to all who still wait for it. Who is muted is told when
// that ends.
func (c *change) page(why string) {
	for i := range c.inc.Told {
		if t := &c.inc.Told[i]; !t.Over && t.Alarms == 0 && t.Held == nil {
			c.begin(t, why)
		}
	}
}

// spare drops a hold because a person took the incident. If that is lifted,
// pagers are told after all.
func (c *change) spare(by Mark) {
	if c.holding() {
		c.unhold()
		c.say("held", "nobody is paged while "+by.By+" has it")
	}
}

// spared says whom a recovery kept from being paged, "" for nobody.
func (c *change) spared(r Resolution) string {
	names := c.inc.unpaged()
	if r != Recovered || !c.holding() || !c.isTold() || len(names) == 0 {
		return ""
	}
	was := "was"
	if len(names) > 1 {
		was = "were"
	}
	text := fmt.Sprintf("It recovered while %s was tried first, so %s %s not paged", c.inc.HoldFor, strings.Join(names, ", "), was)
	c.noteLine(text)
	return text
}
