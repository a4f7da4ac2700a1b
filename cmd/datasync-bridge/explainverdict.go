package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// verdict is what became of it in one line, the first that is printed. It says
// first whether somebody was paged, because that is what is asked.
func (a *account) verdict() string {
	st, d := a.event, a.decision
	switch {
	case st == nil:
		return a.paging()
	case st.State == event.Parked:
		return fmt.Sprintf("PARKED after %d failed plans: defaults.notify was told; the event is kept", st.Failures)
	case st.State == event.Pending:
		return fmt.Sprintf("PENDING: accepted %s and kept; serve has not planned it yet", a.face.hint(st.ReceivedAt))
	case st.State == event.Purged:
		return "PURGED: what it said was taken away; what was decided and who was told stands below"
	case st.Quarantine != "":
		return fmt.Sprintf("NOT PAGED: quarantined, because %s; kept, and told to %s as a note", st.Quarantine, a.names())
	case d.DroppedBy != "":
		return fmt.Sprintf("NOT PAGED: dropped by %s%s", a.rule(d.DroppedBy), a.whyDropped())
	}
	switch d.Outcome {
	case incident.OldNews:
		return fmt.Sprintf("NOT PAGED: old news, it arrived %s after it happened; summarised for defaults.notify", a.late())
	case incident.Outdated:
		return "NOT PAGED: outdated, " + a.why("a recovery seen for it is newer") + "; nothing was opened"
	case incident.Ignored:
		return "NOT PAGED: " + a.why("nothing to tell") + "; nobody is told"
	case incident.Unfitting:
		return "NOT PAGED: it settles nothing that is open; stored, not sent"
	case incident.Settled:
		return a.settled()
	case incident.Notified:
		return fmt.Sprintf("NOT PAGED: a note, never paged; told to %s once, then counted", a.names())
	case incident.Confirmed, incident.Refined:
		return fmt.Sprintf("NOT PAGED: %s what %s had told already; nobody is told again", d.Outcome, d.Incident)
	}
	return a.paging()
}

// late is how long after it happened the event arrived.
func (a *account) late() string {
	if a.normal != nil && !a.normal.OccurredAt.IsZero() {
		return spoken(a.event.ReceivedAt.Sub(a.normal.OccurredAt))
	}
	return "long"
}

// why is the first recorded reason, or what to say without one.
func (a *account) why(otherwise string) string {
	if n := len(a.decision.Reasons); n > 0 {
		return a.decision.Reasons[n-1]
	}
	return otherwise
}

func (a *account) whyDropped() string {
	for _, r := range a.decision.Reasons {
		if _, why, ok := strings.Cut(r, "drops it: "); ok {
			return ": " + why
		}
	}
	return ""
}

// names are those whom the decision names.
func (a *account) names() string { return namesOf(a.decision) }

