package incident

import (
	"cmp"
	"fmt"
	"time"

	"datasync-bridge/event"
)

// muted returns what keeps a notifier from being told now, nil for nothing: a
// silence on the event that the incident is told by, an open cause, or that all
// its windows are closed, in this order. An end never asks.
func (c *change) muted(t *Telling) *Held {
	if h := c.quieted(); h != nil {
		return h
	}
	return c.m.closed(t.Notifier, t.Windows, c.now)
}

// quieted returns what keeps everybody from being told of the incident.
func (c *change) quieted() *Held {
	if s, ok := c.m.silencing(eventOf(c.inc, c.inc.Lead), c.now); ok {
		return heldBySilence(s)
	}
	return c.caused()
}

// silencing returns the silence that holds for an event.
func (m *Machine) silencing(ev event.Event, now time.Time) (Silence, bool) {
	if m.Silences == nil || ev.Type == "" {
		return Silence{}, false
	}
	s, ok := m.Silences.Silencing(ev, now)
	return s, ok && s.Until.After(now)
}

func heldBySilence(s Silence) *Held {
	why := fmt.Sprintf("silence %s", cut(s.ID, 80))
	if s.By != "" {
		why += " of " + cut(s.By, 80)
	}
	why += " holds until " + clock(s.Until)
	if s.Why != "" {
		why += ": " + cut(s.Why, 200)
	}
	return &Held{Kind: HeldBySilence, By: s.ID, Why: why, Until: s.Until}
}

// eventOf makes an event of what an incident is told by, for conditions on
// normalized paths.
func eventOf(inc Incident, l Lead) event.Event {
	return event.Event{
		ID: l.Event, Source: cmp.Or(l.Source, inc.Source), Environment: inc.Environment, Origin: l.Origin,
		Type: l.Type, Known: true, Class: cmp.Or(l.Class, inc.Class), Severity: l.Severity,
		OccurredAt: l.OccurredAt, ReceivedAt: inc.LastOpening, Fields: l.Fields,
	}
}

// closed returns the hold of windows that are all closed, nil where one is open
// or there are none. What may wait for its window does so rather than stand in a
// digest. The windows of a rule that drops are those of an event that came while
// they were open: what is told of that later waits as well.
func (m *Machine) closed(notifier string, windows []Window, now time.Time) *Held {
	held := map[Outside]*Held{}
	for _, w := range windows {
		h, outside := m.window(w, notifier, now)
		if h == nil {
			return nil
		}
		if old := held[outside]; old == nil || outside != Digested && h.Until.Before(old.Until) {
			held[outside] = h
		}
	}
	return cmp.Or(held[Delayed], held[Digested], held[Left])
}

// window returns the hold of one window, nil where it is open. A calendar or a
// digest that is not configured, or never comes again, holds nothing back.
func (m *Machine) window(w Window, notifier string, now time.Time) (*Held, Outside) {
	calendar, known := m.Calendars[w.Calendar]
	if w.Calendar != "" && (!known || calendar.Open(now)) {
		return nil, ""
	}
	pager := m.Notifiers[notifier].Pager // a pager gets no digest: what is left to one waits
	if !pager && (w.Outside == Digested || w.Calendar == "") {
		name := cmp.Or(w.Digest, w.Calendar)
		next := m.nextDigest(name, now)
		if next.IsZero() {
			return nil, ""
		}
		why := fmt.Sprintf("left to digest %s, told at %s", cut(name, 80), clock(next))
		return &Held{Kind: HeldByDigest, By: name, Why: why, Until: next}, Digested
	}
	if w.Calendar == "" {
		return nil, ""
	}
	next := calendar.Next(now)
	if !next.After(now) {
		return nil, ""
	}
	outside := Delayed
	if w.Outside == Left {
		outside = Left
	}
	why := fmt.Sprintf("outside calendar %s, which opens at %s", cut(w.Calendar, 80), clock(next))
	return &Held{Kind: HeldByWindow, By: w.Calendar, Why: why, Until: next}, outside
}

// dropped returns the windows in which an event's contribution counts: not those
// that leave it out now. Where none is left of some, the notifier is not named
// by the event at all, and held says why.
func (m *Machine) dropped(notifier string, windows []Window, now time.Time) (left []Window, held *Held) {
	for _, w := range windows {
		h, outside := m.window(w, notifier, now)
		if h == nil || outside != Left {
			left = append(left, w)
		} else if held == nil {
			h.Why = fmt.Sprintf("left out: rule %q drops what comes %s", cut(w.Rule, 80), h.Why)
			h.Since, h.Until = now, time.Time{}
			held = h
		}
	}
	if len(left) > 0 {
		held = nil
	}
	return left, held
}

// maxWindows bounds the windows that a telling keeps.
const maxWindows = 20

// together are the windows of two contributions. Of rules with equal windows one
// stands for all; more than the bound are no windows at all.
func together(old, more []Window) []Window {
	if len(old) == 0 || len(more) == 0 {
		return nil
	}
	list := make([]Window, 0, len(old)+len(more))
	add := func(w Window) {
		for _, o := range list {
			if o.Rule == w.Rule || o.Calendar == w.Calendar && o.Outside == w.Outside && o.Digest == w.Digest {
				return
			}
		}
		list = append(list, w)
	}
	for _, w := range more { // a rule's window may have changed
		add(w)
	}
	for _, w := range old {
		add(w)
	}
	if len(list) > maxWindows {
		return nil
	}
	return list
}
