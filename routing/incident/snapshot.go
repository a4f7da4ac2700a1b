package incident

import (
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

const (
	maxText       = 1000 // runes of each text of a lead
	maxTexts      = 20   // texts of one list
	maxReferences = 20   // references of a lead beyond the schema's
)

// snapshotOf is the incident as messages show it.
func snapshotOf(inc Incident) Snapshot {
	s := Snapshot{
		Incident: inc.ID, Environment: inc.Environment, Source: inc.Source,
		Class: inc.Class, Severity: inc.Severity, State: inc.State,
		OpenedAt: inc.OpenedAt, ResolvedAt: inc.ResolvedAt, Resolution: inc.Resolution,
		Lead: inc.Lead, Open: inc.OpenMembers(), Total: inc.Total,
		Documents: slices.Clone(inc.Documents), Due: dueAmong(inc.Listed),
		Rules: slices.Clone(inc.Rules), Notes: slices.Clone(inc.Notes),
		Reopenings: len(inc.Reopenings), Flapping: inc.Flapping, Polling: inc.Polling,
		Awaiting: slices.Clone(inc.Awaiting),
		Symptoms: slices.Clone(inc.Symptoms), MoreSymptoms: inc.MoreSymptoms,
	}
	if held := inc.unpaged(); len(held) > 0 && !inc.HoldUntil.IsZero() {
		s.Held, s.HoldFor, s.HoldUntil = held, inc.HoldFor, inc.HoldUntil
	}
	if inc.Acknowledged != nil {
		mark := *inc.Acknowledged
		s.Acknowledged = &mark
	}
	most := inc.MaxMembers
	if most <= 0 {
		most = defaultMembers
	}
	s.Members = slices.Clone(inc.Listed[:min(len(inc.Listed), most)])
	return s
}

func dueAmong(members []Member) time.Time {
	var due time.Time
	for _, m := range members {
		if !m.Due.IsZero() && (due.IsZero() || m.Due.Before(due)) {
			due = m.Due
		}
	}
	return due
}

func leadOf(ev event.Event, s event.Severity) Lead {
	return Lead{
		Event: ev.ID, Type: cut(ev.Type, 200), Severity: s,
		OccurredAt: ev.OccurredAt, Fields: boundedFields(ev.Fields),
		Source: ev.Source, Class: ev.Class, Origin: ev.Origin,
	}
}

// boundedFields keeps a payload small enough to stand in every message row.
func boundedFields(fields map[string]any) map[string]any {
	out := make(map[string]any, len(fields))
	references := 0
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		if _, ok := event.FieldAt(path); !ok || len(path) > 200 {
			continue
		}
		if strings.HasPrefix(path, event.ReferencePrefix) {
			if references++; references > maxReferences {
				continue
			}
		}
		switch v := fields[path].(type) {
		case string:
			out[path] = cut(v, maxText)
		case []string:
			texts := make([]string, 0, min(len(v), maxTexts))
			for _, s := range v[:min(len(v), maxTexts)] {
				texts = append(texts, cut(s, maxText))
			}
			out[path] = texts
		case float64, bool, time.Time:
			out[path] = v
		}
	}
	return out
}
