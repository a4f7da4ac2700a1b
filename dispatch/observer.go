package dispatch

import (
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Observer is told what happened, for metrics. Its functions are called from
// several goroutines and must return at once; nil ones are skipped.
type Observer struct {
	// Planned: an event's plan is committed.
	Planned func(Planned)
	// ConditionsFailed: so many rules' conditions failed on an event that is
	// planned; those rules did not match it (routing rule 4).
	ConditionsFailed func(count int)
	// PlanFailed: an event or a timer could not be planned or applied this time.
	PlanFailed func()
	// Conflict: a plan was out of date and is made again.
	Conflict func()
	// Attempted: one call to a notifier has ended, for a delivery as it was
	// before.
	Attempted func(incident.Delivery, Attempt)
}

// Planned is an event whose plan is committed.
type Planned struct {
	Event   event.Stored
	Outcome incident.Outcome
	// Incident is the one concerned, "" for none.
	Incident string
	// Runs are those that the event proposed, refused ones among them.
	Runs []incident.Run
	// Began is when its planning began, At when the plan was committed.
	Began, At time.Time
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
		o.Planned = func(Planned) {}
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
		o.Attempted = func(incident.Delivery, Attempt) {}
	}
	return o
}
