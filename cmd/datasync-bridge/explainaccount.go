package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
)

// records are what an account is gathered from.
type records interface {
	Event(ctx context.Context, id string) (event.Stored, error)
	Incident(ctx context.Context, id string) (incident.Incident, error)
	Members(ctx context.Context, id string, limit int) ([]incident.Member, error)
	Timeline(ctx context.Context, id string, limit int) ([]incident.Entry, error)
	Deliveries(ctx context.Context, f incident.Filter) ([]incident.Delivery, error)
	Runs(ctx context.Context, f incident.Filter) ([]incident.Run, error)
}

// account is all that is known of one event, and of the incident that it
// concerns; or of an incident, and of the event that opened it.
type account struct {
	face   face
	traits map[string]incident.Notifier
	// reopen is defaults.reopen_within.
	reopen time.Duration
	// whole reports that the incident was asked for, with all that belongs to it.
	whole bool

	event    *event.Stored // nil where it is kept no longer
	normal   *event.Event  // nil where it cannot be read any more
	decision incident.Decision

	inc        *incident.Incident // nil for none, or kept no longer
	members    []incident.Member
	timeline   []incident.Entry
	deliveries []incident.Delivery // oldest first
	runs       []incident.Run

	// trace is every rule and key as the decision's configuration has them, nil
	// where that is not to be had; traceFrom says which configuration, or why not.
	trace     *routing.Trace
	traceFrom string
	// differs says where the trace is not what was recorded.
	differs []string
}

func newAccount(cfg *config.Config, now time.Time) *account {
	return &account{face: newFace(cfg, now), traits: cfg.NotifierTraits(), reopen: cfg.Defaults.ReopenWithin}
}

// ofEvent gathers what became of one event.
func (a *account) ofEvent(ctx context.Context, r records, id string) error {
	st, err := r.Event(ctx, id)
	if err != nil {
		return fmt.Errorf("event %s: %w", id, err)
	}
	a.event = &st
	if len(st.Decision) > 0 {
		if err := json.Unmarshal(st.Decision, &a.decision); err != nil {
			return fmt.Errorf("the recorded decision of %s cannot be read: %w", st.ID, err)
		}
	}
	if a.decision.Incident == "" {
		return nil
	}
	err = a.load(ctx, r, a.decision.Incident)
	if errors.Is(err, event.ErrNotFound) {
		return nil // kept no longer; the decision still says what it was
	}
	return err
}

// ofIncident gathers what became of an incident; its opening event's decision
// is what it is explained by.
func (a *account) ofIncident(ctx context.Context, r records, id string) error {
	a.whole = true
	if err := a.load(ctx, r, id); err != nil {
		return fmt.Errorf("incident %s: %w", id, err)
	}
	suffix, _ := strings.CutPrefix(id, "in_")
	st, err := r.Event(ctx, "ev_"+suffix)
	switch {
	case errors.Is(err, event.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("the event that opened %s: %w", id, err)
	}
	a.event = &st
	if len(st.Decision) > 0 {
		if err := json.Unmarshal(st.Decision, &a.decision); err != nil {
			return fmt.Errorf("the recorded decision of %s cannot be read: %w", st.ID, err)
		}
	}
	return nil
}

func (a *account) load(ctx context.Context, r records, id string) error {
	inc, err := r.Incident(ctx, id)
	if err != nil {
		return err
	}
	a.inc = &inc
	if a.members, err = r.Members(ctx, id, 200); err != nil {
		return err
	}
	if a.timeline, err = r.Timeline(ctx, id, 500); err != nil {
		return err
	}
	if a.deliveries, err = r.Deliveries(ctx, incident.Filter{Incident: id, Limit: 500}); err != nil {
		return err
	}
	slices.Reverse(a.deliveries)
	a.runs, err = r.Runs(ctx, incident.Filter{Incident: id, Limit: 100})
	return err
}

// deciding finds the parts that a configuration compiled to, by its hash. It
// says where they come from, or why they are not to be had.
type deciding func(ctx context.Context, hash string) (p parts, from string, found bool, err error)

// retrace evaluates the event anew under the rules that decided about it, with
// notes of each rule and key, and compares that with what was recorded.
func (a *account) retrace(ctx context.Context, find deciding) error {
	if a.event == nil || a.decision.Config == "" {
		a.traceFrom = "the event has no recorded decision"
		return nil
	}
	p, from, found, err := find(ctx, a.decision.Config)
	a.traceFrom = from
	if err != nil || !found {
		return err
	}
	ev, err := p.mapper.Normalize(*a.event)
	if err != nil {
		a.traceFrom = "the event cannot be read under it: " + err.Error()
		return nil //nolint:nilerr // it is told, and what was recorded is explained all the same
	}
	a.normal = &ev
	if ev.Quarantine != "" {
		a.traceFrom = "the event cannot be mapped, so no rule was asked"
		return nil
	}
	trace := p.table.Trace(ev)
	a.trace = &trace
	a.differs = differences(a.decision, trace.Decision)
	return nil
}

// differences says what a decision made anew does not share with the recorded
// one. What depended on what else was open is not compared.
func differences(recorded, anew incident.Decision) []string {
	var out []string
	rules := func(d incident.Decision) string {
		names := make([]string, 0, len(d.Rules))
		for _, r := range d.Rules {
			names = append(names, r.Name)
		}
		if len(names) == 0 {
			return "none"
		}
		return strings.Join(names, ", ")
	}
	if was, is := rules(recorded), rules(anew); was != is {
		out = append(out, fmt.Sprintf("rules that matched: recorded %s, now %s", was, is))
	}
	if was, is := namesOf(recorded), namesOf(anew); was != is {
		out = append(out, fmt.Sprintf("tells: recorded %s, now %s", was, is))
	}
	if recorded.Severity != anew.Severity {
		out = append(out, fmt.Sprintf("severity: recorded %s, now %s", recorded.Severity, anew.Severity))
	}
	if recorded.Type != anew.Type || recorded.Class != anew.Class {
		out = append(out, fmt.Sprintf("taken as: recorded %s (%s), now %s (%s)", recorded.Type, recorded.Class, anew.Type, anew.Class))
	}
	return out
}
