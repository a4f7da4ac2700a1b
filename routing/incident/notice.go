package incident

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

const (
	noticeEvery = time.Hour
	daily       = 24 * time.Hour
)

// said is something to say once and then to count.
type said struct {
	key      string
	title    string
	text     string
	notify   []string
	every    time.Duration
	severity event.Severity
	// when is the outcome that it goes with; "" for whatever became of the event.
	when Outcome
	// windows are those of whom the rules name for it; mutable reports that a
	// silence holds it back.
	windows map[string][]Window
	mutable bool
}

// noticeOf returns what is to be said about an event beside incidents: at most
// one thing, the most telling, so that one event never sends two messages to
// one place. It depends on nothing that is loaded.
func (m *Machine) noticeOf(ev event.Event, d Decision) (said, bool) {
	what := fmt.Sprintf("%s from %s", cut(ev.Type, 100), cut(ev.Source, 100))
	key := func(kind string, parts ...string) string {
		return handle(kind, append([]string{ev.Source, string(ev.Environment)}, parts...)...)
	}
	n := said{notify: m.quiet(m.Notify), every: noticeEvery, severity: event.Warning}
	switch {
	case ev.Quarantine != "":
		cause := cut(ev.Quarantine, 200)
		n.key, n.title = key("quarantine", cause), "quarantined from "+cut(ev.Source, 100)+": "+cause
		n.text = fmt.Sprintf("An authentic event from %s could not be mapped (%s). It is stored as %s and is not routed by any rule.",
			cut(ev.Source, 100), cause, ev.ID)
	case d.DroppedBy != "":
		return said{}, false
	case m.mayOpen(ev) && m.stale(ev):
		n.key, n.title, n.when, n.mutable = key("old"), "old news from "+cut(ev.Source, 100), OldNews, true
		n.text = fmt.Sprintf("Old news: %s happened at %s, too long ago to alarm anybody. It is recorded as %s.",
			what, clock(ev.OccurredAt), ev.ID)
	case ev.Conflict:
		n.key, n.title, n.every = key("conflict"), "id used twice by "+cut(ev.Source, 100), daily
		n.text = fmt.Sprintf("%s came with an id that was used before for other content. It is handled as an event of its own (%s), and nothing is run for it.",
			what, ev.ID)
	case m.Effect(ev) == event.Note:
		n.key, n.title, n.text, n.mutable = key("note", ev.Type), what, what+" ("+ev.ID+").", true
		n.severity = severityOf(Input{Event: ev, Decision: d})
		if !ev.Known {
			n.title = "unknown type " + what
			n.text = fmt.Sprintf("Unknown event type: %s. It is stored as %s; no incident is made of it.", what, ev.ID)
		}
		m.chooseFor(&n, d)
	case len(d.Errors) > 0:
		n.key, n.title = key("condition", ev.Type), "a rule's condition failed on "+what
		n.text = fmt.Sprintf("A rule's condition failed on %s (%s), so that rule did not match: %s", what, ev.ID, cut(d.Errors[0], 300))
		n.notify = slices.DeleteFunc(n.notify, func(name string) bool {
			return slices.ContainsFunc(d.Notifiers, func(r Routed) bool { return r.Notifier == name })
		})
	default:
		return said{}, false
	}
	n.notify = m.aside(n.notify, ev)
	if n.every == daily {
		n.text += " Further ones are counted once a day."
	} else {
		n.text += " Further ones are counted once an hour."
	}
	return n, true
}

// chooseFor takes whom the rules name for a note, and their windows.
func (m *Machine) chooseFor(n *said, d Decision) {
	chosen := make([]string, 0, len(d.Notifiers))
	n.windows = map[string][]Window{}
	for _, r := range d.Notifiers {
		chosen = append(chosen, r.Notifier)
		for _, name := range m.quiet([]string{r.Notifier}) {
			windows := together(r.Windows, r.Windows)
			if old, known := n.windows[name]; known {
				windows = together(old, windows)
			}
			n.windows[name] = windows
		}
	}
	if len(chosen) > 0 {
		n.notify = m.quiet(chosen)
	}
}

// aside leaves a notifier out of what is said of its own trouble.
func (m *Machine) aside(names []string, ev event.Event) []string {
	names, why := m.around(names, ev)
	if len(why) > 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return m.unlessPager(name) == "" })
	}
	return names
}

// notice says it, or counts it if it was said.
func (d *draft) notice() {
	n, ok := d.m.noticeOf(d.ev, d.in.Decision)
	if !ok {
		return
	}
	if n.when != "" && n.when != d.dec.Outcome {
		return
	}
	if len(n.notify) == 0 {
		d.because("nobody is told beside: " + n.title)
		return
	}
	if s, silenced := d.silence(); silenced && n.mutable {
		d.unsaid(n, s)
		return
	}
	lead := leadOf(d.shown, d.dec.Severity)
	if n.windows != nil { // the rules chose it, and word it
		lead = d.lead()
	}
	held := d.m.notice(&d.plan, n, d.in.View.Notice, d.ev.ID, d.in.Now, Snapshot{
		Environment: d.ev.Environment, Source: d.ev.Source, Class: d.ev.Class, Lead: lead,
	})
	for _, h := range held {
		d.hold(h)
	}
	d.because(n.title + ": told once to " + strings.Join(n.notify, ", ") + ", then counted")
}

