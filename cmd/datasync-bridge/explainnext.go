package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// coming is one thing that will happen by itself, or waits for a person.
type coming struct {
	// At is when; zero where it waits for somebody.
	At   time.Time `json:"at,omitzero"`
	What string    `json:"what"`
}

// next is what will happen, in order; what has no time comes first.
func (a *account) next() []coming {
	var out []coming
	at := func(t time.Time, format string, args ...any) {
		if !t.IsZero() {
			out = append(out, coming{t, fmt.Sprintf(format, args...)})
		}
	}
	waits := func(format string, args ...any) { out = append(out, coming{What: fmt.Sprintf(format, args...)}) }
	if a.event != nil && a.event.State == event.Pending {
		waits("serve plans the event as soon as it runs")
	}
	if inc := a.inc; inc != nil {
		if inc.State == incident.Open {
			a.nextOfOpen(at, waits)
		} else if until := inc.ResolvedAt.Add(a.reopen); until.After(a.face.now) {
			at(until, "until then a failure with the same key reopens it")
		}
	}
	a.nextDeliveries(at, waits)
	a.nextRuns(at, waits)
	slices.SortStableFunc(out, func(x, y coming) int { return x.At.Compare(y.At) })
	return out
}

// nextOfOpen are the timers of an open incident.
func (a *account) nextOfOpen(at func(time.Time, string, ...any), waits func(string, ...any)) {
	inc := a.inc
	var waiting, told, pagers []string
	for _, t := range inc.Told {
		switch {
		case t.Over:
		case t.Held != nil:
			a.nextOfHold(t, at, waits)
		case t.Alarms > 0:
			told = append(told, t.Notifier)
		case a.traits[t.Notifier].Pager && !inc.HoldUntil.IsZero():
			pagers = append(pagers, t.Notifier)
		default:
			waiting = append(waiting, t.Notifier)
		}
	}
	if !inc.WaitUntil.IsZero() {
		at(inc.WaitUntil, "group.wait ends: %s told, unless it is over by then", isOrAre(waiting))
	}
	if len(pagers) > 0 {
		at(inc.HoldUntil, "%s paged, unless %s has helped by then", isOrAre(pagers), inc.HoldFor)
	}
	at(inc.ResolveAt, "resolve_wait ends: %s told that it is over", isOrAre(told))
	at(inc.CountAt, "it flaps: what changed meanwhile is counted and told")
	if inc.OpenMembers() == 0 {
		return
	}
	unless := ", unless somebody acknowledges it"
	if inc.Acknowledged == nil {
		for _, step := range inc.Escalation {
			if !step.Done {
				at(step.At, "escalates to %s, by rule %s%s", strings.Join(step.Notify, ", "), step.Rule, unless)
			}
		}
		if names := a.reminded(told); names != "" {
			at(inc.RepeatAt, "reminds %s%s", names, unless)
		}
	}
	at(inc.CloseAt, "closes as unconfirmed, unless something is heard of it")
}

// reminded are those who get reminders, "" for nobody: pagers get none.
func (a *account) reminded(told []string) string {
	names := slices.DeleteFunc(slices.Clone(told), func(n string) bool { return a.traits[n].Pager })
	return strings.Join(names, ", ")
}

func isOrAre(names []string) string {
	switch len(names) {
	case 0:
		return "nobody is"
	case 1:
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

// nextOfHold is when a notifier's hold is looked at again.
func (a *account) nextOfHold(t incident.Telling, at func(time.Time, string, ...any), waits func(string, ...any)) {
	h := t.Held
	owed := "what is still open"
	if t.Alarms > 0 {
		owed = "what has changed"
	}
	switch h.Kind {
	case incident.HeldBySilence:
		at(h.Until, "silence %s ends: %s is told %s", h.By, t.Notifier, owed)
	case incident.HeldByWindow:
		at(h.Until, "calendar %s opens: %s is told %s", h.By, t.Notifier, owed)
	case incident.HeldByDigest:
		at(h.Until, "digest %s tells %s %s", h.By, t.Notifier, owed)
	case incident.HeldByCause:
		waits("once %s is over, %s is told %s", h.By, t.Notifier, owed)
	}
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

func (a *account) nextDeliveries(at func(time.Time, string, ...any), waits func(string, ...any)) {
	for _, d := range a.deliveries {
		switch d.State {
		case incident.Waiting:
			what := "is sent"
			if d.Attempts > 0 {
				what = fmt.Sprintf("is tried again, for the %s time", ordinal(d.Attempts+1))
			}
			at(orNow(d.NextAt, a.face.now), "the %s to %s %s (%s)", d.Kind, d.Notifier, what, d.ID)
			n := a.traits[d.Notifier]
			due := d.QueuedAt.Add(n.FallbackAfter)
			if d.Kind.Alarms() && n.FallbackTo != "" && n.FallbackAfter > 0 && due.After(a.face.now) {
				at(due, "%s is told instead, unless %s has accepted it", n.FallbackTo, n.Name)
			}
		case incident.Sending:
			at(d.Lease.Until, "the %s to %s is being sent; after that it is tried again (%s)", d.Kind, d.Notifier, d.ID)
		case incident.Dead:
			waits("nothing sends the %s to %s again by itself: `deliveries retry %s`", d.Kind, d.Notifier, d.ID)
		}
	}
}

func (a *account) nextRuns(at func(time.Time, string, ...any), waits func(string, ...any)) {
	for _, r := range a.runs {
		what := strings.TrimSpace(r.Remediation + " for " + r.Transaction)
		switch r.State {
		case incident.RunProposed:
			at(orNow(r.NextAt, a.face.now), "%s is read from Datasync, then a person is asked (%s)", what, r.ID)
		case incident.RunAwaiting:
			missing := max(1, r.Approval.Needed) - len(r.Approval.Given)
			waits("%s waits for %s to approve it: `runs approve %s`", what, people(missing), r.ID)
			at(r.Approval.Expires, "the request for %s expires (%s)", what, r.ID)
		case incident.RunQueued:
			at(orNow(r.NextAt, a.face.now), "%s is run (%s)", what, r.ID)
		case incident.RunUnknown:
			if r.NextAt.IsZero() {
				waits("%s: its outcome is unknown; look into Datasync, then `runs clear %s`", what, r.ID)
				continue
			}
			at(r.NextAt, "%s: its unclear outcome is checked (%s)", what, r.ID)
		}
	}
}

func people(n int) string {
	if n == 1 {
		return "a person"
	}
	return fmt.Sprintf("%d people", n)
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n%100 != 11:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2 && n%100 != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n%100 != 13:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
