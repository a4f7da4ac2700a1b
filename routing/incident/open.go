package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// open plans an event that opens, joins, raises or reopens an incident, or
// says why it does none of that.
func (d *draft) open() {
	if d.dec.DroppedBy != "" {
		d.decide(DroppedBy, "dropped by "+cut(d.dec.DroppedBy, 200))
		return
	}
	if r := d.outdated(); r != nil {
		d.decide(Outdated, fmt.Sprintf("%s was seen for it, of %s: newer than this", r.Type, clock(r.OccurredAt)))
		return
	}
	if d.known() {
		return
	}
	member := d.memberOf()
	if d.in.Consumed != nil && (d.m.RetryingAfter <= 0 || d.member(member.ID, "") != nil) {
		d.decide(Ignored, "it is open already, or defaults.retrying_alert is not set any more")
		return
	}
	if d.stale() {
		d.decide(OldNews, fmt.Sprintf("it happened at %s, longer ago than defaults.stale_after", clock(d.ev.OccurredAt)))
		return
	}
	told := d.mark(thresholdHandle(d.ev), markThreshold) != nil
	c, prior := d.target(member, told)
	switch {
	case c == nil && told:
		d.decide(Ignored, "this certificate's warning was told already")
		return
	case c == nil:
		d.decide(Opened, "no open incident has its key or its member")
		c = d.fresh()
	}
	if h := thresholdHandle(d.ev); h != "" {
		d.remember(d.recovery(h, markThreshold))
	}
	d.remember(failure(d, c.inc.ID)...)
	d.dec.Incident = c.inc.ID
	d.admit(c, member, prior, told)
	c.commit(&d.plan)
}

// stale reports old news: an opening that happened long before it arrived. It
// looks at the arrival, not at the clock, so that what was accepted in time and
// planned late still alarms.
func (d *draft) stale() bool { return d.m.stale(d.ev) }

func (m *Machine) stale(ev event.Event) bool {
	after, ends := m.StaleAfter.Ends()
	if !ends || after <= 0 || ev.OccurredAt.IsZero() {
		return false
	}
	return ev.ReceivedAt.Sub(ev.OccurredAt) > after && !dueOf(ev).After(ev.ReceivedAt)
}

// member returns the open member with that id, of that class or, with "", of
// any: the most severe, then the earliest.
func (d *draft) member(id string, class event.Class) *MatchedMember {
	var best *MatchedMember
	for i := range d.in.View.Matched {
		m := &d.in.View.Matched[i]
		if m.ID != id || !d.isOpen(*m) || class != "" && m.Class != class {
			continue
		}
		if best == nil || m.Severity > best.Severity ||
			m.Severity == best.Severity && m.OpenedAt.Before(best.OpenedAt) {
			best = m
		}
	}
	return best
}

// target finds the incident that the event belongs to, nil for a new one, and
// the member if that is open there already. What was told already takes back no
// resolve.
func (d *draft) target(member Member, told bool) (c *change, prior *Member) {
	if txn := byTransaction(d.ev); txn != nil && strings.HasPrefix(d.ev.Type, "sla.") {
		if m := d.member(txn[0], ""); m != nil {
			d.decide(Raised, fmt.Sprintf("raises %s (%s), which is open", m.ID, m.Class))
			return d.change(*d.in.View.incident(m.Incident, d.ev.Environment)), &m.Member
		}
	}
	if m := d.member(member.ID, d.ev.Class); m != nil {
		d.decide(Joined, m.ID+" is open there already")
		return d.change(*d.in.View.incident(m.Incident, d.ev.Environment)), &m.Member
	}
	key := keyOf(d.ev, d.dec)
	for i := range d.in.View.Incidents {
		inc := d.in.View.Incidents[i]
		if inc.Key != key || inc.Environment != d.ev.Environment {
			continue
		}
		if inc.State == Open {
			d.decide(Joined, "an incident with its key is open")
			return d.change(inc), nil
		}
	}
	for i := range d.in.View.Incidents {
		inc := d.in.View.Incidents[i]
		if inc.Key == key && inc.Environment == d.ev.Environment && !told && d.mayReopen(inc) {
			d.decide(Reopened, "its key was resolved at "+clock(inc.ResolvedAt)+", within defaults.reopen_within")
			return d.change(inc), nil
		}
	}
	return nil, nil
}

// mayReopen: what closed unconfirmed is over (routing rule 17).
func (d *draft) mayReopen(inc Incident) bool {
	return inc.State == Resolved && inc.Resolution != Unconfirmed &&
		d.m.ReopenWithin > 0 && d.at.Sub(inc.ResolvedAt) <= d.m.ReopenWithin
}

