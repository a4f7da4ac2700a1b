package incident

import (
	"fmt"
	"time"

	"datasync-bridge/event"
)

// Settings are what planning takes from the configuration.
type Settings struct {
	// Notifiers are all that are configured, by name.
	Notifiers map[string]Notifier
	// Notify is defaults.notify.
	Notify []string
	// Repeat is how often an open incident reminds, by severity. A severity
	// that is missing never does.
	Repeat map[event.Severity]event.Span
	// StaleAfter makes an opening old news; zero and Never: nothing is.
	StaleAfter event.Span
	// CloseAfter closes an incident without news; zero and Never: nothing does.
	CloseAfter event.Span
	// ReopenWithin is how long after a resolve the same key reopens.
	ReopenWithin time.Duration
	// RetryingAttempts and RetryingAfter are defaults.retrying_alert; zero: not set.
	RetryingAttempts int
	RetryingAfter    time.Duration
	// Overlap is how far apart a webhook and a poll may tell one failure (see
	// datasync.reconcile.overlap); 0 where nothing is polled, and then failures
	// leave no marks.
	Overlap time.Duration
	// WantPartners reports that partners are kept (datasync.enrich): their ids are
	// wanted, and what is known of them fills messages.
	WantPartners bool
	// Calendars and Digests are known by the names that windows have for them;
	// one that is missing holds nothing back.
	Calendars map[string]Calendar
	Digests   map[string]Schedule
	// Silences and Wording may be nil: nothing is silenced, nothing is worded.
	Silences Silences
	Wording  Wording
	// Config is the hash of the configuration that these come from.
	Config string
}

// Machine turns what happened into plans. It holds no state of its own: the
// same input gives the same plan.
type Machine struct {
	Settings
}

// Input is one event with all that its plan depends on.
type Input struct {
	Event    event.Event
	Decision Decision
	View     View
	// Runs are proposals of the guard rails; those that the event does not
	// deserve are left out of the plan.
	Runs []Run
	Now  time.Time
	// Consumed is the retrying timer that led here. The event then opens,
	// and its own row, planned long ago, is not touched again.
	Consumed *Timer
}

// Effect returns what an event does to incidents, where that depends on more
// than the mapping: retries open nothing until there are enough of them
// (routing rule 10). A caller asks it before the rules decide.
func (m *Machine) Effect(ev event.Event) event.Effect {
	switch {
	case ev.Quarantine != "":
		return event.Note
	case !retrying(ev):
		return ev.Effect
	case ev.Type == typeRetrying && ev.Effect != event.None:
		return ev.Effect // the operator's own mapping
	}
	attempt, _ := ev.Number(event.AttemptNumber)
	if m.RetryingAttempts > 0 && attempt >= float64(m.RetryingAttempts) {
		return event.Open
	}
	return event.None
}

// Query says what Event needs to see.
func (m *Machine) Query(ev event.Event, d Decision) Query {
	q := Query{Environment: ev.Environment, Handles: m.handlesToLoad(ev), Partner: m.partnerOf(ev), RunKey: keyOfOwn(ev)}
	if m.mayOpen(ev) {
		q.Key = keyOf(ev, d)
		// Last: what the event is about matters more than what explains it.
		q.Handles = appendNew(q.Handles, bounded(d.CausedBy)...)
	}
	if n, ok := m.noticeOf(ev, d); ok {
		q.Notice = n.key
	}
	return q
}

func (m *Machine) handlesToLoad(ev event.Event) []string {
	var list []string
	add := func(handles ...string) {
		for _, h := range handles {
			list = appendNew(list, h)
		}
	}
	switch {
	case ev.Quarantine != "":
	case m.Effect(ev) == event.Settle:
		for _, level := range reachOf(ev.Type).levels {
			add(level(ev)...)
		}
		add(recoveryHandles(ev)...)
		if ev.Type == typeRestored {
			add(partnerHandle(ev))
		}
	case m.mayOpen(ev) || retrying(ev):
		add(memberID(ev))
		add(openingHandles(ev)...)
		add(thresholdHandle(ev))
	}
	return list
}

// mayOpen is wider than the effect: a retry may be turned into an opening.
func (m *Machine) mayOpen(ev event.Event) bool {
	return ev.Quarantine == "" && (ev.Effect == event.Open || m.Effect(ev) == event.Open || retrying(ev))
}

