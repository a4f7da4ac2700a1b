package dispatch_test

import (
	"errors"
	"strings"
	"sync"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// mapper reads effect, key and notifiers from the body; bad is what it does to
// a body that begins with "bad".
type mapper struct{ bad func() error }

func (m *mapper) Normalize(st event.Stored) (event.Event, error) {
	part := append(strings.Fields(string(st.Body)), "", "", "")
	if part[0] == "bad" && m.bad != nil {
		if err := m.bad(); err != nil {
			return event.Event{}, err
		}
	}
	kind := st.Type
	if part[0] == "settle" {
		kind = "transaction.delivered"
	}
	return event.Event{
		ID: st.ID, Source: st.Source, Environment: st.Environment, Origin: st.Origin, Authentic: st.Authentic,
		Effect: event.Effect(part[0]), Type: kind, Known: true, Class: event.PartnerFault, Severity: event.Error,
		ReceivedAt: st.ReceivedAt, OccurredAt: st.ReceivedAt,
		Fields: map[string]any{"key": part[1], "to": part[2], event.TransactionID: part[1], event.PartnerID: "par_1"},
	}, nil
}

// router names the notifiers that the event asks for.
type router struct{}

func (router) Decide(ev event.Event) incident.Decision {
	d := incident.Decision{Key: ev.Text("key"), Effect: ev.Effect}
	for name := range strings.SplitSeq(ev.Text("to"), ",") {
		if name != "" {
			d.Notifiers = append(d.Notifiers, incident.Routed{Notifier: name})
		}
	}
	return d
}

// planner is a small incident machine: an event opens or joins the incident of
// its key and tells each notifier each time; "settle" resolves it.
type planner struct {
	mu       sync.Mutex
	planned  []incident.Input
	onEvent  func(incident.Input)
	onTimer  func(incident.Timer, incident.View) incident.Plan
	fallback time.Duration
}

func (p *planner) inputs() []incident.Input {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]incident.Input(nil), p.planned...)
}

func (p *planner) Effect(ev event.Event) event.Effect { return ev.Effect }

func (p *planner) Query(ev event.Event, d incident.Decision) incident.Query {
	return incident.Query{Environment: ev.Environment, Key: d.Key}
}

func (p *planner) Event(in incident.Input) incident.Plan {
	p.mu.Lock()
	p.planned = append(p.planned, in)
	p.mu.Unlock()
	if p.onEvent != nil {
		p.onEvent(in)
	}
	d := in.Decision
	d.At, d.Outcome = in.Now, incident.Joined
	inc := incident.Incident{
		ID: "in_" + strings.TrimPrefix(in.Event.ID, "ev_"), Key: d.Key, Environment: in.Event.Environment,
		Source: in.Event.Source, State: incident.Open, OpenedAt: in.Now, LastOpening: in.Now, Severity: event.Error,
		Class: event.Connectivity,
	}
	if len(in.View.Incidents) > 0 {
		inc = in.View.Incidents[0]
	} else {
		d.Outcome = incident.Opened
	}
	kind := incident.Opening
	inc.Total++
	if in.Event.Effect == event.Settle {
		kind, d.Outcome = incident.Resolve, incident.Settled
		inc.State, inc.Resolution, inc.ResolvedAt = incident.Resolved, incident.Recovered, in.Now
	}
	d.Incident = inc.ID
	plan := incident.Plan{Event: in.Event.ID, Decision: &d, Incidents: []incident.Incident{inc}, Consumed: in.Consumed}
	for _, n := range d.Notifiers {
		told := incident.Delivery{Order: inc.Key, Incident: inc.ID, Notifier: n.Notifier, Kind: kind, Alarm: 1, Text: in.Event.ID, QueuedAt: in.Now, NextAt: in.Now,
			Snapshot: snapshot(inc)}
		if p.fallback > 0 && kind.Alarms() {
			told.FallbackAt = in.Now.Add(p.fallback)
		}
		plan.Deliveries = append(plan.Deliveries, told)
	}
	return plan
}

func snapshot(inc incident.Incident) incident.Snapshot {
	return incident.Snapshot{Incident: inc.ID, Environment: inc.Environment, State: inc.State}
}

func (p *planner) TimerQuery(t incident.Timer) incident.Query {
	if t.Kind == incident.FallbackTimer {
		return incident.Query{Delivery: t.Subject}
	}
	return incident.Query{}
}

func (p *planner) Timer(t incident.Timer, v incident.View, _ time.Time) incident.Plan {
	if p.onTimer == nil {
		return incident.Plan{}
	}
	return p.onTimer(t, v)
}

func (p *planner) Recheck(incident.View, string, time.Time) incident.Plan { return incident.Plan{} }

func (p *planner) Acknowledge(v incident.View, _ string, m incident.Mark) (incident.Plan, error) {
	inc := v.Incidents[0]
	if inc.State == incident.Resolved {
		return incident.Plan{}, errors.New("it is resolved")
	}
	inc.Acknowledged = &m
	return incident.Plan{Incidents: []incident.Incident{inc}}, nil
}

func (p *planner) Resolve(v incident.View, _ string, m incident.Mark) (incident.Plan, error) {
	inc := v.Incidents[0]
	inc.State, inc.Resolution, inc.ResolvedAt = incident.Resolved, incident.Manual, m.At
	return incident.Plan{Incidents: []incident.Incident{inc}}, nil
}

func (p *planner) ParkQuery(event.Stored) incident.Query { return incident.Query{Notice: "parked"} }

func (p *planner) Park(st event.Stored, cause string, v incident.View, now time.Time) incident.Plan {
	n := incident.Notice{Key: "parked", Source: st.Source, Title: cause, Since: now, Last: st.ID, Severity: event.Error}
	if v.Notice != nil {
		n = *v.Notice
	}
	n.Total++
	return incident.Plan{
		Event:    st.ID,
		Decision: &incident.Decision{Outcome: incident.ParkedAway, At: now, Reasons: []string{cause}},
		Notices:  []incident.Notice{n},
		Deliveries: []incident.Delivery{{
			Order: n.Key, Notifier: "edi-slack", Kind: incident.Noticed, Text: "parked " + st.ID, QueuedAt: now, NextAt: now,
			Snapshot: incident.Snapshot{Environment: st.Environment},
		}},
	}
}
