package incident

import (
	"fmt"
	"slices"
	"time"
)

// bind keeps the windows that the change's event has for a notifier: one that
// is named without any may be told at any time from then on.
func (c *change) bind(t *Telling) {
	windows, named := c.windows[t.Notifier]
	if named {
		t.Windows = together(t.Windows, windows)
	}
}

// bindAll keeps the windows of all who were named before.
func (c *change) bindAll() {
	for i := range c.inc.Told {
		c.bind(&c.inc.Told[i])
	}
}

// owed orders what a notifier may be owed.
func owed(kind DeliveryKind) int {
	switch kind {
	case Opening, Reopening:
		return 3
	case Alarm:
		return 2
	}
	return 1
}

// mute remembers that a notifier is not told something, and says so once for
// each hold. It reports whether something louder is owed than was before.
func (c *change) mute(t *Telling, h Held, owes DeliveryKind) (louder bool) {
	was := t.Held
	h.Since, h.Owes = c.now, owes
	louder = was == nil || owed(owes) > owed(was.Owes)
	if !louder {
		h.Owes = was.Owes
	}
	same := was != nil && was.Kind == h.Kind && was.By == h.By
	if same {
		h.Since = was.Since
		switch {
		case h.Kind == HeldByCause:
			h.Why = was.Why
		case h.Kind == HeldByDigest && !was.Until.After(c.now):
			h.Until = was.Until // when it stood in the first one
		}
	} else {
		if h.Kind == HeldByCause && c.causeLine != "" {
			h.Why += " (" + c.causeLine + ")"
		}
		c.say("held", t.Notifier+" is not told now: "+h.Why)
	}
	c.changed = c.changed || !same || h.Owes != was.Owes || !h.Until.Equal(was.Until)
	t.Held = &h
	c.note(HeldRouted{Notifier: t.Notifier, Held: h})
	return louder
}

// note keeps for the decision who is not told, and why.
func (c *change) note(h HeldRouted) {
	same := func(o HeldRouted) bool { return o.Notifier == h.Notifier }
	c.held = append(slices.DeleteFunc(c.held, same), h)
}

// may reports whether a notifier may be told of a change now. If not, and if
// the incident goes on, it is owed an edit.
func (c *change) may(t *Telling) bool {
	h := c.muted(t)
	if h == nil {
		return true
	}
	if c.inc.State == Open && !t.Over {
		c.mute(t, *h, Update)
	}
	return false
}

// rehold looks anew at everybody who is held. Whose hold is over is told once
// what is owed; who is still muted, perhaps by something else, goes on waiting.
// What was left to a digest is told there, unless there is news of the incident
// while its window is open. It returns who was alarmed.
func (c *change) rehold(news bool) (alarmed []string) {
	if c.inc.State != Open || !c.inc.WaitUntil.IsZero() {
		return nil
	}
	known, held := c.isTold(), false
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		if t.Held == nil || t.Over {
			continue
		}
		h := c.muted(t)
		switch {
		case h != nil:
			c.mute(t, *h, t.Held.Owes)
		case t.Held.Kind == HeldByDigest && !news && c.m.leaves(t):
		case c.silent && c.m.Notifiers[t.Notifier].Pager:
		default:
			held = true
			if c.pay(t) {
				alarmed = append(alarmed, t.Notifier)
			}
		}
	}
	if len(alarmed) > 0 {
		c.remindLater()
	}
	if !known && held && c.isTold() {
		c.restart()
	}
	return alarmed
}

// leaves reports whether what a notifier was left to still takes it.
func (m *Machine) leaves(t *Telling) bool {
	return slices.ContainsFunc(t.Windows, func(w Window) bool {
		_, known := m.Calendars[w.Calendar]
		return (known || w.Calendar == "") && (w.Digest == t.Held.By || w.Digest == "" && w.Calendar == t.Held.By) &&
			m.scheduled(t.Held.By)
	})
}

// pay tells a notifier what it was not told while it was held, once, and reports
// whether that alarmed. Where a person took the incident meanwhile nobody is
// paged, and messages are brought up to date without an alarm.
func (c *change) pay(t *Telling) bool {
	was := *t.Held
	t.Held, c.changed = nil, true
	pager := c.m.Notifiers[t.Notifier].Pager
	taken := c.inc.Acknowledged != nil
	text := c.since(was)
	switch {
	case !c.live(t.Notifier):
		if t.Alarms == 0 {
			c.begin(t, "")
		}
	case c.holds(t.Notifier) && t.Alarms == 0:
		c.say("released", t.Notifier+" waits no longer for "+heldBy(was)+", but for "+c.inc.HoldFor)
	case pager && taken:
		c.say("held", "nobody is paged while "+c.inc.Acknowledged.By+" has it")
	case t.Alarms == 0 && was.Owes == Reopening:
		t.Alarms = 1
		c.alarm(t, Reopening, text)
		return true
	case t.Alarms == 0:
		return c.opening(t, text)
	case was.Owes == Alarm && !taken:
		t.Alarms++
		c.alarm(t, Alarm, text)
		c.edit(t)
		return true
	default:
		c.say("released", t.Notifier+" waits no longer for "+heldBy(was))
		c.edit(t)
	}
	return false
}

// since words why something is told only now.
func (c *change) since(h Held) string {
	return fmt.Sprintf("open since %s, held by %s until now", clock(c.inc.OpenedAt), heldBy(h))
}

func heldBy(h Held) string {
	by := cut(h.By, 100)
	switch h.Kind {
	case HeldByCause:
		return "its cause " + by
	case HeldByWindow:
		return "calendar " + by
	case HeldBySilence, HeldByDigest:
	}
	return string(h.Kind) + " " + by
}

// heard reports whether anybody knows that it is open, or will.
func (c *change) heard() bool {
	return c.isTold() || slices.ContainsFunc(c.inc.Told, func(t Telling) bool { return !t.Over && t.Held != nil })
}

// outlasts reports whether somebody who waits has not heard of the incident at
// all: it does not close before that.
func (c *change) outlasts() bool {
	return slices.ContainsFunc(c.inc.Told, func(t Telling) bool {
		return !t.Over && t.Alarms == 0 && t.Held != nil && (t.Held.Kind != HeldByDigest || t.Held.Until.After(c.now))
	})
}

// Recheck looks anew at what holds an incident's notifiers back: a silence may
// have been ended, or a calendar have gone with a reload. A plan without
// incidents changes nothing.
func (m *Machine) Recheck(v View, id string, now time.Time) Plan {
	inc := v.byID(id)
	if inc == nil || inc.State != Open {
		return Plan{}
	}
	c := m.change(*inc, now)
	c.rehold(false)
	if !c.changed {
		return Plan{}
	}
	var p Plan
	c.commit(&p)
	return p
}
