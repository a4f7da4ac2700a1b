package incident

import (
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
)

// Errors of a command that a person gave; errors.Is tells them apart.
var (
	// ErrOver: the incident is resolved already.
	ErrOver = errors.New("incident is resolved already")
	// ErrTaken: somebody has acknowledged it already.
	ErrTaken = errors.New("incident is acknowledged already")
)

// Acknowledge records that a person took the incident: reminders and
// escalations stop until it alarms anew.
func (m *Machine) Acknowledge(v View, id string, by Mark) (Plan, error) {
	c, err := m.command(v, id, by)
	if err != nil {
		return Plan{}, err
	}
	if mark := c.inc.Acknowledged; mark != nil {
		return Plan{}, fmt.Errorf("%w, by %s", ErrTaken, mark.By)
	}
	c.inc.Acknowledged, c.inc.RepeatAt = &by, time.Time{}
	c.spare(by)
	for i := range c.inc.Escalation {
		c.inc.Escalation[i].Done = true
	}
	c.by("acknowledged", by)
	for i := range c.inc.Told {
		t := &c.inc.Told[i]
		switch n := c.m.Notifiers[t.Notifier]; {
		case t.Over || t.Alarms == 0 || !c.live(t.Notifier):
		case n.Pager:
			for alarm := 1; alarm <= t.Alarms; alarm++ {
				c.queue(t, Acknowledged, alarm, by.Why)
			}
		case n.Edits && c.may(t):
			c.queue(t, Acknowledged, t.Alarms, by.Why)
			c.edit(t)
		}
	}
	p := Plan{Audit: []Audit{deedOn(id, AuditAcknowledged, by)}}
	c.commit(&p)
	return p, nil
}

// Resolve ends an incident because a person says so.
func (m *Machine) Resolve(v View, id string, by Mark) (Plan, error) {
	c, err := m.command(v, id, by)
	if err != nil {
		return Plan{}, err
	}
	text := "resolved by hand by " + by.By
	if by.Why != "" {
		text += ": " + by.Why
	}
	c.noteLine(text)
	c.by("closed", by)
	c.resolve(Manual)
	p := Plan{Audit: []Audit{deedOn(id, AuditResolved, by)}}
	c.commit(&p)
	return p, nil
}

func (m *Machine) command(v View, id string, by Mark) (*change, error) {
	inc := v.byID(id)
	if inc == nil {
		return nil, event.ErrNotFound
	}
	if inc.State != Open {
		return nil, ErrOver
	}
	return m.change(*inc, by.At), nil
}

func deedOn(id, action string, by Mark) Audit {
	return Audit{Actor: by.By, Action: action, Subject: id, Why: by.Why, Incident: id}
}

// by adds a person's deed to the timeline.
func (c *change) by(kind string, m Mark) {
	c.say(kind, m.Why)
	c.timeline[len(c.timeline)-1].By = m.By
}
