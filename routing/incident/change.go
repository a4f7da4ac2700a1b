package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

const (
	maxNotes      = 10
	maxReopenings = 10
	maxDocuments  = 20
	maxSettled    = 50
	otherType     = "other"
)

// change is one incident while a plan changes it. What it queues is given the
// incident's snapshot at the end, so that every message tells the same state.
type change struct {
	m   *Machine
	now time.Time
	inc Incident
	// event is the id of the event that led here, "" for timers and commands.
	event string
	// silent keeps pagers from alarming.
	silent bool
	// was is the incident before the change.
	was Incident
	// windows are those that the event, or an escalation, has for who it names.
	windows map[string][]Window
	// held are those who are not told something now, changed reports that
	// somebody's hold is not what it was, and causeLine words a new cause.
	held      []HeldRouted
	changed   bool
	causeLine string

	members []Member
	// gone are members whose row another class has taken the place of.
	gone       []Member
	deliveries []Delivery
	drops      []Drop
	timers     []Timer
	timeline   []Entry
}

func (d *draft) change(inc Incident) *change {
	c := d.m.change(inc, d.in.Now)
	c.event = d.ev.ID
	return c
}

func (m *Machine) change(inc Incident, now time.Time) *change {
	was := inc
	inc.Told = slices.Clone(inc.Told)
	inc.Escalation = slices.Clone(inc.Escalation)
	inc.Reopenings = slices.Clone(inc.Reopenings)
	inc.Rules = slices.Clone(inc.Rules)
	inc.Notes = slices.Clone(inc.Notes)
	inc.Documents = slices.Clone(inc.Documents)
	inc.Settled = slices.Clone(inc.Settled)
	inc.Listed = slices.Clone(inc.Listed)
	inc.Awaiting = slices.Clone(inc.Awaiting)
	inc.Causes = slices.Clone(inc.Causes)
	inc.Symptoms = slices.Clone(inc.Symptoms)
	if inc.Acknowledged != nil {
		mark := *inc.Acknowledged
		inc.Acknowledged = &mark
	}
	return &change{m: m, now: now, inc: inc, was: was}
}

// say adds a line to the timeline.
func (c *change) say(kind, text string) {
	c.timeline = append(c.timeline, Entry{
		Incident: c.inc.ID, Event: c.event, At: c.now, Kind: kind, Text: cut(text, 1000),
	})
}

// noteLine adds a line to what messages show of the bridge's own deeds.
func (c *change) noteLine(text string) {
	c.inc.Notes = noted(c.inc.Notes, cut(text, 300))
}

// noted adds the newest note; the same words stand there once.
func noted(notes []string, text string) []string {
	out := make([]string, 0, len(notes)+1)
	for _, note := range notes {
		if note != text {
			out = append(out, note)
		}
	}
	out = append(out, text)
	return out[max(0, len(out)-maxNotes):]
}

// put stores a member that is open; prior is what it was, nil for a new one.
func (c *change) put(m Member, prior *Member) {
	inc := &c.inc
	m.Open, m.SettledAt = true, time.Time{}
	m.Severity = min(max(m.Severity, event.Info), event.Critical)
	switch name := nameOf(m); {
	case prior != nil:
		c.count(prior.Severity, -1)
		c.retype(m, *prior)
	case slices.Contains(inc.Settled, name):
		inc.Settled = slices.DeleteFunc(inc.Settled, func(s string) bool { return s == name })
		c.document(m, 1, 0)
	default:
		inc.Total++
		c.document(m, 1, 1)
	}
	c.count(m.Severity, 1)
	c.store(m)
}

// replace puts a member in the place of what it was, of another class perhaps:
// one document stays one.
func (c *change) replace(m, prior Member) {
	inc := &c.inc
	m.Open, m.SettledAt = true, time.Time{}
	m.Severity = min(max(m.Severity, event.Info), event.Critical)
	c.retype(m, prior)
	if name := nameOf(m); m.Class != prior.Class {
		if slices.Contains(inc.Settled, name) { // it was both, and is one
			inc.Settled = slices.DeleteFunc(inc.Settled, func(s string) bool { return s == name })
			if c.counted(m) > 0 {
				c.document(m, 0, -1)
				inc.Total = max(0, inc.Total-1)
			}
		}
		same := func(o Member) bool { return o.ID == prior.ID && o.Class == prior.Class }
		c.members = slices.DeleteFunc(c.members, same)
		inc.Listed = slices.DeleteFunc(inc.Listed, same)
		c.gone = append(c.gone, prior)
	}
	c.count(prior.Severity, -1)
	c.count(m.Severity, 1)
	c.store(m)
}

// settle ends a member.
func (c *change) settle(m Member, by string) {
	m.Open, m.SettledAt = false, c.now
	if by != "" {
		c.event = by
	}
	c.count(m.Severity, -1)
	c.document(m, -1, 0)
	c.store(m)
	c.remember(m)
}

// remember keeps the name of a member that is over.
func (c *change) remember(m Member) {
	c.inc.Settled = appendNew(c.inc.Settled, nameOf(m))
	c.inc.Settled = c.inc.Settled[max(0, len(c.inc.Settled)-maxSettled):]
}

func nameOf(m Member) string { return m.ID + " " + string(m.Class) }

// count keeps OpenBy; it never goes below zero, whatever was stored.
func (c *change) count(s event.Severity, by int) {
	s = min(s, event.Critical)
	c.inc.OpenBy[s] = max(0, c.inc.OpenBy[s]+by)
}

