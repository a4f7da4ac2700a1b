package incident

import (
	"fmt"
	"slices"
	"time"

	"datasync-bridge/event"
)

// listed is how a poll's confirmation reads on a timeline.
const listed = "still listed as failed by Datasync, found by polling"

// polled reports whether the event is a failed transaction that polling found.
func (d *draft) polled() bool {
	return d.ev.Origin == event.OriginReconcile && byTransaction(d.ev) != nil && d.in.Consumed == nil
}

// late reports whether the event is the webhook of a failure that polling may
// have told before it. Other types are other facts, told as ever.
func (d *draft) late() bool {
	return d.ev.Origin != event.OriginReconcile && d.ev.Type == typeFailed && !retrying(d.ev) &&
		byTransaction(d.ev) != nil && d.in.Consumed == nil
}

// known handles a failure that the other way, webhook or poll, has told: it
// confirms or refines, and reports that nothing is left to open.
func (d *draft) known() bool {
	switch {
	case d.polled():
		return d.confirmed(byTransaction(d.ev)[0])
	case d.late():
		return d.refined(byTransaction(d.ev)[0])
	}
	return false
}

// confirmed is for a poll: whatever is known of the transaction, a listing says
// no more than that it is failed.
func (d *draft) confirmed(id string) bool {
	if m := d.member(id, ""); m != nil {
		inc := d.in.View.incident(m.Incident, d.ev.Environment)
		if m.Unsigned || inc.Lead.Type == typeRetrying && inc.Lead.about(d.ev) {
			// Only now is it given up, or certain: that may alarm, but under
			// the class by which it is open.
			d.ev.Class, d.shown.Class = m.Class, m.Class
			return false
		}
		d.confirm(*inc, m.ID)
		return true
	}
	mark := d.toldBefore(id)
	if mark == nil {
		return false
	}
	d.repeat(mark, fmt.Sprintf("it failed within the overlap: %s told of it, at %s", mark.Event, clock(mark.OccurredAt)), listed)
	return true
}

// confirm notes on an open incident that a member is failed still. That keeps
// it from closing as unconfirmed, and tells nobody anything.
func (d *draft) confirm(inc Incident, member string) {
	c := d.change(inc)
	d.dec.Incident = inc.ID
	d.decide(Confirmed, member+" is open there already: "+listed)
	c.stayOpen(d.at)
	c.say(string(Confirmed), member+" "+listed)
	c.commit(&d.plan)
}

// repeat notes that an event tells what was told before, also where that
// incident is over by now.
func (d *draft) repeat(mark *Recovery, why, line string) {
	d.dec.Incident = mark.Incident
	d.decide(Confirmed, why)
	if mark.Incident == "" {
		return
	}
	d.plan.Timeline = append(d.plan.Timeline, Entry{
		Incident: mark.Incident, Event: d.ev.ID, At: d.in.Now, Kind: string(Confirmed),
		Text: cut(byTransaction(d.ev)[0]+" "+line, 1000),
	})
}

// toldBefore returns the mark of a failure that a poll repeats, nil for none:
// the same moment, or one within the overlap and no recovery since.
func (d *draft) toldBefore(id string) *Recovery {
	near := func(t time.Time) bool { return d.ev.OccurredAt.Sub(t).Abs() <= d.m.Overlap }
	for _, kind := range []string{markFailed, markPolled} {
		mark := d.mark(id, kind)
		if mark == nil {
			continue
		}
		same := mark.OccurredAt.Equal(d.ev.OccurredAt)
		if (near(mark.OccurredAt) || near(mark.ReceivedAt)) && !d.recoveredSince(*mark, same) {
			return mark
		}
	}
	return nil
}

// recoveredSince reports whether what a mark tells was over since, so that a
// failure now is a new one. What a failure of the very same moment repeats is
// over only by what would settle it.
func (d *draft) recoveredSince(mark Recovery, same bool) bool {
	return slices.ContainsFunc(d.in.View.Recoveries, func(r Recovery) bool {
		return r.Handle == mark.Handle && r.Environment == mark.Environment && !r.isMark() && r.after(mark) &&
			(!same || reachOf(r.Type).settles(d.ev.Class))
	})
}

// refined is for a webhook: it knows what its listing did not.
func (d *draft) refined(id string) bool {
	if m := d.foundByPolling(id); m != nil {
		d.refine(*m)
		return true
	}
	mark := d.mark(id, markPolled)
	if mark == nil || mark.OccurredAt.Before(d.ev.OccurredAt) || d.member(id, "") != nil {
		return false
	}
	d.repeat(mark, fmt.Sprintf("polling told of it before (%s), and that is over", mark.Event),
		"was found by polling; its webhook came "+lateness(d.lateBy(mark.ReceivedAt))+" late")
	return true
}

// foundByPolling returns the open member of which no webhook has told yet.
func (d *draft) foundByPolling(id string) *MatchedMember {
	if m := d.member(id, d.ev.Class); m != nil {
		if m.Origin != event.OriginReconcile {
			return nil
		}
		return m
	}
	for i := range d.in.View.Matched {
		if m := &d.in.View.Matched[i]; m.ID == id && m.Origin == event.OriginReconcile && d.isOpen(*m) {
			return m
		}
	}
	return nil
}