// fresh is a new incident for the event.
func (d *draft) fresh() *change {
	suffix, _ := strings.CutPrefix(d.ev.ID, "ev_")
	most := d.dec.Group.MaxMembers
	if most <= 0 {
		most = defaultMembers
	}
	return d.change(Incident{
		ID: "in_" + suffix, Key: keyOf(d.ev, d.dec), Environment: d.ev.Environment,
		Source: d.ev.Source, Class: d.ev.Class, State: Open, OpenedAt: d.at,
		MaxMembers: min(most, maxMembers),
	})
}

// admit puts the event's member into the incident and tells whom it concerns.
// A certificate warning that was told already changes what is shown, no more.
func (d *draft) admit(c *change, m Member, prior *Member, told bool) {
	inc := &c.inc
	born, back := inc.Version == 0 && inc.Total == 0, inc.State == Resolved
	quiet := !born && d.at.Sub(inc.LastOpening) >= d.dec.Group.Interval && !told
	next := prior != nil && !told && d.nextOfCertificate(inc.Lead)
	outgrown := next || inc.Lead.Type == typeRetrying && !retrying(d.ev)
	if len(inc.Listed) == 0 && m.Class.Shared() && prior == nil {
		// One member of the incident answers for the partner: all of them
		// would crowd out what a recovery of the connection has to find.
		m.Handles = appendNew(m.Handles, partnerHandle(d.ev))
	}
	if back {
		c.reopen()
	}
	switch {
	case d.dec.Outcome == Raised:
		raised := withCauses(*prior, d.dec.Causes)
		raised.Severity = max(prior.Severity, m.Severity)
		if due := dueOf(d.ev); !due.IsZero() {
			raised.Due = due
		}
		c.put(raised, prior)
	case prior != nil:
		c.put(m.again(*prior), prior)
	default:
		c.put(m, nil)
	}
	if inc.OpenMembers() > 0 && !inc.ResolveAt.IsZero() {
		inc.ResolveAt = time.Time{}
		c.say("reopened", "open again before its resolve was told")
	}
	c.lead(d, back, outgrown && d.dec.Severity >= inc.Lead.Severity)
	if d.at.After(inc.LastOpening) {
		inc.LastOpening = d.at
	}
	if inc.CloseAt = after(inc.LastOpening, d.m.CloseAfter); !inc.CloseAt.After(c.now) {
		inc.CloseAt = after(c.now, d.m.CloseAfter) // planned so late that it would close unheard
	}
	if born || back {
		inc.ResolveWait = max(d.dec.Group.ResolveWait, 0)
	}
	c.name(d.dec.Rules)
	how := ""
	if d.polled() {
		how = ", found by polling"
		if prior == nil {
			c.polling(func(p *Polling) { p.Found = min(p.Found+1, inc.Total) })
		}
	}
	c.say(string(d.dec.Outcome), fmt.Sprintf("%s: %s, %s%s", d.ev.Type, m.ID, d.dec.Severity, how))
	d.explain(c, born || back)
	c.spread(d, spread{born: born, back: back, quiet: quiet, next: next})
	d.held(c)
}

// memberOf is what the event is about, with the handles by which it explains others.
func (d *draft) memberOf() Member {
	return withCauses(memberOf(d.shown, d.dec.Severity, d.at), d.dec.Causes)
}

// held records who is not told now, and why.
func (d *draft) held(c *change) {
	for _, h := range c.held {
		d.hold(h)
	}
}

func (d *draft) hold(h HeldRouted) {
	d.dec.Held = append(d.dec.Held, h)
	d.because(h.Notifier + " is not told now: " + h.Why)
}

// name adds the rules that chose the incident's notifiers.
func (c *change) name(rules []MatchedRule) {
	for _, r := range rules {
		if len(c.inc.Rules) < 50 {
			c.inc.Rules = appendNew(c.inc.Rules, cut(r.Name, 200))
		}
	}
}

// nextOfCertificate reports whether the event is a certificate's next threshold
// or its end: that tells by itself, however severe the last one was.
func (d *draft) nextOfCertificate(lead Lead) bool {
	return thresholdHandle(d.ev) != "" || d.ev.Type == typeExpired && lead.Type != typeExpired
}

// spread says what kind of change is to be told.
type spread struct{ born, back, quiet, next bool }

