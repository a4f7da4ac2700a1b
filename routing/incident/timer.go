package incident

import (
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
)

// TimerQuery says what Timer needs to see.
func (m *Machine) TimerQuery(t Timer) Query {
	switch t.Kind {
	case IncidentTimer:
		return Query{Incidents: []string{t.Subject}}
	case FallbackTimer:
		return Query{Delivery: t.Subject}
	case NoticeTimer:
		return Query{Notice: t.Subject}
	case DigestTimer:
		key, _ := digestOf(t)
		return Query{Digest: key}
	case CauseTimer:
		return Query{Incidents: strings.SplitN(t.Subject, " ", 2)}
	case RetryingTimer:
	}
	return Query{}
}

// Timer plans what is due. A retrying timer is not for it: the caller turns
// that into an Event with Consumed; here it only goes away.
func (m *Machine) Timer(t Timer, v View, now time.Time) Plan {
	p := Plan{Consumed: &t}
	switch t.Kind {
	case IncidentTimer:
		if inc := v.byID(t.Subject); inc != nil && inc.State == Open {
			c := m.change(*inc, now)
			c.elapse()
			c.commit(&p)
			return p
		}
	case FallbackTimer:
		m.fallback(&p, v, now)
	case NoticeTimer:
		if n := v.Notice; n != nil && n.Key == t.Subject && n.Count > 0 {
			m.recount(&p, *n, now)
			return p
		} else if n != nil && n.Key == t.Subject {
			p.Notices = []Notice{{Key: n.Key}}
		}
	case DigestTimer:
		m.digest(&p, t, v, now)
		return p
	case CauseTimer:
		m.recause(&p, t, v, now)
		return p
	case RetryingTimer:
	}
	p.Timers = append(p.Timers, Timer{Kind: t.Kind, Subject: t.Subject})
	return p
}

func (v View) byID(id string) *Incident {
	for i := range v.Incidents {
		if v.Incidents[i].ID == id {
			return &v.Incidents[i]
		}
	}
	return nil
}

func (c *change) isDue(t time.Time) bool { return !t.IsZero() && !t.After(c.now) }

// elapse does all that is due. What comes first may make the rest pointless:
// nobody is reminded of what just ended.
func (c *change) elapse() {
	inc := &c.inc
	open := inc.OpenMembers() > 0
	if open && !inc.WaitUntil.IsZero() && (c.isDue(inc.WaitUntil) || c.isDue(inc.CloseAt)) {
		c.tell()
		if c.isDue(inc.CloseAt) {
			// Both are due after a long outage of the bridge. An incident
			// that nobody heard of is told first, and its time starts anew.
			inc.CloseAt = after(c.now, c.m.CloseAfter)
		}
	}
	if open && c.holding() && (c.isDue(inc.HoldUntil) || c.isDue(inc.CloseAt)) {
		c.release(inc.HoldFor + " was tried first, and it is still open")
		if c.isDue(inc.CloseAt) { // nobody was paged yet: as above
			inc.CloseAt = after(c.now, c.m.CloseAfter)
		}
	}
	if open && (len(c.rehold(false)) > 0 || c.outlasts()) && c.isDue(inc.CloseAt) {
		inc.CloseAt = after(c.now, c.m.CloseAfter) // as above
	}
	if open && c.isDue(inc.CloseAt) {
		c.say("closed", "no recovery seen: closed as unconfirmed")
		c.resolve(Unconfirmed)
		return
	}
	if c.isDue(inc.ResolveAt) || !open && c.isDue(inc.WaitUntil) {
		inc.ResolveAt = time.Time{}
		if !open {
			c.resolve(Recovered)
			return
		}
	}
	if open && inc.Acknowledged == nil {
		c.escalate()
		c.remind()
	}
	c.tally()
}

// remind repeats an open incident to whoever has a thread. A flapping one is
// counted instead.
func (c *change) remind() {
	if !c.isDue(c.inc.RepeatAt) {
		return
	}
	if c.repeats() && !c.inc.Flapping {
		if threads, muted := c.reply(Reminder, ""); muted == 0 || muted < threads {
			c.say("reminded", "still open, not acknowledged")
		}
	}
	c.remindLater()
}

// tally tells once an hour how often a flapping incident changed, until it has
// not come back for as long as made it flapping.
func (c *change) tally() {
	inc := &c.inc
	if !c.isDue(inc.CountAt) {
		return
	}
	last := time.Time{}
	if n := len(inc.Reopenings); n > 0 {
		last = inc.Reopenings[n-1]
	}
	if inc.Edits > 0 {
		text := fmt.Sprintf("%d changes in the last hour", inc.Edits)
		c.reply(Counted, text)
		c.say("flapping", text)
	} else if c.now.Sub(last) >= flappingWindow {
		inc.Flapping, inc.CountAt = false, time.Time{}
		c.say("flapping", "no longer flapping")
		c.editAll()
		return
	}
	inc.Edits, inc.CountAt = 0, c.now.Add(flappingCount)
}

// fallback tells somebody else what a notifier did not accept (routing rule 29).
func (m *Machine) fallback(p *Plan, v View, now time.Time) {
	q := v.Delivery
	if q == nil || !q.Kind.Alarms() || q.Kind == Fallback {
		return
	}
	switch q.State {
	case Sent, Dropped, Superseded:
		return
	}
	inc := v.byID(q.Incident)
	if inc == nil {
		return
	}
	to := m.Notifiers[q.Notifier].FallbackTo
	c := m.change(*inc, now)
	switch {
	case to == "" || to == q.Notifier || !c.live(to):
		c.say("fallback", fmt.Sprintf("%s did not accept it, and there is no fallback", q.Notifier))
	case inc.State != Open:
		c.say("fallback", fmt.Sprintf("%s did not accept it; it is over by now", q.Notifier))
	case m.Notifiers[to].Pager && inc.Environment == event.Sandbox:
		c.say("fallback", fmt.Sprintf("pager %s does not ring for a sandbox", to))
	default:
		c.notPaged(*q, to)
	}
	c.commit(p)
}

func (c *change) notPaged(q Queued, to string) {
	text := "NOT PAGED: PagerDuty did not accept"
	if !c.m.Notifiers[q.Notifier].Pager {
		text = "NOT TOLD: " + q.Notifier + " did not accept"
	}
	if q.Error != "" {
		text += ": " + cut(q.Error, 300)
	}
	t := c.inc.Telling(to)
	if h := c.quieted(); h != nil { // but no window: somebody must know
		if t == nil || t.Over {
			c.expect([]string{to})
			t = c.inc.Telling(to)
			t.Alarms = 0
		}
		c.noteLine(fmt.Sprintf("%s did not accept the alarm", q.Notifier))
		c.mute(t, *h, Alarm)
		return
	}
	switch {
	case t == nil || t.Over || t.Alarms == 0:
		c.expect([]string{to})
		t = c.inc.Telling(to)
		t.Alarms = 1
	case c.m.Notifiers[to].Pager:
		t.Alarms++ // under the same dedup key it would not ring
	}
	c.noteLine(fmt.Sprintf("%s did not accept the alarm; %s was asked instead", q.Notifier, to))
	c.alarm(t, Fallback, text)
}
