package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

const (
	// editAfter gathers the edits of a burst: the newest replaces those before
	// it, so that forty failures cost a channel one call, not forty.
	editAfter       = time.Second
	flappingWindow  = 2 * time.Hour
	flappingTimes   = 3
	flappingCount   = time.Hour
	defaultFallback = 3 * time.Minute
)

// expect names who will be told once the wait is over.
func (c *change) expect(names []string) {
	for _, name := range names {
		t := c.inc.Telling(name)
		if t == nil {
			c.inc.Told = append(c.inc.Told, Telling{Notifier: name, Windows: c.windows[name]})
			t = &c.inc.Told[len(c.inc.Told)-1]
		}
		t.Over = false
		n := c.m.Notifiers[name]
		t.Destination, t.Fingerprint = n.Destination, n.Fingerprint
		if h := c.muted(t); h != nil { // it waits for that too, once the wait is over
			h.Since, h.Owes = c.now, Opening
			c.note(HeldRouted{Notifier: name, Held: *h})
		}
	}
}

// waitUntil moves the moment of telling, and with it what is counted from then.
func (c *change) waitUntil(t time.Time) {
	if !c.inc.WaitUntil.IsZero() {
		by := t.Sub(c.inc.WaitUntil)
		for i := range c.inc.Escalation {
			step := &c.inc.Escalation[i]
			step.At = step.At.Add(by)
		}
		if !c.inc.HoldUntil.IsZero() {
			c.inc.HoldUntil = c.inc.HoldUntil.Add(by)
		}
	}
	c.inc.WaitUntil = t
}

// tell sends the opening to all who wait for it but those who are held. If of
// those who were named nobody is left by now, the defaults hear of it: nothing
// is silently dropped.
func (c *change) tell() {
	c.waitUntil(c.now)
	c.inc.WaitUntil = time.Time{}
	if c.holding() && c.pressing(c.now, c.inc.HoldUntil.Sub(c.now)) {
		c.unhold()
		c.say("released", "its deadline is near")
	}
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		if t.Over || t.Alarms > 0 {
			continue
		}
		if !c.holds(t.Notifier) {
			c.begin(t, "")
		}
	}
	if !c.heard() && len(c.inc.Told) > 0 {
		names := c.inc.unpaged()
		if len(names) == 0 {
			names = c.m.Notify
		}
		for _, name := range c.m.quiet(names) {
			c.add(name, "")
		}
	}
	if !c.heard() {
		c.release("nobody else can be told")
	}
	c.remindLater()
}

// isTold reports whether anybody knows that it is open.
func (c *change) isTold() bool {
	return slices.ContainsFunc(c.inc.Told, func(t Telling) bool { return !t.Over && t.Alarms > 0 })
}

// begin sends the opening to one who waits for it, if it is still there.
func (c *change) begin(t *Telling, text string) {
	if c.live(t.Notifier) {
		c.opening(t, text)
		return
	}
	t.Over, t.Held = true, nil
	c.say("untold", fmt.Sprintf("notifier %q is gone or retired", t.Notifier))
}

// add tells a notifier that was not told before, or lets it wait if it is muted.
// It reports whether that is news.
func (c *change) add(name, text string) bool {
	if !c.live(name) || c.silent && c.m.Notifiers[name].Pager {
		return false
	}
	t := c.inc.Telling(name)
	known := t != nil && !t.Over
	switch {
	case known && t.Alarms > 0:
		return false
	case c.holds(name):
		c.expect([]string{name})
		return false
	case known && t.Held == nil && c.inc.Acknowledged != nil:
		return false // a pager that was spared: somebody has it
	}
	c.expect([]string{name})
	return c.opening(c.inc.Telling(name), text)
}

// opening tells one, unless it is muted. It reports whether it is told, or is
// owed an opening that it was not before.
func (c *change) opening(t *Telling, text string) bool {
	if h := c.muted(t); h != nil {
		return c.mute(t, *h, Opening)
	}
	t.Alarms, t.Over = 1, false
	c.alarm(t, Opening, text)
	return true
}

// alarm queues what may ring, and remembers what the notifier knows by it: all
// that it was owed.
func (c *change) alarm(t *Telling, kind DeliveryKind, text string) {
	t.Severity, t.At, t.Held = c.inc.Severity, c.now, nil
	d := c.queue(t, kind, t.Alarms, text)
	n := c.m.Notifiers[t.Notifier]
	if n.FallbackTo != "" && n.FallbackTo != t.Notifier && kind != Fallback {
		wait := n.FallbackAfter
		if wait <= 0 {
			wait = defaultFallback
		}
		d.FallbackAt = c.now.Add(wait)
	}
	c.say(string(kind), strings.TrimSuffix(fmt.Sprintf("%s to %s: %s", kind, t.Notifier, text), ": "))
}