func namesOf(d incident.Decision) string {
	names := make([]string, 0, len(d.Notifiers))
	for _, n := range d.Notifiers {
		names = append(names, n.Notifier)
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// settled is the verdict on a recovery.
func (a *account) settled() string {
	if a.inc == nil {
		return "SETTLED " + a.decision.Incident
	}
	at := a.event.ReceivedAt
	if a.inc.State != incident.Resolved {
		return fmt.Sprintf("SETTLED one of %s: %d of %d still open", a.inc.ID, a.inc.OpenMembers(), a.inc.Total)
	}
	var told []string
	for _, d := range a.deliveries {
		if d.Kind == incident.Resolve && d.State == incident.Sent && !slices.Contains(told, d.Notifier) {
			told = append(told, d.Notifier)
		}
	}
	if len(told) == 0 {
		return fmt.Sprintf("SETTLED %s, resolved %s: nobody had been told, so nobody is told of the end", a.inc.ID, a.face.short(a.inc.ResolvedAt, at))
	}
	return fmt.Sprintf("SETTLED %s, resolved %s: %s told of the end", a.inc.ID, a.face.short(a.inc.ResolvedAt, at), strings.Join(told, ", "))
}

// since is the moment that the verdict counts from: the event's arrival.
func (a *account) since() time.Time {
	switch {
	case a.event != nil:
		return a.event.ReceivedAt
	case a.inc != nil:
		return a.inc.OpenedAt
	}
	return a.face.now
}

// alarms are the first alarms of each notifier that the event led to, oldest
// first: those queued with it or, where it began the incident or came before
// the opening was told, those that followed.
func (a *account) alarms() []incident.Delivery {
	const same = time.Millisecond // the store keeps fewer digits than the clock has
	from := a.decision.At
	if from.IsZero() {
		from = a.since()
	}
	first := true
	for _, d := range a.deliveries {
		if d.Kind.Alarms() && d.QueuedAt.Before(from.Add(-same)) {
			first = false
		}
	}
	first = first || a.decision.Outcome == incident.Opened || a.decision.Outcome == incident.Reopened
	var out []incident.Delivery
	for _, d := range a.deliveries {
		seen := slices.ContainsFunc(out, func(o incident.Delivery) bool { return o.Notifier == d.Notifier })
		if !d.Kind.Alarms() || seen || d.QueuedAt.Before(from.Add(-same)) || !first && d.QueuedAt.After(from.Add(same)) {
			continue
		}
		out = append(out, d)
	}
	return out
}

// paging is the verdict on an opening: was somebody paged, and if not, why.
func (a *account) paging() string {
	var paged, unpaged, posted, lost []incident.Delivery
	for _, d := range a.alarms() {
		switch pager := a.traits[d.Notifier].Pager; {
		case pager && d.State == incident.Sent:
			paged = append(paged, d)
		case pager:
			unpaged = append(unpaged, d)
		case d.State == incident.Sent:
			posted = append(posted, d)
		default:
			lost = append(lost, d)
		}
	}
	end := a.lost(lost) + a.end()
	switch {
	case len(paged) > 0:
		for _, d := range unpaged {
			end = fmt.Sprintf("; NOT PAGED %s: %s", d.Notifier, strings.Trim(shorten(cmp.Or(d.Error, string(d.State)), 60), ": ")) + end
		}
		for _, h := range a.decision.Held {
			if h.Notifier == paged[0].Notifier {
				end = "; " + a.heldBy(h) + end
			}
		}
		return "PAGED " + a.each(paged, true) + a.also("; posted ", posted) + end
	case len(unpaged) > 0:
		return a.notAccepted(unpaged[0]) + a.also("; posted ", posted) + end
	}
	reason, pager := a.kept()
	if reason != "" && !pager && len(posted) > 0 {
		return "POSTED " + a.each(posted, true) + "; " + reason + end
	}
	if reason == "" {
		reason = a.unpagedBecause(len(posted) > 0)
	}
	if len(posted) > 0 && reason == "" {
		return "POSTED " + a.each(posted, true) + "; no rule pages" + end
	}
	if reason == "" {
		reason = a.untold()
	}
	word := "NOT PAGED: "
	if strings.HasPrefix(reason, "gathers until") || strings.HasPrefix(reason, "waits until") {
		word = "NOT PAGED YET: "
	}
	return word + reason + a.also("; posted ", posted) + end
}

// each says who was told when; the first also how long after the event.
func (a *account) each(ds []incident.Delivery, long bool) string {
	parts := make([]string, 0, len(ds))
	for i, d := range ds {
		at := d.SettledAt
		text := d.Notifier + " at " + a.face.short(at, a.since())
		if a.traits[d.Notifier].Pager {
			text += " (accepted)"
		}
		if long && i == 0 && a.event != nil {
			text += ", " + afterwards(at.Sub(a.since()))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func afterwards(d time.Duration) string {
	if d < time.Second {
		return "at once"
	}
	return spoken(d) + " after the event"
}

func (a *account) also(word string, ds []incident.Delivery) string {
	if len(ds) == 0 {
		return ""
	}
	return word + a.each(ds, false)
}

// lost says which channels have not got their message.
func (a *account) lost(ds []incident.Delivery) string {
	text := ""
	for _, d := range ds {
		switch d.State {
		case incident.Dead:
			text += fmt.Sprintf("; NOT posted %s: %s", d.Notifier, shorten(d.Error, 60))
		case incident.Dropped:
		default:
			text += fmt.Sprintf("; %s waits, tried %s", d.Notifier, count(d.Attempts, "time"))
		}
	}
	return text
}

// notAccepted is the verdict on a page that a pager has not taken.
func (a *account) notAccepted(d incident.Delivery) string {
	said := ""
	if d.Error != "" {
		said = " (" + shorten(d.Error, 60) + ")"
	}
	switch d.State {
	case incident.Dead:
		return fmt.Sprintf("NOT PAGED: %s did not accept it%s, given up at %s", d.Notifier, said, a.face.short(d.SettledAt, a.since()))
	case incident.Dropped:
		return fmt.Sprintf("NOT PAGED: over before %s was called", d.Notifier)
	}
	next := ""
	if d.State == incident.Waiting && d.NextAt.After(a.face.now) {
		next = ", next try " + a.face.short(d.NextAt, a.since())
	}
	if d.Attempts == 0 {
		return fmt.Sprintf("NOT PAGED YET: %s is about to be called%s", d.Notifier, next)
	}
	return fmt.Sprintf("NOT PAGED YET: %s has not accepted it%s, tried %s%s", d.Notifier, said, count(d.Attempts, "time"), next)
}

// unpagedBecause says why a pager that a rule names was not called, "" where no
// rule names one.
func (a *account) unpagedBecause(posted bool) string {
	for _, r := range a.decision.Notifiers {
		if r.Instead != "" {
			return fmt.Sprintf("%s, so %s takes the place of %s", r.Why, r.Notifier, r.Instead)
		}
	}
	for _, reason := range a.decision.Reasons {
		if why, _, ok := strings.Cut(reason, ": pager "); ok {
			return why
		}
		if strings.Contains(reason, "does not ring") {
			return reason
		}
	}
	if a.inc == nil || a.inc.State != incident.Open || a.inc.HoldUntil.IsZero() || !posted {
		return ""
	}
	return fmt.Sprintf("waits until %s for %s to help", a.face.short(a.inc.HoldUntil, a.since()), a.inc.HoldFor)
}

// untold says why nobody was told at all.
func (a *account) untold() string {
	inc := a.inc
	if inc == nil {
		return fmt.Sprintf("%s, severity %s; tells %s", a.decision.Outcome, a.decision.Severity, a.names())
	}
	var before []string
	var last time.Time
	for _, d := range a.deliveries {
		if d.Kind.Alarms() && d.State == incident.Sent && d.QueuedAt.Before(a.decision.At) {
			if !slices.Contains(before, d.Notifier) {
				before = append(before, d.Notifier)
			}
			last = d.SettledAt
		}
	}
	switch {
	case inc.State == incident.Open && inc.WaitUntil.After(a.face.now):
		return fmt.Sprintf("gathers until %s (group.wait), then tells %s", inc.WaitUntil.In(a.face.zone).Format("15:04:05"), a.names())
	case len(before) > 0:
		return fmt.Sprintf("joined %s, of which %s knew since %s; what was sent is edited", inc.ID,
			strings.Join(before, ", "), a.face.short(last, a.since()))
	case inc.State == incident.Resolved && len(a.alarms()) == 0:
		return "over before group.wait had passed"
	}
	for _, d := range a.alarms() {
		if d.State != incident.Sent {
			return fmt.Sprintf("%s is not told yet: %s, tried %s", d.Notifier, d.State, count(d.Attempts, "time"))
		}
	}
	return "nobody is told yet"
}

// end says how the incident ended, "" while it is open.
func (a *account) end() string {
	if a.inc == nil || a.inc.State != incident.Resolved {
		return ""
	}
	at := " " + a.face.short(a.inc.ResolvedAt, a.since())
	switch a.inc.Resolution {
	case incident.Manual:
		return "; resolved by hand" + at
	case incident.Unconfirmed:
		return "; closed unconfirmed" + at
	}
	for _, e := range slices.Backward(a.timeline) {
		if e.Kind == "settled" && strings.Contains(e.Text, "settled by transaction.delivered") {
			return "; delivered" + at
		}
	}
	return "; recovered" + at
}