// Event plans one event, whatever its effect. The plan always holds the
// decision as it is to be recorded.
func (m *Machine) Event(in Input) Plan {
	d := m.draft(in)
	d.enrich()
	if d.effect == event.Open || d.effect == event.Note {
		if s, silenced := d.silence(); silenced {
			d.dec.Silence = s.ID
		}
	}
	switch effect := d.effect; {
	case in.Event.Quarantine != "":
		d.decide(Notified, "the body is authentic but could not be mapped: "+cut(in.Event.Quarantine, 200))
	case effect == event.Open:
		d.open()
	case effect == event.Settle:
		d.settle()
	case effect == event.Note:
		d.note()
	case retrying(in.Event):
		d.retry()
	default:
		d.decide(Ignored, fmt.Sprintf("events of type %q have no effect", cut(in.Event.Type, 100)))
	}
	d.notice()
	d.proposed()
	d.outcome()
	return d.finish()
}

// draft is the plan of one event in the making.
type draft struct {
	m      *Machine
	in     Input
	ev     event.Event
	effect event.Effect
	// shown is the event with what is known of its partner, for people alone.
	shown event.Event
	// at is the arrival, from which the timers of routing rules 17 to 21 run.
	at   time.Time
	dec  Decision
	plan Plan
	// windows are those of the event's recipients, nil for always.
	windows map[string][]Window
	// told is the event as a lead, made once it is asked for.
	told *Lead
}

func (m *Machine) draft(in Input) *draft {
	d := &draft{m: m, in: in, ev: in.Event, dec: in.Decision, at: in.Event.ReceivedAt}
	d.effect = m.Effect(in.Event)
	d.plan.Event = in.Event.ID
	if d.at.IsZero() || d.at.After(in.Now) {
		d.at = in.Now
	}
	if in.Consumed != nil {
		d.effect, d.at = event.Open, in.Now
		d.plan.Event, d.plan.Consumed = "", in.Consumed
		d.plan.Timers = append(d.plan.Timers, Timer{Kind: in.Consumed.Kind, Subject: in.Consumed.Subject})
	}
	d.in.Runs = d.inHours(in.Runs)
	d.dec.Outcome, d.dec.Incident = "", ""
	d.dec.Silence, d.dec.Held = "", nil
	d.dec.At, d.dec.Effect = in.Now, d.effect
	d.dec.Reasons = append([]string(nil), in.Decision.Reasons...)
	d.dec.Severity = severityOf(in)
	if d.dec.Type == "" {
		d.dec.Type = in.Event.Type
	}
	if d.dec.Class == "" {
		d.dec.Class = in.Event.Class
	}
	if d.dec.Config == "" {
		d.dec.Config = m.Config
	}
	if d.dec.Group == (Group{}) {
		d.dec.Group = Group{Interval: time.Hour, MaxMembers: defaultMembers}
	}
	return d
}

// decide records the outcome; the first one stands.
func (d *draft) decide(o Outcome, why string) {
	if d.dec.Outcome == "" {
		d.dec.Outcome = o
	}
	d.because(why)
}

func (d *draft) because(why string) {
	if why != "" {
		d.dec.Reasons = append(d.dec.Reasons, why)
	}
}

func (d *draft) finish() Plan {
	dec := d.dec
	switch dec.Outcome {
	case Outdated, Ignored, OldNews, Confirmed:
		dec.Notifiers = nil // the reasons say why none of them is told
	}
	d.plan.Decision = &dec
	return d.plan
}

// severityOf makes sure that whatever opens has one of the four severities.
func severityOf(in Input) event.Severity {
	for _, s := range []event.Severity{in.Decision.Severity, in.Event.Severity} {
		if s > 0 {
			return min(s, event.Critical)
		}
	}
	return event.Error
}

// keyOf is the incident key. An event without one gets an incident of its own.
func keyOf(ev event.Event, d Decision) string {
	if d.Key != "" {
		return d.Key
	}
	return handle("own", string(ev.Environment), ev.ID)
}

// incident returns a loaded incident of that environment, nil for none.
func (v View) incident(id string, env event.Environment) *Incident {
	for i := range v.Incidents {
		if inc := &v.Incidents[i]; inc.ID == id && inc.Environment == env {
			return inc
		}
	}
	return nil
}
