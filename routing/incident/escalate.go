package incident

import (
	"fmt"
	"strings"
	"time"
)

// escalate adds the notifiers of every step that is due.
func (c *change) escalate() {
	for i := range c.inc.Escalation {
		step := &c.inc.Escalation[i]
		if step.Done || !c.isDue(step.At) || c.postponed(step) {
			continue
		}
		step.Done = true
		names, muted := c.added(step)
		if len(names)+len(muted) == 0 {
			c.say("escalated", fmt.Sprintf("rule %q: nobody is left to add", step.Rule))
			continue
		}
		for _, name := range muted {
			c.add(name, "")
		}
		if len(names) == 0 {
			continue // the timeline says what holds them
		}
		names = appendNew(names, c.inc.unpaged()...) // whoever waits for a run waits no longer
		text := strings.Join(names, ", ") + " is told now: nobody has acknowledged it"
		if step.Rule != "" {
			text += fmt.Sprintf(" (rule %q)", step.Rule)
		}
		c.reply(Escalated, text)
		c.say("escalated", text)
		const why = "escalated: nobody has acknowledged it"
		c.unhold()
		for _, name := range names {
			c.add(name, why)
		}
		c.page(why)
	}
}

// added splits whom a step adds: those who are told now, and those who are
// muted. A step counts as naming its notifiers: without a window of its rule,
// they wait for none.
func (c *change) added(step *Escalation) (names, muted []string) {
	c.windows = map[string][]Window{}
	for _, name := range step.Notify {
		t := c.inc.Telling(name)
		if !c.live(name) || t != nil && !t.Over && t.Alarms > 0 {
			continue
		}
		var windows []Window
		if step.Window != nil {
			left, out := c.m.dropped(name, []Window{*step.Window}, c.now)
			if out != nil {
				c.say("escalated", name+" is "+out.Why)
				continue
			}
			windows = left
		}
		c.windows[name] = windows
		if t != nil {
			c.bind(t)
			windows = t.Windows
		}
		if c.muted(&Telling{Notifier: name, Windows: windows}) != nil {
			muted = appendNew(muted, name)
		} else {
			names = appendNew(names, name)
		}
	}
	return names, muted
}

// postponed reports that a step waits, because everybody is held back: nobody
// can acknowledge what nobody was told. It is counted from when that ends. What
// stands only in a digest does not escalate.
func (c *change) postponed(step *Escalation) bool {
	if c.isTold() || c.holding() {
		return false
	}
	if h := c.quieted(); h != nil { // a cause ends when it ends: then steps are counted anew
		from := c.now
		if h.Until.After(from) {
			from = h.Until
		}
		step.At = from.Add(max(step.After, time.Minute))
		return true
	}
	var opens time.Time
	digest := false
	for _, t := range c.inc.Told {
		switch {
		case t.Over || t.Held == nil:
		case t.Held.Kind == HeldByDigest:
			digest = true
		case t.Held.Kind == HeldByWindow && sooner(t.Held.Until, opens):
			opens = t.Held.Until
		}
	}
	switch {
	case opens.After(c.now):
		step.At = opens.Add(step.After)
	case digest:
		step.Done = true
		c.say("escalated", fmt.Sprintf("rule %q: it is left to a digest, and does not escalate", step.Rule))
	default:
		return false
	}
	return true
}

// restart counts the steps that are to come from now, because only now somebody
// is told.
func (c *change) restart() {
	for i := range c.inc.Escalation {
		if step := &c.inc.Escalation[i]; !step.Done {
			step.At = c.now.Add(step.After)
		}
	}
}
