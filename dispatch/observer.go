package dispatch

import (
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Observer is told what happened, for metrics. Its functions are called from
// several goroutines and must return at once; nil ones are skipped.
type Observer struct {
	// Planned: an event's plan is committed, so long after its arrival.
	Planned func(st event.Stored, outcome incident.Outcome, sinceArrival time.Duration)
	// ConditionsFailed: so many rules' conditions failed on an event that is
	// planned; those rules did not match it (routing rule 4).
	ConditionsFailed func(count int)
	// PlanFailed: an event or a timer could not be planned or applied this time.
	PlanFailed func()
	// Conflict: a plan was out of date and is made again.
	Conflict func()
	// Attempted: one call to a notifier has ended.
	Attempted func(Attempt)
}

// Attempt is one call to a notifier.
type Attempt struct {
	Notifier string
	Kind     incident.DeliveryKind
	Result   Result
	// Repeat reports that an earlier attempt may have arrived as well.
	Repeat bool
	Took   time.Duration
	// Age is the time since the delivery was queued.
	Age time.Duration
}

// Result is how an attempt ended.
type Result string

// The results. Paused is the far side's wish and no failure.
const (
	Delivered Result = "sent"
	Retried   Result = "retried"
	Paused    Result = "paused"
	GivenUp   Result = "dead"
)

// filled has every function, so that callers need not ask.
func (o Observer) filled() Observer {
	if o.Planned == nil {
		o.Planned = func(event.Stored, incident.Outcome, time.Duration) {}
	}
	if o.ConditionsFailed == nil {
		o.ConditionsFailed = func(int) {}
	}
	if o.PlanFailed == nil {
		o.PlanFailed = func() {}
	}
	if o.Conflict == nil {
		o.Conflict = func() {}
	}
	if o.Attempted == nil {
		o.Attempted = func(Attempt) {}
	}
	return o
}
