package incident

import (
	"fmt"
	"slices"
	"time"
)

// calm tells what members that were settled change: the end, when none is open.
func (c *change) calm() {
	inc := &c.inc
	if inc.Flapping {
		inc.Edits++
	}
	if inc.OpenMembers() > 0 {
		c.editAll()
		return
	}
	if !inc.WaitUntil.IsZero() {
		c.say("untold", "opened and resolved before its opening was due: nothing is sent")
		c.resolve(Recovered)
		return
	}
	pause := inc.ResolveWait
	if inc.Flapping {
		// Telling an end that will be taken back is what flapping means.
		pause = max(pause, c.m.ReopenWithin)
	}
	if pause <= 0 {
		c.resolve(Recovered)
		return
	}
	inc.ResolveAt = c.now.Add(pause)
	c.say("waiting", "nothing is open any more; holds its resolve until "+clock(inc.ResolveAt))
	c.editAll()
}

// resolve ends the incident, and whatever it opened anywhere.
func (c *change) resolve(r Resolution) {
	inc := &c.inc
	inc.State, inc.Resolution, inc.ResolvedAt = Resolved, r, c.now
	inc.WaitUntil, inc.RepeatAt, inc.CloseAt = time.Time{}, time.Time{}, time.Time{}
	inc.ResolveAt, inc.CountAt = time.Time{}, time.Time{}
	inc.Escalation, inc.Flapping, inc.Edits = nil, false, 0
	spared := c.spared(r)
	c.unhold()
	inc.Awaiting = nil
	for _, m := range inc.Listed {
		c.remember(m)
	}
	for _, id := range slices.Clone(inc.Causes) {
		c.uncause(id)
	}
	c.wake()
	inc.OpenBy, inc.Listed = [5]int{}, nil // a person or the clock ends what is still open
	for i := range inc.Documents {
		inc.Documents[i].Open = 0
	}
	c.say("resolved", string(r))
	for i := range inc.Told {
		t := &inc.Told[i]
		if t.Over {
			continue
		}
		held := t.Held
		t.Over, t.Held = true, nil
		switch {
		case t.Alarms > 0:
			c.end(t, spared)
		case held != nil:
			c.say("untold", fmt.Sprintf("over while %s was held by %s: nothing is sent there", t.Notifier, heldBy(*held)))
		}
	}
}

// end tells one notifier that it is over (routing rules 22 and 27). What was
// never attempted is not worth sending any more: a pager then has nothing to
// end, anybody else gets one message that says both.
func (c *change) end(t *Telling, text string) {
	n, known := c.m.Notifiers[t.Notifier]
	untried, heard := c.dropUntried(t.Notifier)
	if n.Pager || !known {
		ended := 0
		for alarm := 1; alarm <= t.Alarms; alarm++ {
			if !untried[alarm] {
				c.queue(t, Resolve, alarm, "")
				ended++
			}
		}
		if ended == 0 {
			t.Alarms = 0
		}
		return
	}
	if !heard && !n.Edits {
		text = "opened and resolved before it could be told"
	}
	c.queue(t, Resolve, t.Alarms, text)
	if n.Edits && heard {
		c.queue(t, Update, t.Alarms, "") // to a retired one too, or its message shows it open for ever
	}
	t.Alarms = 1
}

// dropUntried drops what waits for a notifier and was never attempted. It
// returns which alarms the notifier thus never heard of, and whether it heard
// anything at all. An end that waits from before a reopening stays, unless the
// opening before it still waits too: one that was being sent when the end was
// queued may have been turned away since. What a run did stays as well, unless
// its thread never began: the one message that is left then has it among its
// notes.
func (c *change) dropUntried(notifier string) (untried map[int]bool, heard bool) {
	untried = map[int]bool{}
	begun := map[int]bool{}
	for _, q := range c.inc.Queue {
		waits := q.State == Waiting && !q.Attempted
		if q.Notifier == notifier && q.Kind.Alarms() {
			untried[q.Alarm] = waits // the newest decides: the queue is in order
			begun[q.Alarm] = begun[q.Alarm] || !waits
		}
		heard = heard || q.Notifier == notifier && !waits
	}
	heard = heard || len(untried) == 0
	before := map[int]bool{} // alarms listed so far
	for _, q := range c.inc.Queue {
		if q.Notifier != notifier {
			continue
		}
		before[q.Alarm] = before[q.Alarm] || q.Kind.Alarms()
		ends := q.Kind == Resolve && (begun[q.Alarm] || !before[q.Alarm])
		if ends || q.State != Waiting || q.Attempted {
			continue
		}
		if q.Kind != RunResult || !heard {
			c.drops = append(c.drops, Drop{Delivery: q.ID, Why: "resolved before it was sent"})
			c.say("dropped", fmt.Sprintf("%s to %s: resolved before it was sent", q.Kind, notifier))
		}
	}
	return untried, heard
}
