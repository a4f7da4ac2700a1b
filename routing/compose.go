package routing

import (
	"fmt"
	"slices"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// byDefaults is the By of a notifier that defaults.notify named.
const byDefaults = "defaults"

// compose puts a decision together from the rules that matched.
func (e *evaluation) compose(d *incident.Decision, matched []*rule) {
	t := e.table
	var group Group
	handled := false
	// Sized at once: growing them is what a decision with many rules would pay for.
	if len(matched) > 0 {
		d.Rules = make([]incident.MatchedRule, 0, len(matched))
	}
	for i, r := range matched {
		d.Rules = append(d.Rules, incident.MatchedRule{Name: r.Name, Line: r.Line, Stop: r.Stop || r.Drop, Copy: r.Copy})
		for _, name := range r.Notify {
			d.Notifiers = route(d.Notifiers, name, r.Name, r.window, len(matched)-i)
		}
		handled = handled || !r.Copy && len(r.Notify) > 0
		group = group.or(r.Group)
		if r.Drop {
			handled = true
			e.drop(d, r)
		}
	}
	e.severity(d, matched)
	e.group(d, group.or(t.defaults.Group))
	if d.DroppedBy != "" {
		return
	}
	if !handled || len(d.Errors) > 0 {
		for _, name := range t.defaults.Notify {
			d.Notifiers = route(d.Notifiers, name, byDefaults, nil, 1)
		}
		d.Reasons = append(d.Reasons, whyDefaults(d, matched))
	}
	if d.Effect != event.Note { // a note has no incident to escalate or repair
		consequences(d, matched)
	}
	e.wordedBy(d, matched)
	if why := quietBecause(d.Effect, e.ev); why != "" {
		t.quiet(d, why)
	}
}

// drop lets the rule drop the event, unless somebody was named before or must
// hear of a condition that failed.
func (e *evaluation) drop(d *incident.Decision, r *rule) {
	switch {
	case len(d.Notifiers) > 0:
		d.Reasons = append(d.Reasons, fmt.Sprintf("%s does not drop it, because rule %q already named %s",
			r, d.Notifiers[0].By[0], d.Notifiers[0].Notifier))
	case len(d.Errors) > 0:
		d.Reasons = append(d.Reasons, fmt.Sprintf("%s does not drop it, because a condition failed", r))
	default:
		d.DroppedBy = r.Name
		d.Reasons = append(d.Reasons, fmt.Sprintf("%s drops it: %s", r, r.Why))
	}
}

func whyDefaults(d *incident.Decision, matched []*rule) string {
	switch {
	case len(d.Errors) > 0:
		return "defaults.notify is told too, because a condition failed"
	case len(matched) == 0:
		return "no rule matched, so defaults.notify is told"
	}
	return "no rule that matched handles it (copy, or no notify), so defaults.notify is told"
}

// route adds a notifier, or another rule that named it, and when that may tell
// it; at most room rules will.
func route(to []incident.Routed, name, by string, w *incident.Window, room int) []incident.Routed {
	for i := range to {
		if to[i].Notifier == name {
			to[i].Windows = opened(to[i].Windows, windows(w)...)
			// Rules are gone through once and in order, so a rule that is named
			// already is the last one.
			if by != to[i].By[len(to[i].By)-1] {
				to[i].By = append(to[i].By, by)
			}
			return to
		}
	}
	return append(to, incident.Routed{
		Notifier: name, By: append(make([]string, 0, min(room, 16)), by), Windows: windows(w),
	})
}

// severity takes the highest that a rule set. Equal ones: the first rule says it.
func (e *evaluation) severity(d *incident.Decision, matched []*rule) {
	var by *rule
	for _, r := range matched {
		if r.Severity != 0 && (by == nil || r.Severity > by.Severity) {
			by = r
		}
	}
	if by != nil {
		d.Severity, d.SeverityFrom = by.Severity, by.label
	}
}

func (e *evaluation) group(d *incident.Decision, g Group) {
	d.Group = incident.Group{
		Wait: *g.Wait, Interval: *g.Interval, ResolveWait: *g.ResolveWait, MaxMembers: *g.MaxMembers,
	}
	d.GroupBy = slices.Clone(g.By)
	if d.GroupBy == nil {
		d.GroupBy = DefaultGroupBy(e.ev.Class)
	}
	d.Key = IncidentKey(e.ev, d.GroupBy)
}

// consequences are the escalations and repairs of all rules.
func consequences(d *incident.Decision, matched []*rule) {
	for _, r := range matched {
		for _, step := range r.Escalate {
			d.Escalate = append(d.Escalate, incident.EscalateStep{
				Rule: r.Name, After: step.After, Notify: slices.Clone(step.Notify), Window: r.window,
			})
		}
		if r.Remediate != "" && !slices.Contains(d.Remediate, r.Remediate) {
			d.Remediate = append(d.Remediate, r.Remediate)
		}
	}
}

// quietBecause says why an event may not page, "" where it may.
func quietBecause(effect event.Effect, ev *event.Event) string {
	switch {
	case effect == event.Note:
		return "a note never pages"
	case ev.Environment == event.Sandbox:
		return "a sandbox event never pages"
	case !ev.Authentic:
		return "an event of an unauthenticated source never pages"
	}
	return ""
}

// quiet replaces every pager by its fallback, if that is none itself, or else
// by those of defaults.notify that are not.
func (t *Table) quiet(d *incident.Decision, why string) {
	named := make([]string, 0, len(d.Notifiers))
	for _, r := range d.Notifiers {
		named = append(named, r.Notifier)
	}
	t.widen(d)
	calm := make([]incident.Routed, 0, len(d.Notifiers))
	for _, r := range d.Notifiers {
		if !t.names.Notifiers[r.Notifier].Pager {
			calm = append(calm, r)
			continue
		}
		instead := t.instead(r.Notifier)
		if len(instead) == 0 {
			d.Reasons = append(d.Reasons, fmt.Sprintf("%s: pager %q is left out, and there is nobody to tell instead", why, r.Notifier))
		}
		for _, name := range instead {
			if slices.Contains(named, name) {
				d.Reasons = append(d.Reasons, fmt.Sprintf("%s: pager %q is left out, and %q is told anyway", why, r.Notifier, name))
				continue
			}
			calm = merge(calm, incident.Routed{
				Notifier: name, By: slices.Clone(r.By), Instead: r.Notifier, Why: why, Windows: slices.Clone(r.Windows),
			})
		}
	}
	d.Notifiers = calm
	d.Escalate = t.quietSteps(d)
}

// widen lets those who take a pager's place anyway do so whenever that may be told.
func (t *Table) widen(d *incident.Decision) {
	for _, pager := range d.Notifiers {
		if !t.names.Notifiers[pager.Notifier].Pager {
			continue
		}
		for i := range d.Notifiers {
			if r := &d.Notifiers[i]; slices.Contains(t.instead(pager.Notifier), r.Notifier) {
				r.Windows = opened(r.Windows, pager.Windows...)
			}
		}
	}
}

// merge adds what is routed, or the rules behind it to what is there already.
func merge(to []incident.Routed, r incident.Routed) []incident.Routed {
	for i := range to {
		if to[i].Notifier == r.Notifier {
			to[i].Windows = opened(to[i].Windows, r.Windows...)
			for _, by := range r.By {
				if !slices.Contains(to[i].By, by) {
					to[i].By = append(to[i].By, by)
				}
			}
			return to
		}
	}
	return append(to, r)
}

// quietSteps replaces the pagers of escalations; a step that would tell only
// those who were told before is left out.
func (t *Table) quietSteps(d *incident.Decision) []incident.EscalateStep {
	told := make([]string, 0, len(d.Notifiers))
	for _, r := range d.Notifiers {
		told = append(told, r.Notifier)
	}
	steps := make([]incident.EscalateStep, 0, len(d.Escalate))
	for _, step := range d.Escalate {
		var notify []string
		for _, name := range step.Notify {
			instead := []string{name}
			if t.names.Notifiers[name].Pager {
				instead = t.instead(name)
			}
			for _, n := range instead {
				if !slices.Contains(told, n) {
					told, notify = append(told, n), append(notify, n)
				}
			}
		}
		if len(notify) > 0 {
			step.Notify = notify
			steps = append(steps, step)
		}
	}
	return slices.Clip(steps)
}

// instead are the notifiers that take a pager's place.
func (t *Table) instead(pager string) []string {
	name := t.names.Notifiers[pager].FallbackTo
	if f, ok := t.names.Notifiers[name]; ok && !f.Pager && !f.Retired {
		return []string{name}
	}
	return t.quietDefaults
}
