package main

import (
	"context"
	"strconv"
	"time"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/routing/incident"
	"datasync-bridge/tracing"
)

// traces turns what the rooms tell their observers into spans. A nil one
// passes everything on as it is.
type traces struct{ *tracing.Recorder }

func newTraces(cfg tracing.Config, o tracing.Options) (*traces, error) {
	r, err := tracing.New(cfg, o)
	if err != nil {
		return nil, err
	}
	return &traces{r}, nil
}

// ofRequest says where a request of an event stands: the first one is the root of its
// trace, and those that repeat it hang from there.
func ofRequest(code string) (at, under tracing.Place) {
	if code == string(event.Duplicate) {
		return "", tracing.Receive
	}
	return tracing.Receive, ""
}

// received tells of a request. What was refused belongs to no event, and is in
// the metrics.
func (t *traces) received(a receiver.Answered) {
	now := time.Now()
	at, under := ofRequest(a.Code)
	t.Tell(tracing.Span{
		Name: "receive", Event: a.Event, At: at, Under: under, Began: now.Add(-a.Took), Ended: now,
		Outcome: a.Code, Facts: []string{"source", a.Source},
	})
}

// inbox also tells how long it took until an event was on disk.
func (t *traces) inbox(next receiver.Inbox) receiver.Inbox {
	if t == nil {
		return next
	}
	return tracedInbox{next, t}
}

type tracedInbox struct {
	receiver.Inbox
	traces *traces
}

// Accept implements receiver.Inbox.
func (i tracedInbox) Accept(ctx context.Context, r event.Received) (event.Receipt, error) {
	began := time.Now()
	receipt, err := i.Inbox.Accept(ctx, r)
	if err == nil {
		i.traces.Tell(tracing.Span{
			Name: "commit", Event: receipt.ID, Under: tracing.Receive, Began: began, Ended: time.Now(),
			Outcome: string(receipt.Status), Facts: []string{"source", r.Source, "type", r.Type},
		})
	}
	return receipt, err
}

// alsoDispatch also tells of plans and of calls to notifiers.
func (t *traces) alsoDispatch(next dispatch.Observer) dispatch.Observer {
	if t == nil {
		return next
	}
	both := next
	both.Planned = func(p dispatch.Planned) {
		next.Planned(p)
		t.planned(p)
	}
	both.Attempted = func(d incident.Delivery, a dispatch.Attempt) {
		next.Attempted(d, a)
		t.attempted(d, a)
	}
	return both
}

func (t *traces) planned(p dispatch.Planned) {
	s := tracing.Span{
		Name: "plan", Event: p.Event.ID, At: tracing.Plan, Began: p.Began, Ended: p.At,
		Outcome: string(p.Outcome), Failed: p.Outcome == incident.ParkedAway,
		Facts: []string{"source", p.Event.Source, "type", p.Event.Type, "incident", p.Incident},
	}
	if p.Event.Origin == event.OriginWebhook {
		s.Under = tracing.Receive // what polling finds, or the bridge tells, has no request
	}
	t.Tell(s)
}

// attempted tells of a call in the trace of the event that leads the incident:
// one message often speaks of many.
func (t *traces) attempted(d incident.Delivery, a dispatch.Attempt) {
	ended := d.QueuedAt.Add(a.Age)
	t.Tell(tracing.Span{
		Name: "deliver", Event: d.Snapshot.Lead.Event, Under: tracing.Plan, Began: ended.Add(-a.Took), Ended: ended,
		Outcome: string(a.Result), Failed: a.Result == dispatch.Retried || a.Result == dispatch.GivenUp,
		Facts: []string{"notifier", a.Notifier, "kind", string(a.Kind), "delivery", d.ID, "incident", d.Incident, "attempt", strconv.Itoa(d.Attempts + 1)},
	})
}

// alsoRuns also tells of calls to Datasync.
func (t *traces) alsoRuns(next remediation.Observer) remediation.Observer {
	if t == nil {
		return next
	}
	both := next
	both.Called = func(run incident.Run, began, ended time.Time) {
		next.Called(run, began, ended)
		t.Tell(tracing.Span{
			Name: "run", Event: run.Event, Under: tracing.Plan, Began: began, Ended: ended,
			Outcome: string(run.State), Failed: run.State != incident.RunDone,
			Facts: []string{"run", run.ID, "remediation", run.Remediation, "incident", run.Incident},
		})
	}
	return both
}