// refine puts what a webhook knows in the place of what a poll could tell. It
// is no new failure: neither quiet times nor reopenings count from it, and it
// alarms only where it is worse or concerns somebody new.
func (d *draft) refine(prior MatchedMember) {
	c := d.change(*d.in.View.incident(prior.Incident, d.ev.Environment))
	inc := &c.inc
	m := d.memberOf().again(prior.Member)
	m.Origin = d.ev.Origin
	d.dec.Incident = inc.ID
	by := d.lateBy(prior.OpenedAt)
	what := fmt.Sprintf("%s: %s was found by polling, its webhook came %s late", d.ev.Type, m.ID, lateness(by))
	if m.Class != prior.Class {
		what += fmt.Sprintf("; it is %s, not %s", m.Class, prior.Class)
	}
	d.decide(Refined, what)
	c.replace(m, prior.Member)
	c.relead(d)
	if inc.Lead.about(d.ev) || inc.OpenMembers() == 1 {
		inc.Class = m.Class
	}
	c.name(d.dec.Rules)
	c.polling(func(p *Polling) { p.Found, p.Late, p.LateBy = max(0, p.Found-1), p.Late+1, by })
	c.stayOpen(d.at)
	c.say(string(Refined), what)
	d.explain(c, false)
	c.spread(d, spread{})
	d.held(c)
	c.commit(&d.plan)
	d.remember(failure(d, inc.ID)...)
}

// lateBy is how late a webhook came: after the failure, or, where it says no
// time, after the poll that told of it.
func (d *draft) lateBy(polled time.Time) time.Duration {
	return max(d.at.Sub(d.ev.OccurredAt), d.at.Sub(polled), 0)
}

// relead tells the incident by the webhook, where a poll's lead was about the
// same transaction. What only the poll knew stays.
func (c *change) relead(d *draft) {
	old := c.inc.Lead
	if !old.about(d.ev) {
		c.lead(d, false, false)
		return
	}
	c.inc.Lead = d.lead()
	c.inc.Lead.Severity = max(old.Severity, d.dec.Severity)
	for path, v := range old.Fields {
		if _, told := c.inc.Lead.Fields[path]; !told {
			c.inc.Lead.Fields[path] = v
		}
	}
}

// about reports whether the lead tells of the event's transaction.
func (l Lead) about(ev event.Event) bool {
	id, _ := l.Fields[event.TransactionID].(string)
	return id != "" && id == cut(ev.Text(event.TransactionID), maxText)
}

// stayOpen counts close_after from news that is no opening.
func (c *change) stayOpen(at time.Time) {
	if next := after(at, c.m.CloseAfter); next.After(c.inc.CloseAt) {
		c.inc.CloseAt = next
	}
}

// failure is the mark that a failure leaves with those it was told to, for the
// same failure to come by the other way. Nobody can mute what is yet to come by
// something unsigned, and an overdue acknowledgment or a deadline is no failure.
func failure(d *draft, incident string) []Recovery {
	txn := byTransaction(d.ev)
	if txn == nil || d.m.Overlap <= 0 || !d.ev.Authentic || retrying(d.ev) {
		return nil
	}
	switch d.ev.Class {
	case event.AckOverdue, event.SLA, event.AutomationFault:
		return nil
	}
	kind := markFailed
	if d.polled() {
		kind = markPolled
	}
	if old := d.mark(txn[0], kind); old != nil && old.OccurredAt.After(d.ev.OccurredAt) {
		return nil
	}
	mark := d.recovery(txn[0], kind)
	mark.Incident = incident
	return []Recovery{mark}
}

// polling changes what the incident counts of polling, and keeps the notes that
// say so current.
func (c *change) polling(count func(*Polling)) {
	was := c.inc.Polling
	count(&c.inc.Polling)
	is := c.inc.Polling
	c.renote(was.foundNote(), is.foundNote())
	c.renote(was.lateNote(), is.lateNote())
}

// renote replaces a note, "" for none, where it stands.
func (c *change) renote(was, is string) {
	i := slices.Index(c.inc.Notes, was)
	switch {
	case was == is:
	case was == "" || i < 0:
		if is != "" {
			c.noteLine(is)
		}
	case is == "":
		c.inc.Notes = slices.Delete(c.inc.Notes, i, i+1)
	default:
		c.inc.Notes[i] = is
	}
}

func (p Polling) foundNote() string {
	if p.Found == 0 {
		return ""
	}
	return "found by polling, no webhook had come: " + documents(p.Found)
}

func (p Polling) lateNote() string {
	switch p.Late {
	case 0:
		return ""
	case 1:
		return "webhook came " + lateness(p.LateBy) + " late, polling had found it"
	}
	return fmt.Sprintf("webhooks came late: %s, the last one %s", documents(p.Late), lateness(p.LateBy))
}

func documents(n int) string {
	if n == 1 {
		return "1 document"
	}
	return fmt.Sprintf("%d documents", n)
}

// lateness is a span to one unit: nobody acts on its seconds.
func lateness(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}
