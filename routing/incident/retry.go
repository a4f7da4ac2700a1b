package incident

import (
	"fmt"

	"datasync-bridge/event"
)

// retrying reports whether the event is a retry: more attempts are scheduled.
func retrying(ev event.Event) bool {
	if ev.Type == typeRetrying {
		return true
	}
	final, known := ev.Flag(event.AttemptFinal)
	return ev.Type == typeFailed && known && !final && (ev.Effect == event.Open || ev.Effect == event.None)
}

// retry handles a retry that opens nothing yet: the first one starts the clock
// of defaults.retrying_alert.
func (d *draft) retry() {
	id := memberID(d.ev)
	r := d.outdated()
	mark := d.mark(id, markRetrying)
	switch {
	case d.m.RetryingAttempts <= 0 && d.m.RetryingAfter <= 0:
		d.decide(Ignored, "more attempts are scheduled, and defaults.retrying_alert is not set")
	case r != nil:
		d.decide(Outdated, "a recovery was seen already: "+r.Event)
	case d.member(id, "") != nil:
		d.decide(Ignored, "more attempts are scheduled, and it is open already")
	case d.m.RetryingAfter <= 0:
		d.decide(Ignored, fmt.Sprintf("more attempts are scheduled; it alarms at attempt %d", d.m.RetryingAttempts))
	case mark != nil && !d.healed(*mark) && mark.ReceivedAt.Add(d.m.RetryingAfter).After(d.at):
		d.decide(Ignored, "more attempts are scheduled; the clock runs since "+clock(mark.ReceivedAt))
	default:
		due := d.at.Add(d.m.RetryingAfter)
		d.remember(d.recovery(id, markRetrying))
		d.plan.Timers = append(d.plan.Timers, Timer{Kind: RetryingTimer, Subject: d.ev.ID, DueAt: due})
		d.decide(Ignored, "more attempts are scheduled; it alarms if nothing is heard until "+clock(due))
	}
}

// healed reports whether the retries that a mark began have ended well since.
func (d *draft) healed(mark Recovery) bool {
	for _, r := range d.in.View.Recoveries {
		if !r.isMark() && r.Environment == mark.Environment &&
			!r.OccurredAt.Before(mark.OccurredAt) && reachOf(r.Type).settles(d.ev.Class) {
			return true
		}
	}
	return false
}