func (c *change) queue(t *Telling, kind DeliveryKind, alarm int, text string) *Delivery {
	c.deliveries = append(c.deliveries, Delivery{
		Order: c.inc.Key, Incident: c.inc.ID, Notifier: t.Notifier, Kind: kind, Alarm: alarm,
		Text: cut(text, maxText), Destination: t.Destination, Fingerprint: t.Fingerprint,
		State: Waiting, QueuedAt: c.now, NextAt: c.now,
	})
	return &c.deliveries[len(c.deliveries)-1]
}

// live reports whether a notifier may be told anything but an end. It is not
// told of its own trouble.
func (c *change) live(name string) bool {
	n, ok := c.m.Notifiers[name]
	return ok && !n.Retired && name != c.inc.failing()
}

// threads reports whether a notifier has a message that can be replied to.
func (c *change) threads(t *Telling) bool {
	return c.live(t.Notifier) && c.m.Notifiers[t.Notifier].Edits && t.Alarms > 0
}

// edit shows the incident as it is now in what was sent before; once in a
// change, because all that it queues shows the same.
func (c *change) edit(t *Telling) {
	edited := slices.ContainsFunc(c.deliveries, func(d Delivery) bool {
		return d.Kind == Update && d.Notifier == t.Notifier
	})
	if !c.threads(t) || t.Over || edited || !c.may(t) {
		return
	}
	c.queue(t, Update, t.Alarms, "").NextAt = c.now.Add(editAfter)
	if t.Held != nil && t.Held.Owes == Update {
		t.Held = nil
	}
}

func (c *change) editAll() {
	for i := range c.inc.Told {
		c.edit(&c.inc.Told[i])
	}
}

// reply adds a line to every thread that is not over, and reports how many there
// are and how many of them are muted. What is not said there is owed as an edit,
// but a reminder is only said again later.
func (c *change) reply(kind DeliveryKind, text string) (threads, muted int) {
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		if !c.threads(t) || t.Over {
			continue
		}
		threads++
		switch {
		case kind == Reminder && c.muted(t) != nil, kind != Reminder && !c.may(t):
			muted++
		default:
			c.queue(t, kind, t.Alarms, text)
		}
	}
	return threads, muted
}

// worsen tells an open incident's change: it alarms anew those who know less
// than is true, or everybody if it is anew (after a quiet time, or a warning of
// its own), adds who was not told, and edits the rest. It reports whether
// anything alarmed.
func (c *change) worsen(names []string, anew bool, why string) bool {
	anew = anew && !c.inc.Flapping
	if c.inc.Flapping {
		c.inc.Edits++
	}
	alarmed, ringing := c.rehold(true), []string(nil)
	louder := false // to somebody who is not told now
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		unsigned := c.silent && c.m.Notifiers[t.Notifier].Pager
		if t.Over || t.Alarms == 0 || !c.live(t.Notifier) || unsigned || slices.Contains(alarmed, t.Notifier) {
			continue
		}
		if c.inc.Severity <= t.Severity && !anew {
			continue
		}
		if h := c.muted(t); h != nil {
			louder = c.mute(t, *h, Alarm) || louder
		} else {
			ringing = append(ringing, t.Notifier)
		}
	}
	for _, name := range names {
		if c.add(name, "") {
			alarmed = append(alarmed, name)
		}
	}
	alarmed = append(alarmed, ringing...)
	if (len(alarmed) > 0 || louder) && c.inc.Acknowledged != nil {
		c.say("acknowledged", "the acknowledgement is lifted: it alarms anew")
		c.inc.Acknowledged = nil
	}
	if c.inc.Acknowledged == nil && !c.holding() && !c.silent {
		c.page(why) // who was spared while somebody had it
	}
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		switch {
		case slices.Contains(ringing, t.Notifier):
			t.Alarms++
			c.alarm(t, Alarm, why)
			c.edit(t)
		case !slices.Contains(alarmed, t.Notifier):
			c.edit(t)
		}
	}
	if len(alarmed) > 0 {
		c.remindLater()
	} else if next := after(c.now, c.m.Repeat[c.inc.Severity]); sooner(next, c.inc.RepeatAt) {
		// It fell and rose again: what both times were told needs no alarm, but
		// the present severity's reminders.
		c.inc.RepeatAt = next
	}
	return len(alarmed) > 0
}