// spread decides who hears of an opening event, and how loudly.
func (c *change) spread(d *draft, s spread) {
	inc := &c.inc
	c.silent = !d.ev.Authentic
	names := d.recipients()
	c.windows = d.windows
	c.bindAll()
	waiting := !inc.WaitUntil.IsZero()
	untold := !slices.ContainsFunc(inc.Told, func(t Telling) bool { return t.Alarms > 0 })
	if s.born || s.back && untold || waiting {
		c.expect(names)
		until := d.at.Add(max(d.dec.Group.Wait, 0))
		if until.Before(c.now) {
			until = c.now
		}
		if !waiting || until.Before(inc.WaitUntil) {
			c.waitUntil(until)
		}
		c.tryFirst(d, s, names)
		c.escalateLater(d, inc.WaitUntil)
		if c.hurried(d.dec.Group.Wait) && !c.silent || !inc.WaitUntil.After(c.now) {
			c.tell()
		} else if !waiting {
			c.say("waiting", "holds its opening until "+clock(inc.WaitUntil))
		}
		return
	}
	if s.back {
		c.tryFirst(d, s, names)
		c.tellAgain(names)
		c.escalateLater(d, c.now)
		return
	}
	if c.worsen(names, s.quiet || s.next, news(inc.Severity, d.ev.Type, s.quiet && !s.next)) {
		c.escalateLater(d, c.now)
	}
	c.escalateMore(d)
	c.tryFirst(d, s, names)
}

// hurried reports whether group.wait ends early: somebody must act before it
// would be over.
func (c *change) hurried(wait time.Duration) bool {
	if c.inc.Severity == event.Critical {
		return true
	}
	due := c.due()
	return !due.IsZero() && due.Sub(c.now) <= 2*wait
}

// news words why an incident alarms anew.
func news(s event.Severity, eventType string, quiet bool) string {
	what := cut(eventType, 100)
	if quiet {
		return "again after a quiet time: " + what
	}
	return fmt.Sprintf("now %s: %s", s, what)
}

// recipients are who may be told, after what only the state machine can
// see to: a pager never rings for a sandbox or for what nobody signed, a rule
// that drops what comes outside its window names nobody then, and no notifier
// is told of its own trouble.
func (d *draft) recipients() []string {
	chosen, left := d.chosen()
	names, why := d.m.allowed(chosen, d.ev)
	if len(names) == 0 && !left {
		names, _ = d.m.allowed(d.m.Notify, d.ev)
		why = append(why, "no notifier is left of those that the rules chose: defaults.notify is told")
	}
	names, more := d.m.around(names, d.ev)
	why = append(why, more...)
	if len(names) == 0 && !left {
		why = append(why, "nobody can be told: defaults.notify has no notifier for this")
	}
	for _, w := range why {
		d.because(w)
	}
	return names
}

// chosen are the notifiers that the rules name now, with the windows of whom
// stands in for them. left reports that somebody was left out, for whom no
// default steps in.
func (d *draft) chosen() (names []string, left bool) {
	d.windows = map[string][]Window{}
	for _, r := range d.dec.Notifiers {
		windows, out := d.m.dropped(r.Notifier, r.Windows, d.in.Now)
		if out != nil {
			left = true
			d.hold(HeldRouted{Notifier: r.Notifier, Held: *out})
			continue
		}
		names, windows = append(names, r.Notifier), together(windows, windows)
		told, _ := d.m.allowed([]string{r.Notifier}, d.ev)
		for _, name := range told {
			own := windows
			if old, known := d.windows[name]; known {
				own = together(old, windows)
			}
			d.windows[name] = own
		}
	}
	return names, left
}

// allowed replaces pagers where they must not ring, by their fallback or the
// defaults that do not page, and leaves out what is not configured or retired.
func (m *Machine) allowed(names []string, ev event.Event) (list, why []string) {
	for _, name := range names {
		n, ok := m.Notifiers[name]
		switch {
		case !ok:
			why = append(why, fmt.Sprintf("notifier %q is not configured", name))
		case n.Retired:
			why = append(why, fmt.Sprintf("notifier %q is retired", name))
		case n.Pager && (ev.Environment == event.Sandbox || !ev.Authentic):
			list = appendNew(list, m.quiet([]string{name})...)
			why = append(why, fmt.Sprintf("pager %q does not ring for a sandbox or an unsigned event", name))
		default:
			list = appendNew(list, name)
		}
	}
	return list, why
}

// quiet gives those of names that do not page; where there is none, the
// fallbacks of the pagers, and at last the defaults that do not page.
func (m *Machine) quiet(names []string) []string {
	var own, fallbacks, defaults []string
	for _, name := range names {
		own = appendNew(own, m.unlessPager(name))
		fallbacks = appendNew(fallbacks, m.unlessPager(m.Notifiers[name].FallbackTo))
	}
	for _, name := range m.Notify {
		defaults = appendNew(defaults, m.unlessPager(name))
	}
	for _, list := range [][]string{own, fallbacks, defaults} {
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

func (m *Machine) unlessPager(name string) string {
	if n, ok := m.Notifiers[name]; !ok || n.Pager || n.Retired {
		return ""
	}
	return name
}