// unsaid counts what a silence holds back. It is said by the next one after it.
func (d *draft) unsaid(n said, s Silence) {
	for _, name := range n.notify {
		held := *heldBySilence(s)
		held.Since = d.in.Now
		d.hold(HeldRouted{Notifier: name, Held: held})
	}
	if stored := d.in.View.Notice; stored != nil && stored.Key == n.key && !stored.Since.IsZero() {
		kept := *stored
		kept.Total, kept.Last = kept.Total+1, d.ev.ID
		d.plan.Notices = append(d.plan.Notices, kept)
	}
}

// note is for types that inform and change no incident; never for a pager.
func (d *draft) note() {
	if d.dec.DroppedBy != "" {
		d.decide(DroppedBy, "dropped by "+cut(d.dec.DroppedBy, 200))
		return
	}
	d.decide(Notified, "")
}

// notice sends the first and counts the rest. Who was not told yet is. Outside
// its windows a notifier is told when they open, or, where that is left out, by
// the next one: held says so.
func (m *Machine) notice(p *Plan, n said, stored *Notice, ev string, now time.Time, s Snapshot) (held []HeldRouted) {
	kept := Notice{Key: n.key, Source: s.Source, Title: cut(n.title, 300), Since: now, Every: n.every}
	known := stored != nil && stored.Key == n.key && !stored.Since.IsZero()
	if known {
		kept = *stored
		kept.Notify, kept.Windows = slices.Clone(stored.Notify), maps.Clone(stored.Windows)
	}
	s.Severity = n.severity
	told := false
	for _, name := range n.notify {
		if slices.Contains(kept.Notify, name) {
			continue
		}
		windows, out := m.dropped(name, n.windows[name], now)
		if out != nil {
			held = append(held, HeldRouted{Notifier: name, Held: *out})
			continue
		}
		told = true
		kept.Notify = append(kept.Notify, name)
		d := m.noticed(n.key, name, n.text, s, now)
		if h := m.closed(name, windows, now); h != nil {
			h.Since, d.NextAt = now, h.Until
			held = append(held, HeldRouted{Notifier: name, Held: *h})
		}
		p.Deliveries = append(p.Deliveries, d)
		if w := n.windows[name]; len(w) > 0 {
			if kept.Windows == nil {
				kept.Windows = map[string][]Window{}
			}
			kept.Windows[name] = w
		}
	}
	kept.Severity, kept.Last = n.severity, ev
	kept.Total++
	if known && !told && len(kept.Notify) > 0 {
		kept.Count++
	}
	if !known {
		p.Timers = append(p.Timers, Timer{Kind: NoticeTimer, Subject: n.key, DueAt: now.Add(n.every)})
	}
	p.Notices = append(p.Notices, kept)
	return held
}

func (m *Machine) noticed(key, name, text string, s Snapshot, now time.Time) Delivery {
	to := m.Notifiers[name]
	return Delivery{
		Order: key, Notifier: name, Kind: Noticed, Snapshot: s, Text: text,
		Destination: to.Destination, Fingerprint: to.Fingerprint,
		State: Waiting, QueuedAt: now, NextAt: now,
	}
}

// recount tells how many came since, and starts the next window.
func (m *Machine) recount(p *Plan, n Notice, now time.Time) {
	every := n.Every
	if every <= 0 {
		every = noticeEvery
	}
	text := fmt.Sprintf("%s: %d more since %s, %d in all; the newest is %s.",
		n.Title, n.Count, clock(n.Since), n.Total, n.Last)
	for _, name := range m.quiet(n.Notify) {
		s := Snapshot{Source: n.Source, Severity: n.Severity}
		d := m.noticed(n.Key, name, text, s, now)
		if h := m.closed(name, n.Windows[name], now); h != nil {
			d.NextAt = h.Until
		}
		p.Deliveries = append(p.Deliveries, d)
	}
	n.Since, n.Count = now, 0
	p.Notices = append(p.Notices, n)
	p.Timers = append(p.Timers, Timer{Kind: NoticeTimer, Subject: n.Key, DueAt: now.Add(every)})
}

// ParkQuery says what Park needs to see.
func (m *Machine) ParkQuery(ev event.Stored) Query {
	return Query{Environment: ev.Environment, Notice: parkKey(ev)}
}

func parkKey(ev event.Stored) string {
	return handle("parked", ev.Source, string(ev.Environment))
}

// Park gives up on an event that could not be planned three times: it is kept,
// people are told in fixed text, and it holds up nothing (routing rule 41). It
// looks at nothing of the event that could have been the cause.
func (m *Machine) Park(ev event.Stored, cause string, v View, now time.Time) Plan {
	p := Plan{Event: ev.ID, Decision: &Decision{
		Config: m.Config, At: now, Outcome: ParkedAway, Effect: event.None,
		Reasons: []string{"could not be planned three times: " + cut(cause, 500)},
	}}
	n := said{
		key: parkKey(ev), title: "parked from " + cut(ev.Source, 100),
		text: fmt.Sprintf("An event from %s could not be planned three times and is parked as %s. "+
			"NO RULE WAS APPLIED: nobody else was told of it. Further ones are counted once an hour.",
			cut(ev.Source, 100), ev.ID),
		notify: m.quiet(m.Notify), every: noticeEvery, severity: event.Error,
	}
	if len(n.notify) == 0 {
		p.Decision.Reasons = append(p.Decision.Reasons, "nobody could be told: defaults.notify only pages")
		return p
	}
	m.notice(&p, n, v.Notice, ev.ID, now, Snapshot{Environment: ev.Environment, Source: ev.Source})
	return p
}