// sooner reports whether a is before b; zero is never.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// reopen takes back a resolve.
func (c *change) reopen() {
	inc := &c.inc
	inc.State, inc.ResolvedAt, inc.Resolution = Open, time.Time{}, ""
	inc.ResolveAt, inc.WaitUntil, inc.CountAt = time.Time{}, time.Time{}, time.Time{}
	inc.Acknowledged, inc.Escalation, inc.Edits = nil, nil, 0
	inc.Symptoms, inc.MoreSymptoms = nil, 0
	c.unhold()
	inc.Reopenings = append(inc.Reopenings, c.now)
	inc.Reopenings = inc.Reopenings[max(0, len(inc.Reopenings)-maxReopenings):]
	recent := 0
	for _, t := range inc.Reopenings {
		if c.now.Sub(t) <= flappingWindow {
			recent++
		}
	}
	if recent >= flappingTimes {
		inc.Flapping, inc.CountAt = true, c.now.Add(flappingCount)
		c.say("flapping", fmt.Sprintf("came back %d times in 2 h: from here on changes are counted, not told", recent))
	}
}

// tellAgain alarms all who were told before, and opens to who was not.
func (c *change) tellAgain(names []string) {
	text := ""
	if c.inc.Flapping {
		text = "it keeps coming back: changes are counted from here on, once an hour"
	}
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		n := c.m.Notifiers[t.Notifier]
		if t.Alarms == 0 || !c.live(t.Notifier) || c.silent && n.Pager {
			continue
		}
		t.Over = false
		t.Destination, t.Fingerprint = n.Destination, n.Fingerprint
		if h := c.muted(t); h != nil {
			t.Alarms = 0 // its end has been told
			c.mute(t, *h, Reopening)
			continue
		}
		t.Alarms = 1
		c.alarm(t, Reopening, text)
		c.edit(t)
	}
	for _, name := range names {
		c.add(name, text)
	}
	if !c.heard() {
		c.release("nobody else can be told")
	}
	c.remindLater()
}

// remindLater sets the next reminder by the severity that is now.
func (c *change) remindLater() {
	c.inc.RepeatAt = after(c.now, c.m.Repeat[c.inc.Severity])
}

// escalateLater sets the decision's steps, counted from when it is told. A step
// that is there already starts anew: an alarm anew asks for a new answer.
func (c *change) escalateLater(d *draft, from time.Time) {
	if from.Before(c.now) {
		from = c.now
	}
	c.steps(d, func(old *Escalation, step Escalation) {
		step.At = from.Add(step.At.Sub(c.now))
		if old == nil {
			c.inc.Escalation = append(c.inc.Escalation, step)
		} else if old.Done || !from.After(c.now) {
			*old = step
		}
	})
}

// escalateMore adds the steps of rules that had not matched before.
func (c *change) escalateMore(d *draft) {
	c.steps(d, func(old *Escalation, step Escalation) {
		if old == nil && c.inc.Acknowledged == nil {
			c.inc.Escalation = append(c.inc.Escalation, step)
		}
	})
}

// maxSteps bounds what an incident stores of its rules' escalations.
const maxSteps = 50

func (c *change) steps(d *draft, each func(old *Escalation, step Escalation)) {
	for _, s := range d.dec.Escalate {
		notify, why := c.m.allowed(s.Notify, d.ev)
		for _, w := range why {
			d.because(w)
		}
		notify, _ = c.m.around(notify, d.ev)
		known := func(name string) bool { // but whoever has windows may not be told in time
			t := c.inc.Telling(name)
			return t != nil && !t.Over && (t.Alarms > 0 || t.Windows == nil) || name == failingIn(d.ev)
		}
		notify = slices.DeleteFunc(slices.Clone(notify), known)
		if len(notify) == 0 {
			continue
		}
		old := slices.IndexFunc(c.inc.Escalation, func(e Escalation) bool {
			return e.Rule == s.Rule && slices.Equal(e.Notify, notify)
		})
		wait := max(s.After, 0)
		step := Escalation{At: c.now.Add(wait), Rule: s.Rule, Notify: notify, After: wait, Window: s.Window}
		switch {
		case old >= 0:
			each(&c.inc.Escalation[old], step)
		case len(c.inc.Escalation) < maxSteps:
			each(nil, step)
		}
	}
}

// repeats reports whether the present severity reminds at all.
func (c *change) repeats() bool {
	d, ends := c.m.Repeat[c.inc.Severity].Ends()
	return ends && d > 0 && c.inc.Severity >= event.Info
}