// store plans the member's row and keeps the list of open ones in step.
func (c *change) store(m Member) {
	same := func(o Member) bool { return o.ID == m.ID && o.Class == m.Class }
	c.members = append(slices.DeleteFunc(c.members, same), m)
	c.inc.Listed = slices.DeleteFunc(c.inc.Listed, same)
	if m.Open {
		c.inc.Listed = append(c.inc.Listed, m)
	}
	slices.SortStableFunc(c.inc.Listed, func(a, b Member) int {
		if a.Due.IsZero() != b.Due.IsZero() {
			if a.Due.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Due.Compare(b.Due), a.OpenedAt.Compare(b.OpenedAt),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Class, b.Class))
	})
	// Whoever is open again is no longer cleared.
	c.inc.Polling.Cleared = max(0, min(c.inc.Polling.Cleared, c.inc.Total-c.inc.OpenMembers()))
	for s := event.Critical; s >= event.Info; s-- {
		if c.inc.OpenBy[s] > 0 {
			c.inc.Severity = s
			break
		}
	}
}

// document counts a member by its document type: the first twenty types by
// themselves, the rest as "other".
func (c *change) document(m Member, open, total int) {
	docs := &c.inc.Documents
	find := func(t string) int { return slices.IndexFunc(*docs, func(d DocumentCount) bool { return d.Type == t }) }
	i := find(m.DocumentType)
	if i < 0 && len(*docs) >= maxDocuments {
		i = find(otherType)
		m.DocumentType, m.DocumentName = otherType, ""
	}
	if i < 0 {
		*docs = append(*docs, DocumentCount{Type: m.DocumentType, Name: m.DocumentName})
		i = len(*docs) - 1
	}
	d := &(*docs)[i]
	d.Open, d.Total = max(0, d.Open+open), max(0, d.Total+total)
	if d.Total == 0 && d.Open == 0 && find(otherType) < 0 { // beside "other", nobody knows who is counted there
		*docs = slices.Delete(*docs, i, i+1)
	}
}

// retype counts an open member by the document type that is known by now.
func (c *change) retype(m, prior Member) {
	if m.DocumentType == prior.DocumentType {
		return
	}
	total := min(1, c.counted(prior)) // none where it came back under a type that it had not before
	c.document(m, 1, total)
	c.document(prior, -1, -total)
}

// counted is how many members were counted with one like this.
func (c *change) counted(m Member) int {
	for _, t := range []string{m.DocumentType, otherType} {
		if i := slices.IndexFunc(c.inc.Documents, func(d DocumentCount) bool { return d.Type == t }); i >= 0 {
			return c.inc.Documents[i].Total
		}
	}
	return 0
}

// due is the earliest deadline of a listed member, zero for none.
func (c *change) due() time.Time { return dueAmong(c.inc.Listed) }

// after returns when a span that began at t ends; zero where it does not.
func after(t time.Time, s event.Span) time.Time {
	d, ends := s.Ends()
	if !ends || d <= 0 {
		return time.Time{}
	}
	return t.Add(d)
}

// commit adds the change to a plan: the incident, its one timer, and what is
// queued, each with the incident as it is now.
func (c *change) commit(p *Plan) {
	inc := &c.inc
	if inc.State == Open && inc.OpenMembers() == 0 && inc.ResolveAt.IsZero() {
		inc.ResolveAt = c.now
	}
	c.handOver()
	snapshot := snapshotOf(*inc)
	for _, d := range c.deliveries {
		d.Snapshot = snapshot
		p.Deliveries = append(p.Deliveries, d)
	}
	for _, m := range c.gone {
		p.Members = append(p.Members, MatchedMember{Incident: inc.ID, Member: m, Gone: true})
	}
	for _, m := range c.members {
		p.Members = append(p.Members, MatchedMember{Incident: inc.ID, Member: m})
	}
	p.Drops = append(p.Drops, c.drops...)
	p.Timeline = append(p.Timeline, c.timeline...)
	p.Timers = append(p.Timers, Timer{Kind: IncidentTimer, Subject: inc.ID, DueAt: nextDue(inc)})
	p.Timers = append(p.Timers, c.timers...)
	c.itemize(p)
	stored := *inc
	stored.Listed, stored.Queue = nil, nil
	p.Incidents = append(p.Incidents, stored)
}

// handOver lets another open member answer for the partner once the one that
// did is settled.
func (c *change) handOver() {
	for _, m := range c.members {
		i := slices.IndexFunc(m.Handles, func(h string) bool { return strings.HasPrefix(h, "partner:") })
		if m.Open || i < 0 || len(c.inc.Listed) == 0 {
			continue
		}
		next := c.inc.Listed[0]
		next.Handles = appendNew(slices.Clone(next.Handles), m.Handles[i])
		c.store(next)
		return
	}
}

// nextDue is the earliest of an incident's due times, zero for none. Somebody
// who acknowledged it is not reminded, and nobody is while nothing is open.
func nextDue(inc *Incident) time.Time {
	if inc.State != Open {
		return time.Time{}
	}
	times := []time.Time{inc.WaitUntil, inc.ResolveAt, inc.CountAt}
	if inc.OpenMembers() > 0 {
		times = append(times, inc.CloseAt, inc.HoldUntil)
		for _, t := range inc.Told {
			if h := t.Held; h != nil && !t.Over && (h.Kind == HeldBySilence || h.Kind == HeldByWindow) {
				times = append(times, h.Until)
			}
		}
		if inc.Acknowledged == nil {
			times = append(times, inc.RepeatAt)
			for _, e := range inc.Escalation {
				if !e.Done {
					times = append(times, e.At)
				}
			}
		}
	}
	var next time.Time
	for _, t := range times {
		if sooner(t, next) {
			next = t
		}
	}
	return next
}
