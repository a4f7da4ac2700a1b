package dispatch

import (
	"context"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Store is all that dispatch needs of a store; the parts say what for.
type Store interface {
	Clock
	Inbox
	Book
	Timers
	Outbox
	Deliveries
	Retainer
}

// Clock is the store's: it decides leases and due times.
type Clock interface {
	Now() time.Time
	// Changed returns a new channel that is poked after commits that may
	// matter to the topic: "events", "deliveries", "timers".
	Changed(topic string) <-chan struct{}
}

// Inbox holds what was accepted.
type Inbox interface {
	// Pending returns events that are not planned yet, oldest first.
	Pending(ctx context.Context, limit int) ([]event.Stored, error)
	// Failed counts a failed plan of an event, durably.
	Failed(ctx context.Context, eventID, cause string) (failures int, err error)
	Event(ctx context.Context, id string) (event.Stored, error)
}

// Book holds incidents. Apply commits a plan as a whole or not at all, with
// incident.ErrConflict when what it was made from has changed.
type Book interface {
	Load(ctx context.Context, q incident.Query) (incident.View, error)
	Apply(ctx context.Context, p incident.Plan) error
}

// Timers are rows with a due time. Next is the earliest one that is not due
// yet, zero for none.
type Timers interface {
	DueTimers(ctx context.Context, limit int) (due []incident.Timer, next time.Time, err error)
}

// Outbox holds what is to be sent. Claim leases the best delivery that is due
// for a notifier, or returns nil and when to look again; Settle refuses a
// lapsed lease with incident.ErrLeaseLost.
type Outbox interface {
	Claim(ctx context.Context, notifier string, lease time.Duration) (d *incident.Delivery, next time.Time, err error)
	Settle(ctx context.Context, s incident.Settlement) error
}

// Deliveries are read and retried by command.
type Deliveries interface {
	Delivery(ctx context.Context, id string) (incident.Delivery, error)
	RetryDelivery(ctx context.Context, id string) error
}

// Retainer deletes one slice of what is past its time.
type Retainer interface {
	Retain(ctx context.Context) (deleted int, more bool, err error)
}

// Mapper turns a stored event into its normalized form.
type Mapper interface {
	Normalize(st event.Stored) (event.Event, error)
}

// Router decides who may be told of an event. It is pure.
type Router interface {
	Decide(ev event.Event) incident.Decision
}

// Proposer says which runs an event calls for, refused ones included.
type Proposer interface {
	Propose(ev event.Event, d incident.Decision) []incident.Run
}

// Planner is the incident machine. It is pure.
type Planner interface {
	// Effect is what an event does, asked before the rules decide.
	Effect(ev event.Event) event.Effect
	Query(ev event.Event, d incident.Decision) incident.Query
	Event(in incident.Input) incident.Plan
	TimerQuery(t incident.Timer) incident.Query
	Timer(t incident.Timer, v incident.View, now time.Time) incident.Plan
	Acknowledge(v incident.View, id string, m incident.Mark) (incident.Plan, error)
	Resolve(v incident.View, id string, m incident.Mark) (incident.Plan, error)
	Recheck(v incident.View, id string, now time.Time) incident.Plan
	ParkQuery(st event.Stored) incident.Query
	Park(st event.Stored, cause string, v incident.View, now time.Time) incident.Plan
}

// Rules are what a reload swaps as one.
type Rules struct {
	Mapper  Mapper
	Router  Router
	Planner Planner
	// Proposer may be nil: nothing is ever run.
	Proposer Proposer
}
